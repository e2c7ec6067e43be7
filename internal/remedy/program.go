package remedy

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// run is the default Runner. Programs are never asked in the user's language.
func run(ctx context.Context, stdin []byte, name string, args ...string) ([]byte, error) {
	cmd := exec.CommandContext(ctx, findProgram(name), args...)
	cmd.Env = append(os.Environ(), "LC_ALL=C")
	cmd.Stdin = bytes.NewReader(stdin)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err == nil {
		return out, nil
	}
	said := stderr.String()
	if strings.TrimSpace(said) == "" {
		said = string(out)
	}
	return out, &programError{name: name, said: firstLines(said), err: err}
}

// programError is a program that failed, with what it said.
type programError struct {
	name, said string
	err        error
}

func (e *programError) Error() string {
	if e.said == "" {
		return fmt.Sprintf("%s: %v", e.name, e.err)
	}
	return fmt.Sprintf("%s: %s (%v)", e.name, e.said, e.err)
}

func (e *programError) Unwrap() error { return e.err }

// firstLines keeps what fits an error: nft shows the line and marks it.
func firstLines(s string) string {
	const mostLines, mostBytes = 12, 2000
	lines := strings.Split(strings.TrimRight(s, "\n "), "\n")
	if len(lines) > mostLines {
		lines = append(lines[:mostLines:mostLines], "…")
	}
	s = strings.Join(lines, "\n")
	if len(s) > mostBytes {
		s = strings.ToValidUTF8(s[:mostBytes], "") + "…"
	}
	return s
}

// findProgram looks where administrators' programs are even when PATH does
// not.
func findProgram(name string) string {
	if _, err := exec.LookPath(name); err == nil {
		return name
	}
	for _, dir := range []string{"/usr/sbin", "/sbin", "/usr/local/sbin"} {
		if path, err := exec.LookPath(filepath.Join(dir, name)); err == nil {
			return path
		}
	}
	return name
}

// missing reports that a program is not installed.
func missing(err error) bool { return errors.Is(err, exec.ErrNotFound) }

// wrong tells a missing program from one that failed.
func wrong(r Reason, what, pkg string, err error) error {
	if missing(err) {
		return fail(NoProgram, what, err).hint("install the package " + pkg + " (Debian, Fedora), then try again")
	}
	return as(r, what, err)
}
