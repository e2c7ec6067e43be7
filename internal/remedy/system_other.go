//go:build !linux

package remedy

import (
	"context"
	"os"
	"time"
)

// machineClock answers ErrUnsupported: changes are made on Linux only.
type machineClock struct{}

func (machineClock) Now() time.Time { return time.Now() }

func (machineClock) SinceBoot() (time.Duration, error) { return 0, ErrUnsupported }

func (machineClock) Boot() (string, error) { return "", ErrUnsupported }

func (machineClock) Sleep(context.Context, time.Duration) {}

func supported() error { return fail(Unsupported, "rules cannot be applied here", ErrUnsupported) }

func privileged() error { return ErrUnsupported }

func syncDir(string) error { return ErrUnsupported }

func lock(context.Context, string) (func(), error) { return nil, ErrUnsupported }

func makeStateDir(string) error { return ErrUnsupported }

func inScratch(func() error) error { return &noScratch{ErrUnsupported} }

func startGuard([]string, *os.File, *os.File, *os.File) error { return ErrUnsupported }

func settle() {}
