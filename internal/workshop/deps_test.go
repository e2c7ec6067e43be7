package main

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

var needCall = regexp.MustCompile(`nettest\.Need\(\w+, "([^"]+)"\)`)

// Every program that a test asks for is one that `make deps` installs.
func TestEveryNeededProgramHasAPackage(t *testing.T) {
	var known []string
	for _, p := range packages() {
		if p.group == "test" {
			known = append(known, p.shows...)
		}
	}
	err := filepath.WalkDir("..", func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, "_test.go") {
			return err
		}
		src, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		for _, m := range needCall.FindAllStringSubmatch(string(src), -1) {
			if !slices.Contains(known, m[1]) {
				t.Errorf("%s needs %s: add its Debian package to packages.txt, group test", path, m[1])
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestPackageTable(t *testing.T) {
	groups := []string{"test", "check", "bench"}
	for _, p := range packages() {
		if !slices.Contains(groups, p.group) {
			t.Errorf("%s is in group %q, want one of %v", p.name, p.group, groups)
		}
	}
	lines := 0
	for line := range strings.Lines(packagesTxt) {
		if s := strings.TrimSpace(line); s != "" && !strings.HasPrefix(s, "#") {
			lines++
		}
	}
	if got := len(packages()); got != lines {
		t.Errorf("%d of %d lines were understood", got, lines)
	}
}

func TestLacking(t *testing.T) {
	here := filepath.Join(t.TempDir(), "here")
	if err := os.WriteFile(here, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	p := debianPackage{"test", "x", []string{here, here + "-not", "go", "no-such-program-of-ours"}}
	want := []string{here + "-not", "no-such-program-of-ours"}
	if got := p.lacking(); !slices.Equal(got, want) {
		t.Errorf("lacking %v, want %v", got, want)
	}
}

func TestDaemonsStayDownAndThePolicyComesBack(t *testing.T) {
	const own = "#!/bin/sh\nexit 0\n"
	cases := []struct {
		name          string
		before, aside string // "" for no file
		after         string
	}{
		{name: "no policy"},
		{name: "a policy stands", before: own, after: own},
		{name: "an earlier run was killed", before: forbidServices, aside: own, after: own},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "policy-rc.d")
			write(t, path, c.before)
			write(t, path+".portreeve-aside", c.aside)
			restore, err := keepDaemonsDown(path)
			if err != nil {
				t.Fatal(err)
			}
			if got := read(t, path); got != forbidServices {
				t.Errorf("while installing: %q", got)
			}
			if err := restore(); err != nil {
				t.Fatal(err)
			}
			if got := read(t, path); got != c.after {
				t.Errorf("afterwards %q, want %q", got, c.after)
			}
			if got := read(t, path+".portreeve-aside"); got != "" {
				t.Errorf("left aside: %q", got)
			}
		})
	}
}

func write(t *testing.T, path, content string) {
	t.Helper()
	if content == "" {
		return
	}
	if err := os.WriteFile(path, []byte(content), 0o755); err != nil {
		t.Fatal(err)
	}
}

func read(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	return string(b)
}
