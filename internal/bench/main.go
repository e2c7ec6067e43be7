package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"syscall"
)

func main() {
	if len(os.Args) > 1 && os.Args[1] == holdMode {
		exit(hold(os.Args[2:]))
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:])
	stop()
	exit(err)
}

func exit(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
	os.Exit(0)
}

// options are the flags of a run.
type options struct {
	out     string
	only    string
	sockets int
	procs   int
	rounds  int
	scans   int
	bin     string // our program; built when empty
}

func run(ctx context.Context, args []string) error {
	var o options
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	flags.StringVar(&o.out, "out", "docs/benchmarks.md", "the page to write")
	flags.StringVar(&o.only, "only", "", "measure these sections alone (names with commas)")
	flags.IntVar(&o.sockets, "sockets", 100_000, "TCP sockets of the loaded host")
	flags.IntVar(&o.procs, "procs", 200, "processes that hold them")
	flags.IntVar(&o.rounds, "rounds", 11, "rounds of each contest")
	flags.IntVar(&o.scans, "scans", 20, "runs of each scanner; sections with slow ones take a part of it")
	flags.StringVar(&o.bin, "bin", "", "measure this program instead of building it")
	if err := flags.Parse(args); err != nil {
		return err
	}
	chosen, err := choose(o.only)
	if err != nil {
		return err
	}
	return measureAll(ctx, o, chosen)
}

// section is one situation to measure in.
type section struct {
	name  string
	title string
	run   func(ctx context.Context, o options) (result, error)
}

func choose(only string) ([]section, error) {
	if only == "" {
		return sections(), nil
	}
	var out []section
	for name := range strings.SplitSeq(only, ",") {
		found := false
		for _, s := range sections() {
			if s.name == name {
				out, found = append(out, s), true
			}
		}
		if !found {
			return nil, fmt.Errorf("there is no section %q", name)
		}
	}
	return out, nil
}
