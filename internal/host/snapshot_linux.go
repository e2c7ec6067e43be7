package host

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"time"

	"github.com/portreeve/portreeve/internal/exposure"
	"github.com/portreeve/portreeve/internal/host/owner"
	"github.com/portreeve/portreeve/internal/host/rtnl"
	"github.com/portreeve/portreeve/internal/host/sockiter"
	"golang.org/x/sys/unix"
)

func (r *Reader) proc() string {
	if r.procRoot == "" {
		return "/proc"
	}
	return r.procRoot
}

func (r *Reader) snapshot(ctx context.Context, o Options) (exposure.Snapshot, error) {
	s := exposure.Snapshot{Taken: time.Now().UTC(), Sockets: []exposure.Socket{}, Gaps: []exposure.Gap{}}
	s.Host, _ = os.Hostname()
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	v, err := r.survey(ctx, o)
	if err != nil {
		return s, err
	}
	s.Self = v.self
	err = v.run(func(row *exposure.Socket) error {
		one := *row
		one.Processes, one.Inodes = slices.Clone(row.Processes), slices.Clone(row.Inodes)
		s.Sockets = append(s.Sockets, one)
		return nil
	})
	s.Gaps = append(s.Gaps, v.gaps...)
	return s, err
}

func (r *Reader) stream(ctx context.Context, o Options, yield func(*exposure.Socket) error) ([]exposure.Gap, error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	v, err := r.survey(ctx, o)
	if err != nil {
		return nil, err
	}
	err = v.run(yield)
	return v.gaps, err
}

// survey is one reading of the host.
type survey struct {
	ctx     context.Context
	r       *Reader
	o       Options
	self    exposure.NetNS
	pending <-chan found
	places  []place
	spaces  []*space // of places that were entered; nil for the others
	owners  *owners
	gaps    []exposure.Gap
	sockets []*candidate // first pass: all that is gathered into rows
	ports   map[portKey]bool
	// iterators are the BPF programs that were needed.
	iterators map[sockiter.Kind]loadedIterator
	// mapper is what the RPC port mapper said; nil before it was needed.
	mapper *mapper
}

type loadedIterator struct {
	it  *sockiter.Iterator
	err error
}

// portKey is a port that something listens on.
type portKey struct {
	ns    *space
	proto exposure.Proto
	port  uint16
}

func (v *survey) gap(format string, args ...any) {
	g := exposure.Gap{View: "host", Why: fmt.Sprintf(format, args...)}
	if !slices.Contains(v.gaps, g) {
		v.gaps = append(v.gaps, g)
	}
}

// survey reads the listening sockets of the namespaces that o asks for. The
// own namespace is read before the look for holders begins, so that a socket
// of it without a holder is not just a newer one; the others meanwhile. The
// caller's thread must be locked, or its namespace has no path to enter by.
func (r *Reader) survey(ctx context.Context, o Options) (*survey, error) {
	v := &survey{ctx: ctx, r: r, o: o, ports: map[portKey]bool{}, iterators: map[sockiter.Kind]loadedIterator{}}
	self, err := netnsInode("/proc/" + selfFile)
	if err != nil {
		return nil, fmt.Errorf("find the own network namespace (is /proc mounted?): %w", err)
	}
	own := r.ownPlace(self)
	v.self = own.netns()
	if everywhere := o.NetNS == "" || o.NetNS == AllNetNS; everywhere || o.NetNS == SelfNetNS {
		v.visit(own)
	}
	for _, c := range v.sockets {
		c.early = true
	}
	v.pending = v.find()
	if o.NetNS == SelfNetNS {
		return v, nil
	}
	return v, v.visitOthers(self)
}

// ownPlace is the calling thread's namespace.
func (r *Reader) ownPlace(self uint64) place {
	found := map[uint64]*place{self: {inode: self, paths: []string{ownPath()}}}
	r.named(found)
	return *found[self]
}

// visitOthers finds the other namespaces and reads those that are asked for.
func (v *survey) visitOthers(self uint64) error {
	c, err := v.r.takeCensus(v.ctx, self)
	if err != nil {
		return err
	}
	places, err := c.choose(v.o.NetNS)
	if err != nil {
		return err
	}
	if c.unseen > 0 && len(places) == len(c.places) {
		v.gap("network namespaces of %d process(es) not seen: reading them needs CAP_SYS_PTRACE, entering them CAP_SYS_ADMIN (run as root)", c.unseen)
	}
	for _, p := range places {
		if len(v.places) == 0 || p.inode != self {
			v.visit(p)
		}
	}
	return nil
}

// ownPath is the calling thread's namespace by a path that other threads can
// open too.
func ownPath() string {
	return "/proc/" + strconv.Itoa(os.Getpid()) + "/task/" + strconv.Itoa(unix.Gettid()) + "/ns/net"
}

// found is the answer of owner.Find.
type found struct {
	table *owner.Table
	err   error
}

// allHeld reports whether every socket that was listed has a holder: then it
// does not matter which processes a walk could not look into.
func allHeld(sockets []*candidate) func(*owner.Table) bool {
	return func(t *owner.Table) bool {
		return !slices.ContainsFunc(sockets, func(c *candidate) bool { return c.inode != 0 && len(t.Holders(c.inode)) == 0 })
	}
}

