package rootfs

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"

	"golang.org/x/sys/unix"
)

// ReadInto is ReadFile for many files of one directory, given relative to it:
// no symbolic link is followed, and buf is used again where it is large
// enough. It saves half of what os.Root costs for a small file.
func (f *FS) ReadInto(name string, buf []byte, limit int64) ([]byte, error) {
	dir, err := f.directory()
	if err != nil {
		return nil, err
	}
	fd, err := unix.Openat2(int(dir.Fd()), name, &unix.OpenHow{
		Flags:   unix.O_RDONLY | unix.O_NONBLOCK | unix.O_CLOEXEC,
		Resolve: unix.RESOLVE_BENEATH | unix.RESOLVE_NO_SYMLINKS,
	})
	switch {
	case errors.Is(err, unix.ENOSYS) || errors.Is(err, unix.EPERM) || errors.Is(err, unix.EAGAIN):
		return f.readInto(name, buf, limit) // before Linux 5.6, a sandbox without the call, a race
	case err != nil:
		return nil, &fs.PathError{Op: "openat2", Path: name, Err: err}
	}
	defer unix.Close(fd)
	return readDescriptor(fd, name, buf, limit)
}

func readDescriptor(fd int, name string, buf []byte, limit int64) ([]byte, error) {
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return nil, &fs.PathError{Op: "fstat", Path: name, Err: err}
	}
	if st.Mode&unix.S_IFMT != unix.S_IFREG {
		return nil, fmt.Errorf("read %s: %w", name, ErrNotRegular)
	}
	if st.Size > limit {
		return nil, fmt.Errorf("read %s: %w (%d bytes)", name, ErrTooLarge, limit)
	}
	buf = slices.Grow(buf[:0], int(st.Size))[:st.Size]
	have := 0
	for have < len(buf) {
		n, err := unix.Read(fd, buf[have:])
		switch {
		case errors.Is(err, unix.EINTR):
		case err != nil:
			return nil, &fs.PathError{Op: "read", Path: name, Err: err}
		case n == 0: // it was cut meanwhile
			return buf[:have], nil
		default:
			have += n
		}
	}
	return buf, nil
}
