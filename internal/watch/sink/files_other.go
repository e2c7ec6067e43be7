//go:build !linux

package sink

import (
	"fmt"
	"os"
)

// lockFile opens the file only: the watch runs on Linux, and other systems
// have no lock that is the same everywhere.
func lockFile(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("lock the spool: %w", err)
	}
	return f, nil
}

func unlockFile(f *os.File) { _ = f.Close() }

// syncDir: not every system can; the segments themselves are synced.
func syncDir(string) error { return nil }
