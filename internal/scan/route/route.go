package route

import (
	"errors"
	"net"
	"net/netip"
	"time"
)

// Errors that say why there is no path. A *Error wraps them.
var (
	ErrUnsupported = errors.New("routes are read on Linux only")
	ErrNoRoute     = errors.New("no route (network unreachable)")
	ErrUnreachable = errors.New("a route says unreachable")
	ErrBlackhole   = errors.New("a route or rule drops it (blackhole)")
	ErrProhibited  = errors.New("a route or rule prohibits it")
	ErrNotUnicast  = errors.New("not a host's address (broadcast or multicast)")
	ErrZone        = errors.New("a link-local address needs a zone or an interface (fe80::1%eth0)")
	ErrFamily      = errors.New("the source address is of the other address family")
	ErrNotOurs     = errors.New("the source address is not this host's")
	ErrLinkDown    = errors.New("interface is down")
	ErrNoCarrier   = errors.New("interface has no carrier")
	ErrLinkGone    = errors.New("interface is gone")
	ErrMoved       = errors.New("the route leads another way now")
)

// Error is an operation that failed, on what and why.
type Error struct {
	Op   string // "find the way to", "ask neighbours on"
	What string // an address or interface
	Err  error
}

func (e *Error) Error() string { return e.Op + " " + e.What + ": " + e.Err.Error() }

func (e *Error) Unwrap() error { return e.Err }

// Kind is what a frame on an interface looks like.
type Kind uint8

// Kinds.
const (
	Ethernet Kind = iota + 1 // 14 bytes of header (ARPHRD_ETHER)
	Loopback
	Bare    // begins with the IP header: tun, ipip, gre, wireguard, ppp
	Foreign // something else, or encapsulated by the route: only the kernel can build it
)

func (k Kind) String() string {
	switch k {
	case Ethernet:
		return "ethernet"
	case Loopback:
		return "loopback"
	case Bare:
		return "bare"
	case Foreign:
		return "foreign"
	}
	return "unknown"
}

// Path is the way to a destination.
type Path struct {
	Iface   string
	Index   int
	Src     netip.Addr       // without zone; zero where the interface has no address of the family
	Gateway netip.Addr       // zero: on the link; IPv6 link-local with zone; may be IPv6 for IPv4 (RFC 8950)
	Link    Kind             //
	HW      net.HardwareAddr // own address on Ethernet; shared, not to be written to
	NoARP   bool             // an Ethernet interface that resolves nothing (IFF_NOARP)
	MTU     int              // of IP packets, bytes
	Local   bool             // the destination is this host's
}

// NextHop is the gateway or, on the link, the destination itself.
func (p Path) NextHop(dst netip.Addr) netip.Addr {
	if p.Gateway.IsValid() {
		return p.Gateway
	}
	return dst
}

// Options narrow the choice of path.
type Options struct {
	From  netip.Addr // source address; zero: the kernel's choice
	Iface string     // outgoing interface; "": the kernel's choice
}

// ResolveOptions pace the asking of neighbours; zero values are the defaults.
type ResolveOptions struct {
	Rate  float64 // requests a second; 5,000
	Tries int     // for a silent address; 2, or once and a sample of more than 4,096
	Check func() error
	Told  func(sent, planned int)
}

// Neighbour is an answer from the link. RTT is 0 where it is not known which
// request was answered.
type Neighbour struct {
	HW  net.HardwareAddr
	RTT time.Duration
}

// Figures of asking neighbours: a LAN answers within milliseconds, a sleeping
// wireless host within two or three hundred.
const (
	defaultRate = 5000
	askGap      = 150 * time.Millisecond
	askLast     = 400 * time.Millisecond
)
