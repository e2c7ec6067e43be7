package main

import (
	"crypto/sha256"
	"errors"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"
)

func TestParseTargets(t *testing.T) {
	out := "FuzzA\nFuzzB\nok  \tm/a\t0.01s\n?   \tm/none\t[no test files]\nok  \tm/b\t0.01s\nFuzzC\nok  \tm/c\t0.01s\n"
	want := []fuzzTarget{{"m/a", "FuzzA"}, {"m/a", "FuzzB"}, {"m/c", "FuzzC"}}
	if got := parseTargets(out); !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

func TestCompletions(t *testing.T) {
	out := "audit\tfind every open port\ncompletion\tshell\nhelp\tHelp\nhost\n:4\n"
	if got := completions([]byte(out)); !slices.Equal(got, []string{"audit", "host"}) {
		t.Errorf("got %v", got)
	}
}

func TestDiffering(t *testing.T) {
	sum := func(s string) [sha256.Size]byte { return sha256.Sum256([]byte(s)) }
	before := map[string][sha256.Size]byte{"same": sum("1"), "changed": sum("1"), "gone": sum("1")}
	after := maps.Clone(before)
	delete(after, "gone")
	after["changed"], after["new"] = sum("2"), sum("1")
	if got := differing(before, after); !slices.Equal(got, []string{"changed", "gone", "new"}) {
		t.Errorf("got %v", got)
	}
}

func TestUnknownChore(t *testing.T) {
	for _, args := range [][]string{nil, {"sweep"}} {
		if err := run(t.Context(), args); err == nil {
			t.Errorf("%v is no chore, and yet no error", args)
		}
	}
}

func TestBrokenLinks(t *testing.T) {
	fsys := fstest.MapFS{
		"README.md": {Data: []byte("# Top\n[index](docs/README.md) [web](https://example.org/x) [licence](LICENSE)\n" +
			"[gone](docs/gone.md)\n`[no](link.md)`\n```\n[no](link.md)\n```\n[own](#top)\n")},
		"docs/README.md":           {Data: []byte("[audit](audit.md#what-it-does)\n[bad](audit.md#what-it-dont)\n[up](../README.md)\n[dir](decisions/0001-x.md \"title\")\n")},
		"docs/audit.md":            {Data: []byte("## What it *does*?\n## Same\n## Same\n[second](#same-1) [third](#same-2)\n")},
		"docs/lost.md":             {Data: []byte("# Lost\n")},
		"docs/decisions/0001-x.md": {Data: []byte("# X\n")},
		"LICENSE":                  {},
	}
	pages, err := readPages(fsys)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, e := range append(brokenLinks(fsys, pages), unlisted(pages)...) {
		got = append(got, e.Error())
	}
	slices.Sort(got)
	want := []string{
		"README.md:3: link docs/gone.md: there is no such file",
		"docs/README.md:2: link audit.md#what-it-dont: the page has no such heading",
		"docs/audit.md:4: link #same-2: the page has no such heading",
		"docs/lost.md is not listed in docs/README.md",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestMissingIndex(t *testing.T) {
	errs := unlisted(map[string]*page{"docs/x.md": parsePage("")})
	if err := errors.Join(errs...); err == nil || !strings.Contains(err.Error(), "docs/README.md") {
		t.Errorf("no index: %v", err)
	}
}

// The end of the fuzzing time is no failure; a failing input is.
func TestFuzzingTimeThatRanOut(t *testing.T) {
	if !ranOut("--- FAIL: FuzzParse (4.03s)\n    context deadline exceeded\nFAIL\n") {
		t.Error("the end of the time was taken for a failure")
	}
	if ranOut("--- FAIL: FuzzParse (4.03s)\n    context deadline exceeded\n    Failing input written to testdata/fuzz/FuzzParse/x\n") {
		t.Error("a failing input was passed over")
	}
}

// The race detector runs where goroutines are started: by a go statement or a
// group, in code or tests.
func TestStartsGoroutines(t *testing.T) {
	dir := t.TempDir()
	for name, body := range map[string]string{
		"yes": "func f() { go f() }", "group": "func f() { var g interface{ Go(func()) }; g.Go(nil) }", "no": "func f() { f() }\n// go f()",
	} {
		file := filepath.Join(dir, name+".go")
		if err := os.WriteFile(file, []byte("package p\n"+body+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		got, err := startsGoroutines(file)
		if err != nil || got != (name != "no") {
			t.Errorf("%s: %v, %v", name, got, err)
		}
	}
}

// The packages of this module that start goroutines are found by the go
// command's own list.
func TestConcurrent(t *testing.T) {
	found, err := concurrent(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Contains(found, "github.com/portreeve/portreeve/internal/workshop") {
		t.Errorf("only %v", found)
	}
}
