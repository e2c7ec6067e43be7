package event

import (
	"encoding/binary"
	"errors"
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

// cgroups names cgroups by their number.
type cgroups struct {
	mount int // descriptor of the tree's root; -1 without
	root  string
	paths map[uint64]string
}

func openCgroups(given string) *cgroups {
	g := &cgroups{mount: -1, paths: map[uint64]string{}}
	root, err := cgroupRoot(given)
	if err != nil {
		return g
	}
	g.root = root
	if fd, err := unix.Open(root, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0); err == nil {
		g.mount = fd
	}
	return g
}

func (g *cgroups) close() error {
	if g.mount < 0 {
		return nil
	}
	err := unix.Close(g.mount)
	g.mount = -1
	return err
}

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
	if g.mount < 0 {
		return "/"
	}
	handle := unix.NewFileHandle(fileidKernfs, binary.NativeEndian.AppendUint64(nil, id))
	fd, err := unix.OpenByHandleAt(g.mount, handle, unix.O_PATH|unix.O_CLOEXEC)
	if err != nil {
		return "/"
	}
	defer unix.Close(fd)
	full, err := os.Readlink("/proc/self/fd/" + strconv.Itoa(fd))
	if err != nil {
		return "/"
	}
	below, err := filepath.Rel(g.root, strings.TrimSuffix(full, " (deleted)"))
	if err != nil || below == "." {
		return "/"
	}
	return "/" + below
}
