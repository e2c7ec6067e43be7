package identity

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/portreeve/portreeve/internal/host/owner/rootfs"
)

// Executable is the file that a process runs.
type Executable struct {
	// Path is the path that the kernel shows, without its mark for a deleted
	// file; "" when it may not be read or there is none (kernel threads).
	Path string
	// InRoot is the path within the process's own root; "" when the file is
	// outside of it (a program that entered a container).
	InRoot string
	// Deleted: the file was unlinked and its path names no file. Replaced:
	// another file stands there. Memory: it never was on disk (memfd_create).
	Deleted, Replaced, Memory bool
	// Err is why Path is empty: fs.ErrPermission, or fs.ErrNotExist for a
	// process without an executable.
	Err error
}

const (
	deletedMark  = " (deleted)" // d_path(), fs/d_path.c
	memoryPrefix = "/memfd:"    // memfd_create(2)
)

func readExecutable(dir string) Executable {
	link, err := os.Readlink(filepath.Join(dir, "exe"))
	if err != nil {
		return Executable{Err: err}
	}
	running, err := os.Stat(filepath.Join(dir, "exe"))
	if err != nil {
		running = nil // a copied proc tree: only names are left to judge by
	}
	files, err := rootfs.Open(filepath.Join(dir, "root"))
	if err != nil {
		return unseenRoot(link)
	}
	defer files.Close()
	top, err := os.Readlink(filepath.Join(dir, "root"))
	if err != nil {
		return unseenRoot(link)
	}
	return judge(link, top, running, files)
}

// unseenRoot is the answer where the process's files cannot be looked at:
// whether " (deleted)" is part of the name is not known then.
func unseenRoot(link string) Executable {
	if strings.HasPrefix(link, memoryPrefix) {
		return inMemory(link)
	}
	return Executable{Path: text(link)}
}

func inMemory(link string) Executable {
	return Executable{Path: text(strings.TrimSuffix(link, deletedMark)), Deleted: true, Memory: true}
}

// judge compares the running file with what stands at its path now.
func judge(link, top string, running fs.FileInfo, files *rootfs.FS) Executable {
	if running != nil && same(files, inside(link, top), running) {
		return Executable{Path: text(link), InRoot: inside(link, top)}
	}
	name, unlinked := strings.CutSuffix(link, deletedMark)
	if strings.HasPrefix(link, memoryPrefix) && unlinked {
		return inMemory(link)
	}
	inRoot := inside(name, top)
	if !unlinked {
		return linked(name, inRoot, running, files)
	}
	now, err := files.Lstat(inRoot)
	exe := Executable{Path: text(name), InRoot: inRoot}
	switch {
	case err == nil && running != nil && os.SameFile(now, running): // linked there again
	case err == nil:
		exe.Replaced = true
	case gone(err):
		exe.Deleted = true
	}
	return exe
}

// linked is a file that is not deleted and yet not at its path in the
// process's root: it is outside of the root, or something is mounted over it.
func linked(name, inRoot string, running fs.FileInfo, files *rootfs.FS) Executable {
	if running == nil {
		if _, err := files.Lstat(inRoot); err == nil {
			return Executable{Path: text(name), InRoot: inRoot}
		}
	}
	return Executable{Path: text(name)}
}

func same(files *rootfs.FS, name string, running fs.FileInfo) bool {
	info, err := files.Lstat(name)
	return err == nil && os.SameFile(info, running)
}

// inside strips the process's root folder from a path of its mount namespace.
func inside(name, top string) string {
	if rest, ok := strings.CutPrefix(name, strings.TrimSuffix(top, "/")+"/"); ok {
		return "/" + rest
	}
	return name
}
