package event

import (
	"time"

	"github.com/portreeve/portreeve/internal/exposure"
)

// Kind is what happened to a listener.
type Kind string

// Kinds. Opened is a socket that began to listen (TCP, MPTCP, SCTP, DCCP) or a
// datagram socket that a program bound; Closed is its end. Lost says that
// events were lost before this moment: list the sockets again and compare.
const (
	Opened Kind = "opened"
	Closed Kind = "closed"
	Lost   Kind = "lost"
)

// Event is one listener that opened or closed, with what was known of its
// owner at that very moment.
type Event struct {
	Kind Kind
	At   time.Time // UTC
	// Socket is one kernel socket: proto, state, address, port, scope, dual
	// stack, namespace, uid, inode (Cookie where there is none yet), and in
	// Processes who made it, as far as it could be read before it ended. Of a
	// Lost event it is zero.
	Socket exposure.Socket
	// Cookie is the kernel's name of the socket (SO_COOKIE), never reused
	// while the machine runs; 0 where the source does not tell it.
	Cookie uint64
	// Source is how it is known: one of the sources below.
	Source string
	// Missed is how many events were lost, of a Lost event; 0 when the number
	// is not known.
	Missed uint64
}

// Sources, best first.
const (
	// SourceBPF is BPF at the kernel's tracepoint for socket states, and at
	// the root of the cgroup tree for datagram sockets: every event, with its
	// process.
	SourceBPF = "bpf"
	// SourceDestroy is the kernel's multicast of ended sockets (sock_diag),
	// with a listing often for those that open.
	SourceDestroy = "sock_diag"
	// SourceListing is the listing alone.
	SourceListing = "listing"
)

// Inode is the socket's inode, 0 when it is not known.
func (e *Event) Inode() uint64 {
	if len(e.Socket.Inodes) == 0 {
		return 0
	}
	return e.Socket.Inodes[0]
}
