package event

import (
	"time"

	"github.com/portreeve/portreeve/internal/exposure"
)

// Kind is what happened to a listener.
type Kind string

// Kinds. Opened is a socket that began to listen (TCP, MPTCP, SCTP, DCCP) or a
// datagram socket that a program bound; Closed is its end.
const (
	Opened Kind = "opened"
	Closed Kind = "closed"
)

// Event is one listener that opened or closed, with what was known of its
// owner at that very moment.
type Event struct {
	Kind Kind
	At   time.Time // UTC
	// Socket is one kernel socket: proto, state, address, port, scope, dual
	// stack, namespace, uid, inode (Cookie where there is none yet), and in
	// Processes who made it, as far as it could be read before it ended.
	Socket exposure.Socket
	// Cookie is the kernel's name of the socket (SO_COOKIE), never reused
	// while the machine runs; 0 where the source does not tell it.
	Cookie uint64
	// Source is how it is known: "bpf", "sock_diag", "listing".
	Source string
}
