package rootfs

import (
	"errors"
	"path/filepath"
	"syscall"
	"testing"
)

// A pipe in a file's place does not make the reader wait for a writer.
func TestPipe(t *testing.T) {
	f, dir := open(t)
	must(t, syscall.Mkfifo(filepath.Join(dir, "usr/pipe"), 0o644))
	if _, err := f.ReadFile("/usr/pipe", 100); !errors.Is(err, ErrNotRegular) {
		t.Errorf("%v", err)
	}
	sub, err := f.Sub("/usr")
	must(t, err)
	defer sub.Close()
	for _, read := range []func(string, []byte, int64) ([]byte, error){sub.ReadInto, sub.readInto} {
		if _, err := read("pipe", nil, 100); !errors.Is(err, ErrNotRegular) {
			t.Errorf("%v", err)
		}
	}
}