func (v *survey) find() <-chan found {
	out := make(chan found, 1)
	if v.o.NoOwners {
		out <- found{table: new(owner.Table)}
		return out
	}
	query := owner.Query{ProcRoot: v.r.procRoot, Listening: !v.o.All, Method: v.r.method}
	if v.o.NetNS == SelfNetNS && !v.o.All {
		query.Enough = allHeld(v.sockets)
	}
	go func() {
		table, err := owner.Find(v.ctx, query)
		out <- found{table, err}
	}()
	return out
}

// run makes rows of what was gathered and yields them, then the connections.
func (v *survey) run(yield func(*exposure.Socket) error) error {
	defer v.closeIterators()
	holders := <-v.pending
	if holders.err != nil {
		return fmt.Errorf("find the sockets' holders: %w", holders.err)
	}
	v.owners = newOwners(holders.table, v.r.proc(), v.r.root)
	v.resolve()
	if err := v.ctx.Err(); err != nil {
		return err
	}
	if err := v.yieldRows(yield); err != nil {
		return err
	}
	if v.o.All {
		if err := v.connections(yield); err != nil {
			return err
		}
	}
	if !v.o.NoOwners {
		v.gaps = append(v.gaps, v.owners.gaps()...)
	}
	return nil
}

// visit gathers the listening sockets of a namespace.
func (v *survey) visit(p place) {
	ns := &space{NetNS: p.netns(), inode: p.inode, dir: v.threadDir()}
	before := len(v.sockets)
	err := v.within(p, ns, func() error { return v.list(ns) })
	if err != nil {
		v.sockets, ns = v.sockets[:before], nil
		if v.ctx.Err() == nil {
			v.lost(p, err)
		}
	}
	v.places, v.spaces = append(v.places, p), append(v.spaces, ns)
}

// within runs fn inside a namespace. One that may not be entered is read from
// outside, through the net/ of a process that lives there.
func (v *survey) within(p place, ns *space, fn func() error) error {
	if ns.outside {
		return fn()
	}
	err := inside(p, fn)
	if !errors.Is(err, fs.ErrPermission) || p.dir == "" {
		return err
	}
	ns.outside, ns.dir, ns.links = true, p.dir, map[uint32]string{}
	v.gap("network namespace %s read from %s/net, which tells neither bound devices nor IPv6-only sockets nor bound ones: entering it needs CAP_SYS_ADMIN (run as root)", cmpName(ns), p.dir)
	return fn()
}

// lost notes a namespace that could not be read.
func (v *survey) lost(p place, err error) {
	name := p.name
	if name == "" {
		name = "net:[" + strconv.FormatUint(p.inode, 10) + "]"
	}
	switch {
	case errors.Is(err, errVanished):
		v.gap("network namespace %s: it ended while it was being read", name)
	case errors.Is(err, fs.ErrPermission):
		v.gap("network namespace %s not read: entering it needs CAP_SYS_ADMIN (run as root)", name)
	default:
		v.gap("network namespace %s not read: %v", name, err)
	}
}

// resolve finds what each gathered socket is: its holders, whether it is part
// of another, a client's, or the kernel's. Programs are looked up meanwhile.
func (v *survey) resolve() {
	v.assign(v.sockets)
	mergeSubflows(v.sockets)
	v.sockets = kept(v.sockets)
	if v.o.NoOwners {
		v.clients()
		v.sockets = kept(v.sockets)
		return
	}
	held := slices.DeleteFunc(slices.Clone(v.sockets), func(c *candidate) bool { return len(c.holders) == 0 })
	learnt := make(chan struct{})
	go func() {
		v.owners.learn(v.ctx, held)
		close(learnt)
	}()
	v.clients()
	v.sockets = kept(v.sockets)
	v.kernelUsers()
	v.again()
	v.filters()
	<-learnt
	v.owners.learn(v.ctx, v.sockets)
}

func (v *survey) assign(sockets []*candidate) {
	for _, c := range sockets {
		if c.inode != 0 && len(c.holders) == 0 {
			c.holders = v.owners.table.Holders(c.inode)
		}
	}
}

func kept(sockets []*candidate) []*candidate {
	return slices.DeleteFunc(sockets, func(c *candidate) bool { return c.drop })
}

// yieldRows groups the gathered sockets into rows.
func (v *survey) yieldRows(yield func(*exposure.Socket) error) error {
	var rows []exposure.Socket
	for _, service := range group(v.sockets, v.owners) {
		row := v.owners.row(service)
		if row.IsListener() {
			v.ports[portKey{service[0].ns, row.Proto, row.Port}] = true
		}
		if v.o.Namer != nil && row.Port != 0 {
			row.Service = v.o.Namer(row.Proto, row.Port)
		}
		rows = append(rows, row)
	}
	v.sockets = nil
	sortSockets(rows, v.self.ID)
	for i := range rows {
		if err := v.ctx.Err(); err != nil {
			return err
		}
		if err := yield(&rows[i]); err != nil {
			return err
		}
	}
	return nil
}

// loadLinks reads the interfaces' names; the calling thread must be in ns.
func (v *survey) loadLinks(ns *space) {
	ns.links = map[uint32]string{}
	c, err := rtnl.Dial()
	if err == nil {
		defer c.Close()
		var links []rtnl.Link
		links, err = c.Links()
		for _, l := range links {
			ns.links[l.Index] = l.Name
		}
	}
	if err != nil {
		v.gap("names of interfaces in namespace %s not read: %v", cmpName(ns), err)
	}
}

func cmpName(ns *space) string {
	if ns.Name != "" {
		return ns.Name
	}
	return ns.ID
}

func (v *survey) threadDir() string { return filepath.Join(v.r.proc(), "thread-self") }
