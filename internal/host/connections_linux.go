package host

import (
	"errors"
	"io/fs"
	"net/netip"

	"github.com/portreeve/portreeve/internal/exposure"
	"github.com/portreeve/portreeve/internal/host/owner"
	"github.com/portreeve/portreeve/internal/host/procfs"
	"github.com/portreeve/portreeve/internal/host/sockdiag"
)

// A namespace's connections are read on a thread inside it and made into rows
// on the caller's: batches go over, and come back to be filled again.
const (
	batchLen   = 128
	batchCount = 16
)

type batch []candidate

// feed is the reading side of one namespace's connections.
type feed struct {
	v     *survey
	ns    *space
	full  chan batch
	empty chan batch
	stop  chan struct{} // closed when the caller wants no more
	fill  batch
	// seen are the cookies already handed over in the dump under way, and
	// skip those of an interrupted one that is being repeated.
	seen []uint64
	skip map[uint64]bool
}

var errStopped = errors.New("the reader wants no more")

// connections streams every namespace's connections.
func (v *survey) connections(yield func(*exposure.Socket) error) error {
	for i, ns := range v.spaces {
		if ns == nil {
			continue
		}
		if err := v.stream(v.places[i], ns, yield); err != nil {
			return err
		}
	}
	return nil
}

func (v *survey) stream(p place, ns *space, yield func(*exposure.Socket) error) error {
	f := &feed{v: v, ns: ns, full: make(chan batch, batchCount), empty: make(chan batch, batchCount), stop: make(chan struct{})}
	for range batchCount {
		f.empty <- make(batch, 0, batchLen)
	}
	read := make(chan error, 1)
	go func() {
		err := v.within(p, ns, f.read)
		close(f.full)
		read <- err
	}()
	failed := f.drain(yield)
	close(f.stop)
	for range f.full { // what was under way
	}
	err := <-read
	switch {
	case failed != nil:
		return failed
	case v.ctx.Err() != nil:
		return v.ctx.Err()
	case err != nil && !errors.Is(err, errStopped):
		v.lost(p, err)
	}
	return nil
}

// drain makes rows of what arrives.
func (f *feed) drain(yield func(*exposure.Socket) error) error {
	w := newConnectionRows(f.v)
	for b := range f.full {
		for i := range b {
			row := w.row(&b[i])
			if row == nil {
				continue
			}
			if err := yield(row); err != nil {
				return err
			}
		}
		f.empty <- b[:0]
	}
	return f.v.ctx.Err()
}

// read dumps the connections of one namespace; the thread is inside it.
func (f *feed) read() error {
	conn := f.v.dial(f.ns)
	if conn != nil {
		defer conn.Close()
	}
	names, err := procfs.Dir{Root: f.ns.dir}.Protocols()
	if err != nil {
		names = nil
	}
	for _, s := range append(mptcpSources(), plainSources()...) {
		states := s.restStates()
		if states == 0 || !s.has(names) {
			continue
		}
		request := s.request
		request.States = states
		request.Info = f.v.o.Traffic && request.Protocol == sockdiag.TCP
		if err := f.dump(conn, s, request); err != nil {
			return err
		}
	}
	return f.flush()
}

func (f *feed) dump(conn *sockdiag.Conn, s source, r sockdiag.Request) error {
	err := f.repeat(func() error {
		if conn == nil {
			return errRefused
		}
		return conn.Inet(f.v.ctx, r, func(d *sockdiag.Socket) error { return f.add(r.Protocol, d) })
	})
	f.seen, f.skip = f.seen[:0], nil
	if refused(err) {
		err = f.twin(s, r)
	}
	if err == nil || errors.Is(err, errStopped) || f.v.ctx.Err() != nil {
		return err
	}
	f.v.gap("%s connections of namespace %s: %v", r, cmpName(f.ns), err)
	return nil
}

// repeat takes an interrupted dump again without handing over twice what has
// been handed over: a socket's cookie is its own for its whole life.
func (f *feed) repeat(dump func() error) error {
	for try := 1; ; try++ {
		err := dump()
		if !errors.Is(err, sockdiag.ErrInterrupted) || try == maxRepeats {
			return err
		}
		if f.skip == nil {
			f.skip = make(map[uint64]bool, len(f.seen))
		}
		for _, cookie := range f.seen {
			f.skip[cookie] = true
		}
		f.seen = f.seen[:0]
	}
}

