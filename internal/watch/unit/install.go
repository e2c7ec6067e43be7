package unit

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// Folder is where an administrator's units are.
const Folder = "/etc/systemd/system"

// booted is there while systemd is the service manager (sd_booted(3)).
const booted = "/run/systemd/system"

// Errors of the service's place.
var (
	// ErrNotOurs: a unit of that name was written by somebody else.
	ErrNotOurs = errors.New("it was not written by portreeve; nothing was changed")
	// ErrNoSystemd: there is no service manager to tell.
	ErrNoSystemd = errors.New("systemd does not run here; nothing was changed")
	// ErrNotThere: there is nothing to remove.
	ErrNotThere = errors.New("it is not installed")
)

// PartError: some of it was done, and what.
type PartError struct {
	Done []string
	Err  error
}

func (e *PartError) Error() string { return e.Err.Error() }
func (e *PartError) Unwrap() error { return e.Err }

// Path of the unit.
func Path() string { return filepath.Join(Folder, Name) }

const systemctlWithin = 90 * time.Second

// check refuses before anything is done.
func check() error {
	if st, err := os.Stat(booted); err != nil || !st.IsDir() {
		return fmt.Errorf("%s: %w", booted, ErrNoSystemd)
	}
	if _, err := exec.LookPath("systemctl"); err != nil {
		return fmt.Errorf("systemctl: %w (%v)", ErrNoSystemd, err)
	}
	return nil
}

// present reads the unit that is there; "" for none.
func present() (string, error) {
	st, err := os.Lstat(Path())
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	if err == nil && !st.Mode().IsRegular() {
		return "", fmt.Errorf("%s is no plain file (masked, or a link): %w", Path(), ErrNotOurs)
	}
	b, err := os.ReadFile(Path())
	if err != nil {
		return "", fmt.Errorf("read the unit that is there: %w", err)
	}
	if !IsOurs(string(b)) {
		return "", fmt.Errorf("%s: %w", Path(), ErrNotOurs)
	}
	return string(b), nil
}

// Install writes the unit, has it read, and starts it now and at each start of
// the machine; a unit of ours that is there already is replaced and restarted.
// done says what was done. An error after the first step is a *PartError.
func Install(ctx context.Context, content string) (done []string, err error) {
	if err := check(); err != nil {
		return nil, err
	}
	old, err := present()
	if err != nil {
		return nil, err
	}
	if err := write(Path(), content); err != nil {
		return nil, err
	}
	done = append(done, "wrote "+Path())
	steps := [][]string{{"daemon-reload"}, {"enable", Name}, {"restart", Name}}
	if old == "" {
		steps = [][]string{{"daemon-reload"}, {"enable", "--now", Name}}
	}
	return run(ctx, done, steps)
}

// Remove stops the service and takes its unit away. State, configuration and
// logs stay.
func Remove(ctx context.Context) (done []string, err error) {
	old, err := present()
	if err != nil {
		return nil, err
	}
	if old == "" {
		return nil, fmt.Errorf("%s: %w", Path(), ErrNotThere)
	}
	if err := check(); err != nil {
		return nil, err
	}
	if done, err = run(ctx, nil, [][]string{{"disable", "--now", Name}}); err != nil {
		return done, err
	}
	if err := os.Remove(Path()); err != nil {
		return done, &PartError{done, fmt.Errorf("remove the unit: %w", err)}
	}
	return run(ctx, append(done, "removed "+Path()), [][]string{{"daemon-reload"}})
}

func run(ctx context.Context, done []string, steps [][]string) ([]string, error) {
	for _, args := range steps {
		if err := systemctl(ctx, args); err != nil {
			if len(done) == 0 {
				return nil, err
			}
			return done, &PartError{done, err}
		}
		done = append(done, "systemctl "+strings.Join(args, " "))
	}
	return done, nil
}

func systemctl(ctx context.Context, args []string) error {
	ctx, cancel := context.WithTimeout(ctx, systemctlWithin)
	defer cancel()
	out, err := exec.CommandContext(ctx, "systemctl", args...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("systemctl %s: %w: %s", strings.Join(args, " "), err, strings.TrimSpace(string(bytes.ToValidUTF8(out, []byte("?")))))
	}
	return nil
}

// write puts the whole file in its place at once.
func write(path, content string) error {
	f, err := os.CreateTemp(filepath.Dir(path), ".portreeve-*")
	if err != nil {
		return fmt.Errorf("write the unit: %w", err)
	}
	defer os.Remove(f.Name()) // gone already when all went well
	_, err = f.WriteString(content)
	for _, next := range []func() error{
		func() error { return f.Chmod(0o644) }, f.Sync, f.Close, func() error { return os.Rename(f.Name(), path) },
	} {
		if err == nil {
			err = next()
		}
	}
	if err != nil {
		_ = f.Close()
		return fmt.Errorf("write the unit: %w", err)
	}
	return nil
}
