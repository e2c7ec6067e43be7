package host

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"

	"github.com/portreeve/portreeve/internal/exposure"
	"github.com/portreeve/portreeve/internal/host/procfs"
	"golang.org/x/sys/unix"
)

// place is a network namespace and the files through which it can be entered.
type place struct {
	inode uint64 // 0 when only a process's net/ tells of it
	name  string
	paths []string
	// dir is the directory of a process or thread that lives there: its net/
	// can be read without entering, and without privilege.
	dir string
	// device is the inode of the namespace's net/dev in /proc. It is the same
	// for all processes of one namespace, and readable where ns/net is not.
	device uint64
}

// census is every network namespace that could be found.
type census struct {
	places []place // the caller's own first, then by name and inode
	// denied are the processes whose ns/net may not be read.
	denied []string
	// unseen counts those of them whose namespace could not be told at all.
	unseen int
}

// selfFile is the calling thread's namespace; /proc/self would be the main
// thread's.
const selfFile = "thread-self/ns/net"

func netnsInode(path string) (uint64, error) {
	var st unix.Stat_t
	if err := unix.Stat(path, &st); err != nil {
		return 0, err
	}
	return st.Ino, nil
}

// takeCensus finds namespaces through the processes and threads that live in
// them, through bind mounts, and through descriptors that hold them.
func (r *Reader) takeCensus(ctx context.Context, self uint64) (census, error) {
	found := map[uint64]*place{}
	var c census
	r.named(found)
	entries, err := os.ReadDir(r.proc())
	if err != nil {
		return c, fmt.Errorf("list processes: %w", err)
	}
	for _, e := range entries {
		if err := ctx.Err(); err != nil {
			return c, err
		}
		if name := e.Name(); name[0] >= '1' && name[0] <= '9' {
			c.process(filepath.Join(r.proc(), name), found)
		}
	}
	hidden := c.identify(r.proc(), found)
	c.places = append(ordered(found, self), hidden...)
	return c, nil
}

// identify finds the namespaces of the processes that may not be asked, by
// their net/dev. Those that no readable process shares are places of their
// own, without an nsfs inode.
func (c *census) identify(proc string, found map[uint64]*place) []place {
	if len(c.denied) == 0 {
		return nil
	}
	known := map[uint64]*place{}
	for _, p := range found {
		if p.dir != "" {
			p.device, _ = netnsInode(p.dir + "/net/dev")
			known[p.device] = p
		}
	}
	var order []uint64
	for _, dir := range c.denied {
		device, err := netnsInode(dir + "/net/dev")
		switch {
		case errors.Is(err, os.ErrNotExist):
			continue // it ended
		case err != nil:
			c.unseen++
		case known[device] == nil:
			known[device] = &place{dir: dir, device: device}
			order = append(order, device)
		}
	}
	var out []place
	for _, device := range order {
		out = append(out, *known[device])
	}
	return out
}

// named finds bind-mounted namespaces: /run/netns of `ip netns`, and those of
// container runtimes wherever they are.
func (r *Reader) named(found map[uint64]*place) {
	mounts, err := procfs.Dir{Root: filepath.Join(r.proc(), "thread-self")}.NetNSMounts()
	if err != nil {
		return
	}
	for _, m := range mounts {
		p := at(found, m.Inode)
		p.paths = append(p.paths, m.Path)
		dir, base := filepath.Split(m.Path)
		if p.name == "" && (dir == "/run/netns/" || dir == "/var/run/netns/") {
			p.name = base
		}
	}
}

func at(found map[uint64]*place, inode uint64) *place {
	p := found[inode]
	if p == nil {
		p = &place{inode: inode}
		found[inode] = p
	}
	return p
}

// process notes the namespaces of a process: its own, its threads', and those
// it keeps open.
func (c *census) process(dir string, found map[uint64]*place) {
	path := dir + "/ns/net"
	link, err := os.Readlink(path)
	if errors.Is(err, os.ErrPermission) {
		c.denied = append(c.denied, dir)
		return
	}
	if err != nil {
		return // it ended
	}
	note(found, link, path)
	threads(dir, found)
	descriptors(dir, found)
}

func note(found map[uint64]*place, link, path string) {
	const enough = 4 // paths by which to enter, should one vanish
	inode, ok := procfs.NetNSLink(link)
	if !ok {
		return
	}
	p := at(found, inode)
	if len(p.paths) < enough {
		p.paths = append(p.paths, path)
	}
	if dir, ok := strings.CutSuffix(path, "/ns/net"); ok && p.dir == "" {
		p.dir = dir
	}
}