func (f *feed) add(proto sockdiag.Protocol, d *sockdiag.Socket) error {
	if proto == sockdiag.SCTP && d.DstPort == 0 && d.State != sockdiag.StateClose {
		return nil // the endpoint of associations that are listed themselves
	}
	if f.skip[d.Cookie] {
		return nil
	}
	f.seen = append(f.seen, d.Cookie)
	if d.Interface != 0 && f.ns.links == nil {
		f.v.loadLinks(f.ns)
	}
	c, err := f.next()
	if err != nil {
		return err
	}
	c.fromDiag(f.ns, proto, d)
	return nil
}

// next is the place for one more candidate.
func (f *feed) next() (*candidate, error) {
	if f.fill == nil || len(f.fill) == cap(f.fill) {
		if err := f.flush(); err != nil {
			return nil, err
		}
		select {
		case f.fill = <-f.empty:
		case <-f.stop:
			return nil, errStopped
		}
	}
	f.fill = f.fill[:len(f.fill)+1]
	return &f.fill[len(f.fill)-1], nil
}

func (f *feed) flush() error {
	if len(f.fill) == 0 {
		return nil
	}
	select {
	case f.full <- f.fill:
		f.fill = nil
		return nil
	case <-f.stop:
		return errStopped
	}
}

func (f *feed) twin(s source, r sockdiag.Request) error {
	if s.twin == "" {
		return nil // the first pass said so
	}
	_, err := procfs.Dir{Root: f.ns.dir}.Inet(s.twin, func(e *procfs.Entry) error {
		if r.States&(1<<e.State) == 0 {
			return nil
		}
		c, err := f.next()
		if err == nil {
			c.fromTwin(f.ns, r, e)
		}
		return err
	})
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// tuple is a connection's two ends.
type tuple struct {
	addr, peer  netip.Addr
	port, pport uint16
}

// connectionRows makes rows of connections, reusing one row.
type connectionRows struct {
	v       *survey
	current exposure.Socket
	procs   []exposure.Process
	holders []owner.Holder
	inode   [1]uint64
	// whole and parents are the namespace's MPTCP connections, which are read
	// before their subflows, by their ends and by inode.
	whole   map[tuple]bool
	parents map[uint64]bool
}

func newConnectionRows(v *survey) *connectionRows {
	return &connectionRows{v: v, whole: map[tuple]bool{}, parents: map[uint64]bool{}}
}

// row makes a connection's row, valid until the next call; nil for the subflow
// that an MPTCP connection's row stands for.
func (w *connectionRows) row(c *candidate) *exposure.Socket {
	if !w.subflows(c) {
		return nil
	}
	if c.inode != 0 {
		w.holders = w.v.owners.table.AppendHolders(w.holders[:0], c.inode)
		c.holders = w.holders
	}
	w.current = c.Socket
	row := &w.current
	row.Processes = w.procs[:0]
	if c.inode != 0 {
		w.inode[0] = c.inode
		row.Inodes = w.inode[:]
	}
	w.v.owners.fill(row, c.holders)
	w.procs = row.Processes
	if len(row.Processes) == 0 && row.OwnerUnknown == "" {
		row.OwnerUnknown = w.v.owners.whyNoOwner(row.State, c.inode)
	}
	w.name(row, c)
	return row
}

// subflows keeps track of MPTCP connections; false for the subflow that has
// the connection's own ends. A further subflow shares the connection's inode
// (mptcp_sock_graft) and is a row of its own: another path.
func (w *connectionRows) subflows(c *candidate) bool {
	switch {
	case c.MPTCP:
		w.whole[tupleOf(c)] = true
		w.parents[c.inode] = c.inode != 0
	case c.Proto == exposure.TCP && len(w.whole) > 0:
		c.MPTCP = w.parents[c.inode]
		return !w.whole[tupleOf(c)]
	}
	return true
}

func tupleOf(c *candidate) tuple {
	return tuple{c.Addr.IP, c.PeerAddr.IP, c.Port, c.PeerPort}
}

// name gives the service of the end that listens: here when something does,
// else at the peer.
func (w *connectionRows) name(row *exposure.Socket, c *candidate) {
	if w.v.o.Namer == nil {
		return
	}
	port := row.PeerPort
	if port == 0 || w.v.ports[portKey{c.ns, row.Proto, row.Port}] {
		port = row.Port
	}
	row.Service = w.v.o.Namer(row.Proto, port)
}
