package main

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
)

//go:embed packages.txt
var packagesTxt string

// debianPackage is one line of packages.txt.
type debianPackage struct {
	group, name string
	shows       []string // programs or absolute paths
}

var errMissing = errors.New("not everything is here")

func packages() []debianPackage {
	var out []debianPackage
	for line := range strings.Lines(packagesTxt) {
		words := strings.Fields(line)
		if len(words) < 3 || words[0] == "#" {
			continue
		}
		out = append(out, debianPackage{words[0], words[1], words[2:]})
	}
	return out
}

// lacking lists what of a package is not on this machine.
func (p debianPackage) lacking() []string {
	return slices.DeleteFunc(slices.Clone(p.shows), func(what string) bool {
		if strings.HasPrefix(what, "/") {
			_, err := os.Stat(what)
			return err == nil
		}
		_, err := exec.LookPath(what)
		return err == nil
	})
}

// missing lists the packages of some groups (all without one) that are not
// here, each once.
func missing(groups []string) []debianPackage {
	var out []debianPackage
	for _, p := range packages() {
		wanted := len(groups) == 0 || slices.Contains(groups, p.group)
		known := slices.ContainsFunc(out, func(q debianPackage) bool { return q.name == p.name })
		if wanted && !known && len(p.lacking()) > 0 {
			out = append(out, p)
		}
	}
	return out
}

// deps installs what is missing where it may, and says what stays missing.
func deps(ctx context.Context, groups []string) error {
	want := missing(groups)
	if len(want) == 0 {
		fmt.Println("deps: all programs are here")
		return nil
	}
	if why := mayNotInstall(); why != "" {
		return tellMissing(want, why)
	}
	if err := install(ctx, want); err != nil {
		return tellMissing(missing(groups), err.Error())
	}
	if left := missing(groups); len(left) > 0 {
		return tellMissing(left, "apt-get did not provide it")
	}
	fmt.Println("deps: all programs are here")
	return nil
}

// mayNotInstall says why this run cannot install, or "".
func mayNotInstall() string {
	if _, err := exec.LookPath("apt-get"); err != nil {
		return "this machine has no apt-get; install it your system's way"
	}
	if os.Geteuid() != 0 {
		return "installing needs root"
	}
	return ""
}

func tellMissing(list []debianPackage, why string) error {
	fmt.Printf("deps: missing (%s):\n", why)
	for _, p := range list {
		fmt.Printf("  %-16s %s\n", p.name, strings.Join(p.lacking(), ", "))
	}
	fmt.Println("  on Debian: sudo apt-get install -y --no-install-recommends " + strings.Join(packageNames(list), " "))
	return errMissing
}

func packageNames(list []debianPackage) []string {
	var out []string
	for _, p := range list {
		out = append(out, p.name)
	}
	return out
}

// install asks apt-get once; with fresh lists when that fails, and then
// package by package, so that one that cannot be had stops no other.
func install(ctx context.Context, list []debianPackage) (err error) {
	restore, err := keepDaemonsDown(policyFile)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, restore()) }()
	names := packageNames(list)
	if aptGet(ctx, names...) == nil {
		return nil
	}
	if err := command(ctx, "apt-get", "update", "-q").Run(); err != nil {
		return fmt.Errorf("apt-get update: %w; check the machine's network and sources", err)
	}
	if aptGet(ctx, names...) == nil {
		return nil
	}
	for _, name := range names {
		if err := aptGet(ctx, name); err != nil && ctx.Err() != nil {
			return ctx.Err()
		}
	}
	return nil
}

func aptGet(ctx context.Context, names ...string) error {
	args := append([]string{"install", "-y", "-q", "--no-install-recommends"}, names...)
	cmd := command(ctx, "apt-get", args...)
	cmd.Env = append(os.Environ(), "DEBIAN_FRONTEND=noninteractive")
	return cmd.Run()
}

// command prepares a program that writes where this one does, and reads
// nothing.
func command(ctx context.Context, name string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	return cmd
}
