package event

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

var errNoCgroup = errors.New("no cgroup2 tree is mounted")

// cgroupRoot finds where the cgroup2 tree is mounted.
func cgroupRoot(given string) (string, error) {
	if given != "" {
		return given, nil
	}
	text, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return "", err
	}
	for line := range strings.Lines(string(text)) {
		before, after, ok := strings.Cut(line, " - ")
		fields := strings.Fields(before)
		// The whole tree and no part of it: root "/" (proc_pid_mountinfo(5)).
		if ok && strings.HasPrefix(after, "cgroup2 ") && len(fields) > 4 && fields[3] == "/" {
			return fields[4], nil
		}
	}
	return "", errNoCgroup
}

// openCgroupRoot opens the root of the cgroup2 tree. Where no mount of it can be
// seen, as under `ip netns exec`, a mount is made that nobody else sees and
// that ends with the descriptor.
func openCgroupRoot(given string) (*os.File, error) {
	path, err := cgroupRoot(given)
	if err == nil {
		return os.Open(path)
	}
	if !errors.Is(err, errNoCgroup) {
		return nil, err
	}
	f, merr := detachedCgroup()
	if merr != nil {
		return nil, fmt.Errorf("%w, and mounting it for this process alone failed: %w", err, merr)
	}
	return f, nil
}

func detachedCgroup() (*os.File, error) {
	fs, err := unix.Fsopen("cgroup2", unix.FSOPEN_CLOEXEC)
	if err != nil {
		return nil, err
	}
	defer unix.Close(fs)
	if err := unix.FsconfigCreate(fs); err != nil {
		return nil, err
	}
	fd, err := unix.Fsmount(fs, unix.FSMOUNT_CLOEXEC, unix.MOUNT_ATTR_NODEV|unix.MOUNT_ATTR_NOEXEC|unix.MOUNT_ATTR_NOSUID)
	if err != nil {
		return nil, err
	}
	return os.NewFile(uintptr(fd), "cgroup2"), nil
}

// cgroups names cgroups by their number.
type cgroups struct {
	root  *os.File
	top   string // the root's path, as the kernel shows it
	paths map[uint64]string
}

func newCgroups(root *os.File) *cgroups {
	g := &cgroups{root: root, paths: map[uint64]string{}}
	g.top, _ = os.Readlink(fdPath(int(root.Fd())))
	return g
}

func (g *cgroups) close() error { return g.root.Close() }

func fdPath(fd int) string { return "/proc/self/fd/" + strconv.Itoa(fd) }

// fileidKernfs is FILEID_KERNFS (linux/exportfs.h): the handle is the number.
const fileidKernfs = 0xfe

// path is a cgroup's path below the tree's root, "/" where it is not known:
// to open a file by its handle needs CAP_DAC_READ_SEARCH.
func (g *cgroups) path(id uint64) string {
	if path, ok := g.paths[id]; ok {
		return path
	}
	path := g.find(id)
	if len(g.paths) > maxNames {
		clear(g.paths)
	}
	g.paths[id] = path
	return path
}

func (g *cgroups) find(id uint64) string {
	handle := unix.NewFileHandle(fileidKernfs, binary.NativeEndian.AppendUint64(nil, id))
	fd, err := unix.OpenByHandleAt(int(g.root.Fd()), handle, unix.O_PATH|unix.O_CLOEXEC)
	if err != nil {
		return "/"
	}
	defer unix.Close(fd)
	full, err := os.Readlink(fdPath(fd))
	if err != nil {
		return "/"
	}
	below, err := filepath.Rel(g.top, strings.TrimSuffix(full, " (deleted)"))
	if err != nil || below == "." {
		return "/"
	}
	return "/" + below
}
