package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
)

// event is a line of go test -json (cmd/test2json).
type event struct {
	Action  string
	Package string
	Test    string
	Output  string
}

type testName struct{ pkg, test string }

// skip is a test that did not run, and its reason.
type skip struct {
	name   testName
	reason string
}

// results follows a run: it prints what go test would print, keeps the lines
// of each test until its end is known, and remembers the skips.
type results struct {
	out     io.Writer
	verbose bool
	pending map[testName][]string
	passed  int
	failed  []testName
	skips   []skip
}

func newResults(out io.Writer, verbose bool) *results {
	return &results{out: out, verbose: verbose, pending: map[testName][]string{}}
}

func (r *results) line(line []byte) {
	var e event
	if json.Unmarshal(line, &e) != nil || e.Action == "" {
		r.print(string(line))
		return
	}
	name := testName{e.Package, e.Test}
	switch e.Action {
	case "output":
		r.output(name, e.Output)
	case "build-output":
		r.print(e.Output)
	case "pass", "fail", "skip":
		r.end(name, e.Action)
	}
}

func (r *results) output(name testName, text string) {
	if r.verbose || name.test == "" && text != "PASS\n" {
		r.print(text)
	}
	if name.test != "" {
		r.pending[name] = append(r.pending[name], text)
	}
}

func (r *results) end(name testName, action string) {
	if name.test == "" {
		r.endPackage(name.pkg, action)
		return
	}
	lines := r.pending[name]
	delete(r.pending, name)
	switch action {
	case "pass":
		r.passed++
	case "fail":
		r.failed = append(r.failed, name)
		r.replay(lines)
	case "skip":
		r.skips = append(r.skips, skip{name, skipReason(lines)})
	}
}

// endPackage shows the lines of tests that never ended (a crash, a time-out),
// and counts a package that failed without a test (it does not build).
func (r *results) endPackage(pkg, action string) {
	names := slices.SortedFunc(maps.Keys(r.pending), func(a, b testName) int { return strings.Compare(a.test, b.test) })
	for _, name := range names {
		if name.pkg != pkg {
			continue
		}
		if action == "fail" {
			r.failed = append(r.failed, name)
			r.replay(r.pending[name])
		}
		delete(r.pending, name)
	}
	inPackage := func(name testName) bool { return name.pkg == pkg }
	if action == "fail" && !slices.ContainsFunc(r.failed, inPackage) {
		r.failed = append(r.failed, testName{pkg, "(the package itself, see above)"})
	}
}

// replay prints a failed test's lines, which verbose has printed already.
func (r *results) replay(lines []string) {
	if r.verbose {
		return
	}
	for _, l := range lines {
		if !strings.HasPrefix(l, "=== ") {
			r.print(l)
		}
	}
}

func (r *results) print(text string) { _, _ = io.WriteString(r.out, text) }

var placePrefix = regexp.MustCompile(`^\s*[\w.-]+\.go:\d+: `)

// skipReason is the text of t.Skip: the lines that are not the framework's.
func skipReason(lines []string) string {
	var own []string
	for _, l := range lines {
		trimmed := strings.TrimSpace(l)
		if trimmed == "" || strings.HasPrefix(trimmed, "=== ") || strings.HasPrefix(trimmed, "--- ") {
			continue
		}
		own = append(own, strings.TrimSpace(placePrefix.ReplaceAllString(l, "")))
	}
	if len(own) == 0 {
		return "no reason given"
	}
	return own[len(own)-1]
}

// summary prints the counts, and every skip by reason.
func (r *results) summary() {
	fmt.Fprintf(r.out, "\n%d passed, %d failed, %d skipped\n", r.passed, len(r.failed), len(r.skips))
	for _, name := range r.failed {
		fmt.Fprintf(r.out, "  failed: %s %s\n", name.pkg, name.test)
	}
	byReason := map[string][]testName{}
	for _, s := range r.skips {
		byReason[s.reason] = append(byReason[s.reason], s.name)
	}
	for _, reason := range slices.Sorted(maps.Keys(byReason)) {
		fmt.Fprintf(r.out, "  skipped, %s:\n", reason)
		for _, name := range byReason[reason] {
			fmt.Fprintf(r.out, "      %s %s\n", name.pkg, name.test)
		}
	}
}

// refusedSkips is the error for skips that hide a gap, where everything was
// installed.
func (r *results) refusedSkips(strict bool) error {
	if !strict {
		return nil
	}
	judge := skipJudge{root: os.Geteuid() == 0, kernelHas: kernelConfig().has}
	var refused []error
	for _, s := range r.skips {
		if why := judge.refuse(s.reason); why != "" {
			refused = append(refused, fmt.Errorf("%s %s was skipped (%s): %s", s.name.pkg, s.name.test, s.reason, why))
		}
	}
	return errors.Join(refused...)
}
