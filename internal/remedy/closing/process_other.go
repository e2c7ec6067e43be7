//go:build !linux

package closing

import (
	"context"
	"os"
	"syscall"

	"github.com/portreeve/portreeve/internal/remedy"
)

func supported() error {
	return fail(remedy.Unsupported, "ports are closed on Linux only", remedy.ErrUnsupported)
}

func start(*record) error { return supported() }

func runDetached(ctx context.Context, stdin []byte, name string, args ...string) ([]byte, error) {
	return remedy.RunProgram(ctx, stdin, name, args...)
}

func owned(*os.File, os.FileInfo, string) error { return supported() }

func private(...string) error { return supported() }

func signalNamed(string) os.Signal { return syscall.Signal(0) }
