// Workshop does the project's own chores, so that a fresh clone needs nothing
// but Go (and make): it installs what the tests use, runs them and says what
// was skipped, builds for every system, runs the generators and the fuzz
// targets, and checks the docs. The Makefile calls it; run it from the root of
// the repository.
//
//	go run ./internal/workshop deps [group …]   install Debian packages (groups: test, check, bench; default all)
//	go run ./internal/workshop test [-v] [-race] [package …]
//	go run ./internal/workshop cross            build for every supported system
//	go run ./internal/workshop generate         run go generate; fails when a committed file changes
//	go run ./internal/workshop fuzz [-time 5s]  every fuzz target for a while
//	go run ./internal/workshop docs             links resolve, every command has a page
//
// It changes the machine only in deps, and there only by installing packages;
// no service is started by that. Nothing in the product imports it.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:])
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "workshop:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	if len(args) == 0 {
		return errors.New("say what to do: deps, test, cross, generate, fuzz or docs")
	}
	chores := map[string]func(context.Context, []string) error{
		"deps": deps, "test": runTests, "cross": cross, "generate": generate, "fuzz": fuzz, "docs": checkDocs,
	}
	chore, ok := chores[args[0]]
	if !ok {
		return fmt.Errorf("there is no chore %q: use deps, test, cross, generate, fuzz or docs", args[0])
	}
	return chore(ctx, args[1:])
}
