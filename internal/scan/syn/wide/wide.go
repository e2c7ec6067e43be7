package wide

import (
	"errors"
	"net/netip"
	"time"

	"github.com/portreeve/portreeve/internal/scan/pace"
)

// ErrUnsupported says that this system has no such transport.
var ErrUnsupported = errors.New("raw SYN scans over the network are made on Linux only; connect scans work everywhere")

// ErrDown is wrapped by what a scan says when the way to its targets went
// away under it.
var ErrDown = errors.New("the way to the targets is gone")

// ErrNoHost is wrapped by a Router for a host that is not on its link (no
// answer to ARP or neighbour discovery): its ports are filtered, host-unreach,
// as the last router before it would say.
var ErrNoHost = errors.New("the host does not answer on the link")

// Bounds of a sweep.
const (
	maxWindow = 1 << 20 // probes begun and not settled
	maxTries  = 8       // also the number of source ports
	minTries  = 2
	grace     = 10 * time.Millisecond // how long a RST waits for a SYN-ACK
)

// Work is what to ask: probe i of Len, permuted already.
type Work interface {
	Len() uint64
	At(i uint64) (netip.Addr, uint16)
}

// Router tells how packets reach an address. Its Hops must not change. An error
// does not name the address: errors are counted by their text.
type Router interface {
	Hop(dst netip.Addr) (*Hop, error)
}

// Status is how far a sweep is.
type Status struct {
	Settled, Total uint64
	Sent, Received int64
	Loss           float64 // share of samples lost, 0–1
}

// Transport asks ports by SYN over the network.
type Transport struct {
	Router Router
	// Pace bounds the speed.
	Pace pace.Options
	// Tries bounds how often a silent probe is sent; 0 follows the measured
	// loss, from 2 to 8.
	Tries int
	// NoIPv4 and NoIPv6 say that the work has no address of a family, which
	// saves its receive ring.
	NoIPv4, NoIPv6 bool
	// Down tells that the way to the targets is gone; nil is never asked.
	Down func() error
	// Progress hears how far the sweep is, some ten times a second; nil for
	// none.
	Progress func(Status)
}
