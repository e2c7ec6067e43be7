package main

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
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
	if err := fuzzAll(ctx, targets, *each); err != nil {
		return err
	}
	fmt.Printf("fuzz: %d targets, %s each\n", len(targets), each)
	return nil
}

// fuzzAll runs as many targets side by side as there are processors, each with
// one worker: starting a target takes as long as fuzzing it.
func fuzzAll(ctx context.Context, targets []fuzzTarget, each time.Duration) error {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(runtime.NumCPU())
	var printing sync.Mutex
	for _, t := range targets {
		group.Go(func() error {
			said, err := fuzzOne(ctx, t, each)
			printing.Lock()
			defer printing.Unlock()
			fmt.Print(said)
			if err != nil {
				return fmt.Errorf("fuzz %s in %s: %w", t.name, t.pkg, err)
			}
			return nil
		})
	}
	return group.Wait()
}

// fuzzTries is how often a target is started whose time ran out badly.
const fuzzTries = 3

// fuzzOne runs one target. The go command sometimes takes the end of its own
// fuzzing time for a failure of the target ("context deadline exceeded" and no
// failing input); that says nothing about the target, so it runs again.
func fuzzOne(ctx context.Context, t fuzzTarget, each time.Duration) (said string, err error) {
	for try := 1; ; try++ {
		var out bytes.Buffer
		cmd := command(ctx, "go", "test", "-run=^$", "-fuzz=^"+t.name+"$", "-fuzztime="+each.String(), "-parallel=1", t.pkg)
		cmd.Stdout, cmd.Stderr = &out, &out
		err = cmd.Run()
		if err == nil || try == fuzzTries || !ranOut(out.String()) {
			return out.String(), err
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
