package live

import (
	"errors"
	"fmt"
	"time"

	"golang.org/x/net/bpf"

	"github.com/portreeve/portreeve/internal/traffic/wire"
)

// Any stands for all interfaces of the network namespace, also those that
// come later. It is never promiscuous.
const Any = "any"

// Options say what is captured and how. Zero values are good ones but for
// Interfaces.
type Options struct {
	// Interfaces are names, or Any alone.
	Interfaces []string
	// Promiscuous takes also what is not addressed to the interface.
	Promiscuous bool
	// SnapLen is how many bytes of a frame are stored; 0: all.
	SnapLen int
	// Rings per interface; 0 or 1: one. See the package comment for what
	// lands in which.
	Rings int
	// BlockSize (bytes, a power of two of at least 64 KiB) and Blocks shape
	// the memory of one ring; 0: DefaultBlockSize and DefaultBlocks, divided
	// among the rings of an interface. A frame that does not fit in a block
	// is cut.
	BlockSize, Blocks int
	// Retire is how long the first packet of a block waits at most (about
	// twice as long in the worst case), in whole milliseconds; 0:
	// DefaultRetire.
	Retire time.Duration
	// Filter gives the filter program for a link type; no instructions: take
	// all. Its accepting return values bound the stored length, with SnapLen.
	// nil: take all.
	Filter func(link wire.LinkType) ([]bpf.RawInstruction, error)
}

// Shape of a ring where Options do not say; docs/decisions/0017 has the
// measurements.
const (
	DefaultBlockSize = 2 << 20
	DefaultBlocks    = 4
	DefaultRetire    = 100 * time.Millisecond
)

// ErrUnsupported is the answer of systems other than Linux.
var ErrUnsupported = errors.New("live capture is made on Linux only; read a capture file of tcpdump's or dumpcap's instead")

// Error is a capture that cannot begin or cannot go on. Err is the kernel's
// error number where it gave one: EPERM (no CAP_NET_RAW), ENODEV (no such
// interface), ENETDOWN (it is or went down), ENXIO (it disappeared while
// capturing).
type Error struct {
	Interface string // "" where it is not about one
	Op        string // what was tried
	Err       error
	Hint      string // what to do, may be empty
}

func (e *Error) Error() string {
	s := e.Op
	if e.Interface != "" {
		s = "capture on " + e.Interface + ": " + s
	}
	if e.Err != nil {
		s += ": " + e.Err.Error()
	}
	if e.Hint != "" {
		s += "; " + e.Hint
	}
	return s
}

func (e *Error) Unwrap() error { return e.Err }

// check refuses options that make no ring, and fills in the defaults.
func (o Options) check() (Options, error) {
	o.Rings = max(o.Rings, 1)
	if o.BlockSize == 0 {
		o.BlockSize = DefaultBlockSize
	}
	if o.Blocks == 0 {
		o.Blocks = max(DefaultBlocks/o.Rings, 4)
	}
	if o.Retire == 0 {
		o.Retire = DefaultRetire
	}
	switch {
	case len(o.Interfaces) == 0:
		return o, &Error{Op: "no interface was named", Hint: "name one, or any for all"}
	case o.BlockSize < 64<<10 || o.BlockSize&(o.BlockSize-1) != 0:
		return o, &Error{Op: fmt.Sprintf("a block of %d bytes: not a power of two of at least 64 KiB", o.BlockSize)}
	case o.Blocks < 2:
		return o, &Error{Op: fmt.Sprintf("a ring of %d blocks: at least 2", o.Blocks)}
	case o.SnapLen < 0 || o.Retire < time.Millisecond || o.Retire > time.Second || o.Rings > 64:
		return o, &Error{Op: fmt.Sprintf("snap length %d, retire time %v, %d rings: out of range", o.SnapLen, o.Retire, o.Rings)}
	}
	return o, nil
}
