package host

import (
	"context"
	"errors"
	"net/netip"

	"github.com/portreeve/portreeve/internal/exposure"
)

// Errors of this package; compare with errors.Is.
var (
	// ErrUnsupported is the answer on systems other than Linux.
	ErrUnsupported = errors.New("host: live sockets are read on Linux only; on this system read a listing with --from")
	// ErrNoNamespace: no network namespace has the name or inode asked for.
	ErrNoNamespace = errors.New("no such network namespace")
)

// Names for Options.NetNS.
const (
	AllNetNS  = "all"
	SelfNetNS = "self"
)

// Options say what to list. The zero value lists the listeners of every
// network namespace.
type Options struct {
	// All lists every socket; the default is listeners only.
	All bool
	// Packet adds packet and raw sockets to the default listing.
	Packet bool
	// NoOwners leaves out who holds the sockets, which is most of the time
	// that a listing takes: endpoints only.
	NoOwners bool
	// Traffic fills SegsIn, SegsOut and LastRcv of TCP connections (with All).
	Traffic bool
	// NetNS is AllNetNS (also ""), SelfNetNS, a name under /run/netns, or a
	// namespace's inode number.
	NetNS string
	// Namer fills Socket.Service; nil leaves it empty.
	Namer func(exposure.Proto, uint16) string
}

// Reader reads the live host. Its zero value is ready.
type Reader struct {
	procRoot string // "" is /proc
	root     string // "" is /
	noDiag   bool   // read /proc even where netlink would answer
	noBPF    bool   // ask no BPF iterator
	method   string // how owners are found, see owner.Query
}

// Snapshot lists the sockets that o asks for, sorted: the caller's namespace
// first, then by name; within it by protocol, port and address. Connections
// come last. An error means that nothing could be read, or that ctx ended;
// what could only be read in part is in Snapshot.Gaps.
func (r *Reader) Snapshot(ctx context.Context, o Options) (exposure.Snapshot, error) {
	return r.snapshot(ctx, o)
}

// Stream is Snapshot for many sockets: memory is bounded by the number of
// listeners, not of connections. The socket given to yield, and its slices,
// are valid during the call only. yield's error ends the reading and is
// returned.
func (r *Reader) Stream(ctx context.Context, o Options, yield func(*exposure.Socket) error) ([]exposure.Gap, error) {
	return r.stream(ctx, o, yield)
}

// Address is one address of the caller's network namespace.
type Address struct {
	// Addr carries the interface's name as zone when it is link-local.
	Addr      netip.Addr
	PrefixLen int
	Interface string
	Index     int
	Up        bool // the interface is up
	Loopback  bool // the interface is a loopback
	// Tentative: the kernel is still asking whether another host has it, or
	// found that one has; nothing can be bound to it.
	Tentative bool
}

// Own is the address as the join and the scan use it.
func (a Address) Own() exposure.OwnAddress {
	return exposure.OwnAddress{IP: a.Addr, Interface: a.Interface}
}

// Addresses lists the addresses of the calling thread's network namespace, by
// rtnetlink, sorted by interface index and address.
func Addresses(ctx context.Context) ([]Address, error) { return addresses(ctx) }
