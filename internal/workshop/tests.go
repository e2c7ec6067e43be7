package main

import (
	"bufio"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
)

// runTests does the set-up that the tests use, runs them (never from the
// cache: a skip of yesterday is no answer of today) and names every skip.
func runTests(ctx context.Context, args []string) error {
	flags := flag.NewFlagSet("test", flag.ContinueOnError)
	verbose := flags.Bool("v", false, "print all lines of go test")
	race := flags.Bool("race", false, "with the race detector")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if err := deps(ctx, []string{"test"}); err != nil && !errors.Is(err, errMissing) {
		return err
	}
	goTest := []string{"test", "-json", "-count=1"}
	if *race {
		if why := noRaceDetector(); why != "" {
			return skipChore("the tests with the race detector", why)
		}
		skip, err := programTests("internal/cli")
		if err != nil {
			return err
		}
		goTest = append(goTest, "-race", "-skip=^("+strings.Join(skip, "|")+")$")
	}
	patterns := flags.Args()
	if len(patterns) == 0 {
		patterns = []string{"./..."}
	}
	if *race && flags.NArg() == 0 {
		var err error
		if patterns, err = concurrent(ctx); err != nil {
			return err
		}
	}
	return goTestJSON(ctx, append(goTest, patterns...), *verbose)
}

// noRaceDetector says why go test -race cannot run, or "": it links C.
func noRaceDetector() string {
	for _, compiler := range []string{os.Getenv("CC"), "gcc", "clang"} {
		if _, err := exec.LookPath(compiler); err == nil {
			return ""
		}
	}
	return "no C compiler (make deps installs gcc)"
}

// skipChore names a chore that cannot be done here; where everything was
// installed that is a failure.
func skipChore(what, why string) error {
	if strict() {
		return fmt.Errorf("cannot do %s: %s, and PORTREEVE_NO_SKIP=1 promises that it is here", what, why)
	}
	fmt.Printf("skipped %s: %s\n", what, why)
	return nil
}

func goTestJSON(ctx context.Context, args []string, verbose bool) error {
	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("run go test: %w", err)
	}
	results := newResults(os.Stdout, verbose)
	readErr := results.read(out)
	failed := cmd.Wait()
	results.summary()
	switch {
	case readErr != nil:
		return readErr
	case failed != nil:
		return fmt.Errorf("go test: %w", failed)
	}
	return results.refusedSkips(strict())
}

// strict reports that everything the tests use was installed, so that only a
// lack of the kernel or of privilege may skip a test.
func strict() bool { return os.Getenv("PORTREEVE_NO_SKIP") == "1" }

// read takes the events of go test -json, one a line. What is no event (the
// build's own words) is printed as it is.
func (r *results) read(in io.Reader) error {
	lines := bufio.NewReader(in)
	for {
		line, err := lines.ReadBytes('\n')
		if len(line) > 0 {
			r.line(line)
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("read go test's output: %w", err)
		}
	}
}

var testFunc = regexp.MustCompile(`(?m)^func (Test\w+)\(`)

// programTests names the tests of a folder that run the built program: those
// in its _linux_test.go files. The race detector is not in that program and
// sees nothing of it, so they are not run twice.
func programTests(dir string) ([]string, error) {
	files, err := filepath.Glob(filepath.Join(dir, "*_linux_test.go"))
	if err != nil {
		return nil, err
	}
	var names []string
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			return nil, fmt.Errorf("list the tests that run the program: %w", err)
		}
		for _, m := range testFunc.FindAllSubmatch(text, -1) {
			if name := string(m[1]); name != "TestMain" {
				names = append(names, name)
			}
		}
	}
	return names, nil
}
