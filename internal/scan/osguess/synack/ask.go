package synack

import (
	"errors"
	"net/netip"
	"time"
)

// ErrUnsupported says that this system has no way to see raw answers yet.
var ErrUnsupported = errors.New("the headers of an answer are read on Linux only")

// Target is one host with a port known open and, where one is known, a port
// known closed (else 0).
type Target struct {
	Addr         netip.Addr
	Open, Closed uint16
}

// Asker asks hosts. The zero value is ready to use.
type Asker struct {
	From  netip.Addr // source address; the kernel chooses where it is not valid
	Iface string     // interface to ask through; "" is the route's
	// Parallel is how many hosts are waited for at once; 0 is
	// DefaultParallel.
	Parallel int
}

// DefaultParallel bounds the hosts in flight, and so the packets of one burst
// to three times as many.
const DefaultParallel = 64

// When a host is asked again, how long it is waited for in all, and how long
// for the rest once the open port has answered.
const (
	retryAfter = 300 * time.Millisecond
	retryAgain = 800 * time.Millisecond
	patience   = 1300 * time.Millisecond
	afterglow  = 250 * time.Millisecond
)

func (a Asker) parallel() int {
	if a.Parallel <= 0 {
		return DefaultParallel
	}
	return a.Parallel
}
