package tamper

import (
	"fmt"
	"io/fs"
	"path"

	"github.com/portreeve/portreeve/internal/host/owner/accounts"
	"github.com/portreeve/portreeve/internal/host/owner/rootfs"
)

// Context is what the check needs to know of a root.
type Context struct {
	Files  *rootfs.FS
	Users  accounts.Users
	Groups accounts.Groups
	// User and Group translate a number of the file system into the root's
	// own; nil where they are the same.
	User, Group func(id uint32) (uint32, bool)
}

// Who says who may write or replace the file at a path without symbolic
// links; "" when nobody but its owner and root may, or when it cannot be
// looked at.
//
// at is the file or folder whose mode allows it.
func (c *Context) Who(name string) (why, at string) {
	info, err := c.Files.Lstat(name)
	if err != nil {
		return "", ""
	}
	file, ok := c.entry(info)
	if !ok {
		return "", ""
	}
	if who := c.writers(file, file.uid); who != "" {
		return fmt.Sprintf("%s may write %s (mode %04o)", who, name, file.mode), name
	}
	return c.folders(name, file.uid)
}

// folders checks every folder from the file's own up to the root.
func (c *Context) folders(name string, owner uint32) (why, at string) {
	for child, dir := owner, path.Dir(name); ; dir = path.Dir(dir) {
		info, err := c.Files.Lstat(dir)
		if err != nil {
			return "", ""
		}
		folder, ok := c.entry(info)
		if !ok {
			return "", ""
		}
		if who := c.replacers(folder, child, owner); who != "" {
			return fmt.Sprintf("%s may replace files in %s (mode %04o)", who, dir, folder.mode), dir
		}
		if dir == "/" {
			return "", ""
		}
		child = folder.uid
	}
}

// entry is what counts of a file: its owner, its group and its mode with the
// sticky bit as 01000.
type entry struct {
	uid, gid uint32
	mode     uint32
}

const (
	sticky      = 0o1000
	groupWrites = 0o020
	otherWrites = 0o002
)

func (c *Context) entry(info fs.FileInfo) (entry, bool) {
	uid, gid, ok := ids(info)
	if !ok {
		return entry{}, false
	}
	e := entry{uid: inside(c.User, uid), gid: inside(c.Group, gid), mode: uint32(info.Mode().Perm())}
	if info.Mode()&fs.ModeSticky != 0 {
		e.mode |= sticky
	}
	return e, true
}

// nobody is the kernel's number for users outside of a user namespace
// (overflowuid, /proc/sys/fs/overflowuid).
const nobody = 65534

func inside(translate func(uint32) (uint32, bool), id uint32) uint32 {
	if translate == nil {
		return id
	}
	if in, ok := translate(id); ok {
		return in
	}
	return nobody
}

// replacers says who may remove or rename what is in a folder. In a sticky
// folder only the owners of the folder and of the thing may (unlink(2),
// EPERM).
func (c *Context) replacers(folder entry, child, owner uint32) string {
	if folder.uid != 0 && folder.uid != owner {
		return "user " + c.Users.Name(folder.uid)
	}
	if folder.mode&sticky != 0 {
		if child != 0 && child != owner {
			return "user " + c.Users.Name(child)
		}
		return ""
	}
	return c.writers(folder, owner)
}

// writers says who beside the owner and root the mode lets write.
func (c *Context) writers(e entry, owner uint32) string {
	if e.mode&otherWrites != 0 {
		return "everyone"
	}
	if e.mode&groupWrites == 0 || e.gid == 0 {
		return ""
	}
	members, known := c.Groups.Members(e.gid, c.Users)
	for _, uid := range members {
		if uid != 0 && uid != owner {
			return "group " + c.Groups.Name(e.gid)
		}
	}
	if !known {
		return "group " + c.Groups.Name(e.gid)
	}
	return ""
}
