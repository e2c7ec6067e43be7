package main

import (
	"context"
	"crypto/sha256"
	_ "embed"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"slices"
	"strings"
)

// clangTxt is the first line of clang --version that the committed BPF
// objects were made with. Another version makes another object, so only this
// one can tell whether they are fresh.
//
//go:embed clang.txt
var clangTxt string

const bpfGenerator = "bpf2go"

// generate runs every go:generate line and fails when that changes a file:
// what is committed must be what the generators make.
func generate(ctx context.Context, _ []string) error {
	before, err := fingerprints(ctx)
	if err != nil {
		return err
	}
	args := []string{"generate"}
	if why := otherClang(ctx); why != "" {
		fmt.Println("skipped making the BPF objects again:", why)
		args = append(args, "-skip", bpfGenerator)
	}
	if err := command(ctx, "go", append(args, "./...")...).Run(); err != nil {
		return fmt.Errorf("go generate: %w", err)
	}
	after, err := fingerprints(ctx)
	if err != nil {
		return err
	}
	if changed := differing(before, after); len(changed) > 0 {
		return fmt.Errorf("go generate changed these files; commit what it made:\n  %s", strings.Join(changed, "\n  "))
	}
	fmt.Println("generate: every generated file is fresh")
	return nil
}

// otherClang says why the BPF objects cannot be made again here, or "".
func otherClang(ctx context.Context) string {
	want := strings.TrimSpace(clangTxt)
	for _, tool := range []string{"clang-14", "llvm-strip-14"} {
		if _, err := exec.LookPath(tool); err != nil {
			return "no " + tool + " (make deps installs it)"
		}
	}
	out, err := exec.CommandContext(ctx, "clang-14", "--version").Output()
	if err != nil {
		return "clang-14 does not run: " + err.Error()
	}
	first, _, _ := strings.Cut(string(out), "\n")
	if strings.TrimSpace(first) != want {
		return fmt.Sprintf("they were made with %q, here is %q", want, strings.TrimSpace(first))
	}
	return ""
}

// fingerprints hashes every file that git knows or would take.
func fingerprints(ctx context.Context) (map[string][sha256.Size]byte, error) {
	out, err := exec.CommandContext(ctx, "git", "ls-files", "-z", "--cached", "--others", "--exclude-standard").Output()
	if err != nil {
		return nil, fmt.Errorf("list the files of this clone with git: %w", err)
	}
	sums := map[string][sha256.Size]byte{}
	for name := range strings.SplitSeq(strings.TrimSuffix(string(out), "\x00"), "\x00") {
		content, err := os.ReadFile(name)
		if err != nil {
			continue // deleted, or a link to nowhere: absent before and after alike
		}
		sums[name] = sha256.Sum256(content)
	}
	return sums, nil
}

// differing lists the files that are in one and not, or otherwise, in the
// other.
func differing(before, after map[string][sha256.Size]byte) []string {
	all := maps.Clone(before)
	maps.Copy(all, after)
	var out []string
	for _, name := range slices.Sorted(maps.Keys(all)) {
		a, inA := before[name]
		b, inB := after[name]
		if inA != inB || a != b {
			out = append(out, name)
		}
	}
	return out
}