// threads looks at each thread's own namespace: one may have left its
// process's. A directory's link count tells a single thread without reading.
func threads(dir string, found map[uint64]*place) {
	var st unix.Stat_t
	if err := unix.Stat(dir+"/task", &st); err != nil || st.Nlink <= 3 {
		return
	}
	tasks, err := os.ReadDir(dir + "/task")
	if err != nil {
		return
	}
	for _, t := range tasks {
		path := dir + "/task/" + t.Name() + "/ns/net"
		if link, err := os.Readlink(path); err == nil {
			note(found, link, path)
		}
	}
}

// maxDescriptors is how many descriptors of one process are looked at for
// kept namespaces: programs that keep namespaces open (container runtimes,
// routers) keep few files, servers with many keep sockets.
const maxDescriptors = 256

func descriptors(dir string, found map[uint64]*place) {
	var st unix.Stat_t
	// Since Linux 6.2 the size is the number of open descriptors.
	if err := unix.Stat(dir+"/fd", &st); err != nil || st.Size > maxDescriptors {
		return
	}
	f, err := os.Open(dir + "/fd")
	if err != nil {
		return
	}
	defer f.Close()
	names, _ := f.Readdirnames(maxDescriptors)
	for _, name := range names {
		path := dir + "/fd/" + name
		if link, err := os.Readlink(path); err == nil && strings.HasPrefix(link, "net:") {
			note(found, link, path)
		}
	}
}

func ordered(found map[uint64]*place, self uint64) []place {
	out := make([]place, 0, len(found))
	for _, p := range found {
		out = append(out, *p)
	}
	slices.SortFunc(out, func(a, b place) int {
		if c := boolFirst(a.inode == self, b.inode == self); c != 0 {
			return c
		}
		if c := strings.Compare(a.name, b.name); c != 0 {
			return c
		}
		return cmp.Compare(a.inode, b.inode)
	})
	return out
}

// netns names the namespace. One that has no nsfs inode to show is named by
// its inode in /proc, marked as such.
func (p place) netns() exposure.NetNS {
	if p.inode == 0 {
		return exposure.NetNS{ID: "proc:" + strconv.FormatUint(p.device, 10)}
	}
	return exposure.NetNS{ID: strconv.FormatUint(p.inode, 10), Name: p.name}
}

// choose picks the namespaces that are asked for.
func (c census) choose(want string) ([]place, error) {
	if want == "" || want == AllNetNS {
		return c.places, nil
	}
	for _, p := range c.places {
		if want == p.name || want == strconv.FormatUint(p.inode, 10) {
			return []place{p}, nil
		}
	}
	return nil, fmt.Errorf("network namespace %q: %w (have: %s)", want, ErrNoNamespace, c.names())
}

func (c census) names() string {
	var names []string
	for _, p := range c.places {
		if p.name != "" {
			names = append(names, p.name)
		}
	}
	return strings.Join(append(names, AllNetNS, SelfNetNS), ", ")
}

// errVanished: the namespace ended between being found and being entered.
var errVanished = errors.New("it ended while it was being read")

// inside runs fn on a thread of its own in the namespace, which ends after.
func inside(p place, fn func() error) error {
	done := make(chan error, 1)
	go func() {
		// Never unlocked: a thread that moved must not serve other goroutines.
		runtime.LockOSThread()
		err := p.enter()
		if err == nil {
			err = fn()
		}
		done <- err
	}()
	return <-done
}

// enter moves the calling thread. Every path is tried: the process behind one
// may have ended.
func (p place) enter() error {
	if here, err := netnsInode("/proc/" + selfFile); err == nil && here == p.inode {
		return nil
	}
	err := errVanished
	if p.inode == 0 {
		return unix.EACCES
	}
	for _, path := range p.paths {
		var fd int
		if fd, err = p.open(path); err != nil {
			continue
		}
		err = unix.Setns(fd, unix.CLONE_NEWNET)
		_ = unix.Close(fd)
		if err == nil {
			return nil
		}
	}
	if errors.Is(err, unix.ENOENT) || errors.Is(err, unix.ESRCH) || errors.Is(err, unix.EINVAL) {
		err = errVanished
	}
	return err
}

// open opens a namespace file and makes sure that it is still the same one.
func (p place) open(path string) (int, error) {
	fd, err := unix.Open(path, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return -1, err
	}
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil || st.Ino != p.inode {
		_ = unix.Close(fd)
		return -1, errVanished
	}
	return fd, nil
}
