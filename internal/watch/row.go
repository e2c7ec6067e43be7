package watch

import (
	"slices"
	"time"

	"github.com/portreeve/portreeve/internal/exposure"
	"github.com/portreeve/portreeve/internal/host/event"
)

// maxProcesses bounds the holders that one row names.
const maxProcesses = 64

// row is one service on one endpoint.
type row struct {
	at      exposure.Endpoint
	sock    exposure.Socket // as it is now, all members together
	members []member
	// unnamed counts members beyond Limits.Members, or that no source named.
	unnamed int
	opened  time.Time // zero: before the watch began
	touched time.Time // when an event last spoke of it
	// told are the processes that the last line about the row named.
	told      []int
	toldAt    time.Time
	listed    bool // a listing has named its owners, not only an event
	closing   bool
	closed    time.Time // when it closed, while closing
	closedBy  string    // the source
	toldClose bool
}

// member is one kernel socket. Either name may be 0.
type member struct {
	inode, cookie uint64
	pid           int
}

func memberOf(ev *event.Event) member {
	m := member{cookie: ev.Cookie}
	if len(ev.Socket.Inodes) > 0 {
		m.inode = ev.Socket.Inodes[0]
	}
	if len(ev.Socket.Processes) > 0 {
		m.pid = ev.Socket.Processes[0].PID
	}
	return m
}

// is reports the same kernel socket.
func (m member) is(o member) bool {
	if m.cookie != 0 && o.cookie != 0 {
		return m.cookie == o.cookie
	}
	return m.inode != 0 && m.inode == o.inode
}

func (m member) named() bool { return m.inode != 0 || m.cookie != 0 }

func (r *row) find(m member) int {
	return slices.IndexFunc(r.members, m.is)
}

// open is how many kernel sockets hold the row.
func (r *row) open() int { return len(r.members) + r.unnamed }

// join adds a kernel socket of the same program.
func (r *row) join(m member, s *exposure.Socket, limit int) {
	if !m.named() || len(r.members) >= limit {
		r.unnamed++
	} else {
		r.members = append(r.members, m)
	}
	r.merge(s)
	r.count()
}

// leave takes a kernel socket away; false when it is none of the row's.
func (r *row) leave(m member) bool {
	i := r.find(m)
	switch {
	case i >= 0:
		r.members = slices.Delete(r.members, i, i+1)
	case r.unnamed > 0:
		r.unnamed--
	default:
		i = r.nameless(m)
		if i < 0 {
			return false
		}
		r.members = slices.Delete(r.members, i, i+1)
	}
	r.count()
	return true
}

// nameless finds a member that m may be because the two have no name in
// common: one is known by its inode, the other by its cookie.
func (r *row) nameless(m member) int {
	return slices.IndexFunc(r.members, func(o member) bool {
		return (m.cookie == 0 || o.cookie == 0) && (m.inode == 0 || o.inode == 0)
	})
}

// count brings the row's socket in line with its members.
func (r *row) count() {
	r.sock.Sockets = r.open()
	inodes := make([]uint64, 0, len(r.members))
	for _, m := range r.members {
		if m.inode != 0 {
			inodes = append(inodes, m.inode)
		}
	}
	r.sock.Inodes = inodes
}

// merge adds what s knows of owners and fills what was not known.
func (r *row) merge(s *exposure.Socket) {
	procs := slices.Clone(r.sock.Processes)
	for _, p := range s.Processes {
		if len(procs) < maxProcesses && !slices.ContainsFunc(procs, func(q exposure.Process) bool { return q.PID == p.PID }) {
			procs = append(procs, p)
		}
	}
	r.sock.Processes = procs
	r.sock.Unit = orText(r.sock.Unit, s.Unit)
	r.sock.Package = orText(r.sock.Package, s.Package)
	r.sock.Service = orText(r.sock.Service, s.Service)
	r.sock.ActivatedBy = orText(r.sock.ActivatedBy, s.ActivatedBy)
	if r.sock.Container == nil {
		r.sock.Container = s.Container
	}
	if r.sock.Kernel == nil {
		r.sock.Kernel = s.Kernel
	}
	if len(procs) > 0 {
		r.sock.OwnerUnknown = ""
	}
}

func orText(a, b string) string {
	if a == "" {
		return b
	}
	return a
}

// pids are the processes of the row's members, as far as they are known.
func pidsOf(s *exposure.Socket) []int {
	out := make([]int, len(s.Processes))
	for i := range s.Processes {
		out[i] = s.Processes[i].PID
	}
	return out
}

// copySocket is what a line may keep: the row's own lists change later.
func copySocket(s *exposure.Socket) *exposure.Socket {
	c := *s
	c.Processes, c.Inodes = slices.Clone(s.Processes), slices.Clone(s.Inodes)
	return &c
}

// rowOfListing makes a row of a listed socket.
func rowOfListing(s *exposure.Socket, limit int) *row {
	r := &row{at: s.Endpoint(), sock: *copySocket(s), listed: true}
	for _, inode := range s.Inodes {
		if len(r.members) < limit {
			r.members = append(r.members, member{inode: inode})
		}
	}
	r.unnamed = max(s.Sockets, 1) - len(r.members)
	if r.unnamed < 0 {
		r.unnamed = 0
	}
	r.told = pidsOf(s)
	return r
}
