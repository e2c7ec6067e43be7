package meter

import (
	"errors"
	"fmt"
	"time"
)

// DefaultMaxFlows is how many conversations of each IP version a Meter holds at
// once when Options.MaxFlows is 0: 36 MiB of kernel memory for IPv4, and up to
// 52 MiB more as IPv6 comes.
const DefaultMaxFlows = 1 << 18

// Options tell Open what to count.
type Options struct {
	Interfaces []string // at least one, each once
	MaxFlows   int      // held at once of each IP version; 0: DefaultMaxFlows
	// Idle is how long a conversation must have been silent for Read to hand
	// it out a last time and forget it; 0: never.
	Idle time.Duration
	// Promiscuous has the interfaces take frames of other hosts as well,
	// until Close.
	Promiscuous bool
}

// Record is a conversation as counted so far. Addresses are 16 bytes, IPv4 as
// ::ffff:a.b.c.d; bytes are frame lengths on the wire; times are Unix
// nanoseconds, but for steps of the wall clock since Open; Last may be up to a
// kernel tick (1 to 10 ms) early.
type Record struct {
	Proto        uint8 // IANA protocol number, behind IPv6 extension headers
	IPv6         bool
	A, B         [16]byte
	PortA, PortB uint16

	PacketsAB, PacketsBA uint64
	BytesAB, BytesBA     uint64
	First, Last          int64

	// FlagsAB and FlagsBA are all TCP flags that went that way, ORed;
	// FirstFlags those of the first packet (0 when it was a later fragment or
	// is no TCP).
	FlagsAB, FlagsBA uint8
	FirstFlags       uint8
	FirstFromA       bool // A sent the first packet
	// Who sent a SYN without ACK, RST and FIN; who sent one with ACK.
	SYNFromA, SYNFromB       bool
	SYNACKFromA, SYNACKFromB bool

	// VLAN is the outermost tag's identifier of the first packet.
	HasVLAN bool
	VLAN    uint16

	// Evicted: the conversation was idle and has been forgotten.
	Evicted bool
}

// Stats are what was seen since Open, counted in frames where not said
// otherwise. Packets is the sum of Undecoded, Other, Portless, Orphans, Dropped
// and all that Records told.
type Stats struct {
	Packets, Bytes uint64
	Undecoded      uint64 // the link or IP header is cut or impossible
	Other          uint64 // not IP: ARP, LLDP …, and Wrapped
	// Wrapped are MPLS, PPPoE, PPP and NSH frames, behind whose headers no IP
	// packet is looked for.
	Wrapped uint64
	// Portless are IP packets of protocols with ports whose ports are cut off
	// or behind impossible headers: of no conversation.
	Portless uint64
	// Fragments are the later pieces of fragmented packets, Orphans those
	// among them that joined no conversation.
	Fragments, Orphans    uint64
	Dropped, DroppedBytes uint64 // no room for their conversation
	// Giants are frames made of several segments (TSO, GRO) and counted as
	// one; Segments are those that the kernel says they hold.
	Giants, Segments uint64
	// Tunnels are IP packets that look as if they carried another one: IP in
	// IP, GRE, EtherIP, L2TP, MPLS, and UDP from or to a tunnel's port.
	Tunnels uint64
	// Gone are the interfaces that were removed meanwhile.
	Gone []string
}

// ErrUnsupported: this kernel, or this interface, cannot be metered this way.
// Open's error is an *UnsupportedError.
var ErrUnsupported = errors.New("counting in the kernel is not supported")

// ErrClosed is what a Meter answers after Close.
var ErrClosed = errors.New("the meter is closed")

// UnsupportedError names what is missing. It is ErrUnsupported.
type UnsupportedError struct {
	Feature string
	Err     error // of the kernel; may be nil
}

func (e *UnsupportedError) Error() string {
	text := ErrUnsupported.Error() + ": no " + e.Feature
	if e.Err != nil {
		text += ": " + e.Err.Error()
	}
	return text
}

// Is reports whether the target is ErrUnsupported.
func (e *UnsupportedError) Is(target error) bool { return target == ErrUnsupported }

func (e *UnsupportedError) Unwrap() error { return e.Err }

// PermissionError names the capability without which an operation was
// refused. It wraps fs.ErrPermission.
type PermissionError struct {
	Op         string
	Capability string // "CAP_BPF"
	Err        error
}

func (e *PermissionError) Error() string {
	return fmt.Sprintf("%s (needs %s): %v", e.Op, e.Capability, e.Err)
}

func (e *PermissionError) Unwrap() error { return e.Err }
