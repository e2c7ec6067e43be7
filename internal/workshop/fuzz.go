package main

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"time"
)

// fuzzTarget is one native fuzz function.
type fuzzTarget struct{ pkg, name string }

// fuzz runs every fuzz target of the module for a while. A failing input is
// written below the package's testdata/fuzz by go test; commit it with the
// repair.
func fuzz(ctx context.Context, args []string) error {
	flags := flag.NewFlagSet("fuzz", flag.ContinueOnError)
	each := flags.Duration("time", 5*time.Second, "time for each target")
	if err := flags.Parse(args); err != nil {
		return err
	}
	targets, err := fuzzTargets(ctx)
	if err != nil {
		return err
	}
	for _, t := range targets {
		if err := fuzzOne(ctx, t, *each); err != nil {
			return fmt.Errorf("fuzz %s in %s: %w", t.name, t.pkg, err)
		}
	}
	fmt.Printf("fuzz: %d targets, %s each\n", len(targets), each)
	return nil
}

// fuzzTries is how often a target is started whose time ran out badly.
const fuzzTries = 3

// fuzzOne runs one target. The go command sometimes takes the end of its own
// fuzzing time for a failure of the target ("context deadline exceeded" and no
// failing input); that says nothing about the target, so it runs again.
func fuzzOne(ctx context.Context, t fuzzTarget, each time.Duration) error {
	for try := 1; ; try++ {
		var said bytes.Buffer
		cmd := command(ctx, "go", "test", "-run=^$", "-fuzz=^"+t.name+"$", "-fuzztime="+each.String(), t.pkg)
		cmd.Stdout = io.MultiWriter(cmd.Stdout, &said)
		err := cmd.Run()
		if err == nil || try == fuzzTries || !ranOut(said.String()) {
			return err
		}
	}
}

func ranOut(said string) bool {
	return strings.Contains(said, "context deadline exceeded") && !strings.Contains(said, "Failing input")
}

func fuzzTargets(ctx context.Context) ([]fuzzTarget, error) {
	cmd := exec.CommandContext(ctx, "go", "test", "-list=^Fuzz", "./...")
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("list the fuzz targets: %w\n%s", err, out)
	}
	return parseTargets(string(out)), nil
}

// parseTargets reads go test -list: the names of a package, then its line.
func parseTargets(out string) []fuzzTarget {
	var found []fuzzTarget
	var names []string
	for line := range strings.Lines(out) {
		words := strings.Fields(line)
		switch {
		case len(words) == 1 && strings.HasPrefix(words[0], "Fuzz"):
			names = append(names, words[0])
		case len(words) >= 2 && words[0] == "ok":
			for _, name := range names {
				found = append(found, fuzzTarget{words[1], name})
			}
			names = nil
		}
	}
	return found
}
