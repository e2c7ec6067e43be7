package holders

import (
	"errors"
	"strconv"
	"unsafe"

	"golang.org/x/sys/unix"
)

const (
	maxWorkers = 8
	minShare   = 16 // processes for which another worker is worth starting
)

// scratch is one worker's memory: reading a descriptor allocates nothing.
type scratch struct {
	entries []byte   // one block of directory entries
	threads []byte   // the same for task directories
	name    []byte   // a path below the proc root, NUL at its end
	link    [64]byte // a link's text; a longer one is no socket
}

func newScratch() *scratch {
	return &scratch{entries: make([]byte, 32<<10), threads: make([]byte, 8<<10), name: make([]byte, 0, 64)}
}

// path gives "PID" + suffix; it is valid until the next call.
func (s *scratch) path(pid int32, suffix string) *byte {
	s.name = strconv.AppendInt(s.name[:0], int64(pid), 10)
	s.name = append(append(s.name, suffix...), 0)
	return &s.name[0]
}

// threadPath gives "PID/task/TID/fd"; it is valid until the next call.
func (s *scratch) threadPath(pid, tid int32) *byte {
	s.name = strconv.AppendInt(s.name[:0], int64(pid), 10)
	s.name = strconv.AppendInt(append(s.name, "/task/"...), int64(tid), 10)
	s.name = append(s.name, "/fd\x00"...)
	return &s.name[0]
}

func openDir(at int, path string) (int, error) {
	return unix.Openat(at, path, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
}

// openAt is openDir without the allocation of a path.
func openAt(at int, name *byte) (int, error) {
	for {
		fd, _, errno := unix.Syscall6(unix.SYS_OPENAT, uintptr(at), uintptr(unsafe.Pointer(name)),
			unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0, 0, 0)
		if errno == 0 {
			return int(fd), nil
		}
		if errno != unix.EINTR {
			return -1, errno
		}
	}
}

func getdents(dir int, block []byte) (int, error) {
	for {
		n, err := unix.Getdents(dir, block)
		if !errors.Is(err, unix.EINTR) {
			return max(n, 0), err
		}
	}
}

func readlink(dir int, name *byte, buf []byte) (int, unix.Errno) {
	n, _, errno := unix.Syscall6(unix.SYS_READLINKAT, uintptr(dir), uintptr(unsafe.Pointer(name)),
		uintptr(unsafe.Pointer(&buf[0])), uintptr(len(buf)), 0, 0)
	if errno != 0 {
		return 0, errno
	}
	return int(n), 0
}

// numbers lists the entries of a directory that are numbers.
func numbers(dir int, s *scratch) ([]int32, error) {
	var list []int32
	for {
		n, err := getdents(dir, s.entries)
		if err != nil || n == 0 {
			return list, err
		}
		for name := range entryNames(s.entries[:n]) {
			if pid, ok := number(name); ok && pid > 0 {
				list = append(list, pid)
			}
		}
	}
}

func ended(err error) bool { return errors.Is(err, unix.ENOENT) || errors.Is(err, unix.ESRCH) }

func denied(err error) bool {
	return errors.Is(err, unix.EACCES) || errors.Is(err, unix.EPERM) || errors.Is(err, errReadDenied)
}

func fstatat(at int, name *byte, st *unix.Stat_t) error {
	return unix.Fstatat(at, unix.BytePtrToString(name), st, 0)
}
