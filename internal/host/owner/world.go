package owner

import (
	"context"
	"os"
	"path/filepath"
	"strconv"

	"github.com/portreeve/portreeve/internal/host/owner/accounts"
	"github.com/portreeve/portreeve/internal/host/owner/identity"
	"github.com/portreeve/portreeve/internal/host/owner/pkgdb"
	"github.com/portreeve/portreeve/internal/host/owner/rootfs"
	"github.com/portreeve/portreeve/internal/host/owner/tamper"
)

// world is one root directory and what its files say: the host's own, or that
// of a container or chroot.
type world struct {
	files    *rootfs.FS
	host     bool
	users    accounts.Users
	groups   accounts.Groups
	packages map[string]pkgdb.Answer // by path of an executable
	writers  map[string]tampering    // by path of an executable
}

func newWorld(files *rootfs.FS, host bool) *world {
	w := &world{files: files, host: host, packages: map[string]pkgdb.Answer{}, writers: map[string]tampering{}}
	w.users, w.groups = accounts.Read(files)
	return w
}

// user names a process's user as the root's own files do. A user that they
// do not hold is named by number, as the reader sees it.
func (w *world) user(id *identity.Identity) string {
	if w.host {
		return w.users.Name(id.UID)
	}
	if inside, ok := id.UIDs.Inside(id.UID); ok {
		if user, ok := w.users.ByID(inside); ok {
			return user.Name
		}
	}
	return number(id.UID)
}

func number(uid uint32) string { return strconv.FormatUint(uint64(uid), 10) }

// lookUp asks the package databases about all executables at once.
func (w *world) lookUp(ctx context.Context, paths []string) {
	var missing []string
	for _, p := range paths {
		if _, known := w.packages[p]; !known {
			missing = append(missing, p)
		}
	}
	if len(missing) == 0 {
		return
	}
	for p, answer := range pkgdb.Lookup(ctx, pkgdb.Root{Files: w.files, Host: w.host}, missing) {
		w.packages[p] = answer
	}
}

// writable says who else may write or replace an executable.
func (w *world) writable(id *identity.Identity) tampering {
	p := id.Exe.InRoot
	found, known := w.writers[p]
	if !known {
		c := tamper.Context{Files: w.files, Users: w.users, Groups: w.groups}
		if !w.host {
			c.User, c.Group = id.UIDs.Inside, id.GIDs.Inside
		}
		found.why, found.at = c.Who(p)
		w.writers[p] = found
	}
	return found
}

// tampering is who else may change an executable, and the file or folder whose
// mode allows it.
type tampering struct{ why, at string }

// worlds opens the roots of processes, each once.
type worlds struct {
	procRoot string
	host     *world
	byNS     map[string]*world
}

// of gives the root of a process; nil when it may not be read.
func (ws *worlds) of(id *identity.Identity) *world {
	if id.MountNS == "" {
		return nil
	}
	w, known := ws.byNS[id.MountNS]
	if !known {
		w = ws.open(id.PID)
		ws.byNS[id.MountNS] = w
	}
	return w
}

func (ws *worlds) open(pid int32) *world {
	files, err := rootfs.Open(filepath.Join(ws.procRoot, strconv.Itoa(int(pid)), "root"))
	if err != nil {
		return nil
	}
	if ws.host != nil && sameRoot(files, ws.host.files) {
		_ = files.Close()
		return ws.host
	}
	return newWorld(files, false)
}

func sameRoot(a, b *rootfs.FS) bool {
	ai, aerr := a.Info()
	bi, berr := b.Info()
	return aerr == nil && berr == nil && os.SameFile(ai, bi)
}

// close frees the roots of containers, which would otherwise stay busy.
func (ws *worlds) close() {
	for _, w := range ws.byNS {
		if w != nil && w != ws.host {
			_ = w.files.Close()
		}
	}
}
