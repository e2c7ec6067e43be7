package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// systems are the platforms that must always build.
func systems() []string {
	return []string{
		"linux/amd64", "linux/arm64", "linux/386",
		"windows/amd64", "windows/arm64",
		"darwin/amd64", "darwin/arm64",
		"freebsd/amd64", "openbsd/amd64",
		"aix/ppc64",
	}
}

// cross builds every package for every system without cgo, and links the
// program.
func cross(ctx context.Context, only []string) error {
	if len(only) == 0 {
		only = systems()
	}
	dir, err := os.MkdirTemp("", "portreeve-cross")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	for _, system := range only {
		if err := buildFor(ctx, system, dir); err != nil {
			return err
		}
	}
	return nil
}

func buildFor(ctx context.Context, system, dir string) error {
	goos, goarch, ok := strings.Cut(system, "/")
	if !ok {
		return fmt.Errorf("%q is no system: write it as linux/arm64", system)
	}
	start := time.Now()
	env := append(os.Environ(), "CGO_ENABLED=0", "GOOS="+goos, "GOARCH="+goarch)
	for _, args := range [][]string{
		{"build", "./..."},
		{"build", "-o", filepath.Join(dir, "portreeve"), "./cmd/portreeve"},
	} {
		cmd := command(ctx, "go", args...)
		cmd.Env = env
		if err := cmd.Run(); err != nil {
			return fmt.Errorf("build for %s: go %s: %w", system, strings.Join(args, " "), err)
		}
	}
	fmt.Printf("cross: %-15s builds (%.1f s)\n", system, time.Since(start).Seconds())
	return nil
}
