package udp

import (
	"errors"
	"net/netip"
	"time"
)

// ErrUnsupported says that this system has no UDP asker yet.
var ErrUnsupported = errors.New("UDP endpoints are asked on Linux only")

// Defaults of an Asker.
const (
	DefaultTries = 3
	DefaultWait  = 250 * time.Millisecond
)

// Asker asks UDP endpoints. The zero value is ready to use.
type Asker struct {
	// Tries is how often a silent endpoint is asked.
	Tries int
	// Wait is how long each try waits for an answer.
	Wait time.Duration
}

func (a *Asker) tries() int {
	if a.Tries <= 0 {
		return DefaultTries
	}
	return a.Tries
}

func (a *Asker) wait() time.Duration {
	if a.Wait <= 0 {
		return DefaultWait
	}
	return a.Wait
}

// Work is a list of what to ask: probe number i, from 0 to Len()-1, already
// permuted. At must be cheap and always give the same.
type Work interface {
	Len() uint64
	At(i uint64) (netip.Addr, uint16)
}

// Defaults of a Transport.
const (
	DefaultMaxRate = 20000 // packets a second
	DefaultWindow  = 65536 // probes outstanding
)

// Transport asks UDP ports over the network, any number of hosts at once. The
// zero value is ready to use; it serves one Sweep at a time.
type Transport struct {
	// From is the address to ask from; the zero Addr leaves it to the routes.
	From netip.Addr
	// Iface is the interface to ask through; "" leaves it to the routes. It is
	// the zone of link-local addresses that have none.
	Iface string
	// Rate is packets a second, kept within 5 % while there is enough to ask;
	// 0 finds it: it grows while canaries come back, up to MaxRate.
	Rate    float64
	MaxRate float64 // bound of a Rate of 0; DefaultMaxRate if 0
	// Tries is how often a silent port is asked before it counts as
	// open|filtered, each time when the host could have refused; DefaultTries
	// if 0.
	Tries int
	// Patience is how long one host's ICMP limit is waited for after it was
	// met. 0 waits until every port that refuses has said so: the only way to
	// know it closed. Beyond it what stays silent is open|filtered, and Note
	// hears how many ports and what the limit was.
	Patience time.Duration
	// Note hears what Patience left unsettled, a sentence a host; nil makes
	// gaps of them.
	Note func(string)
	// Window bounds the probes outstanding; DefaultWindow if 0.
	Window int
	// Progress hears how many ports were asked since it was last called; nil
	// for none. Only first askings count.
	Progress func(n int)
}

func (t *Transport) tries() int {
	if t.Tries <= 0 {
		return DefaultTries
	}
	return t.Tries
}

func (t *Transport) window() int {
	if t.Window <= 0 || t.Window > DefaultWindow {
		return DefaultWindow
	}
	return t.Window
}

func (t *Transport) maxRate() float64 {
	if t.MaxRate <= 0 {
		return DefaultMaxRate
	}
	return t.MaxRate
}
