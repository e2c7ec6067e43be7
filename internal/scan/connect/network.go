package connect

import (
	"net/netip"
	"time"
)

// Work is what is to be asked: probe number i goes to At(i). The order of the
// numbers is the order of asking.
type Work interface {
	Len() uint64
	At(i uint64) (netip.Addr, uint16)
}

// Pace says how fast. Its methods are called from one goroutine.
type Pace interface {
	// Allow says how many probes may be begun now with inFlight outstanding,
	// and, if none, how long to wait before asking again.
	Allow(now time.Time, inFlight int) (n int, wait time.Duration)
	// Answered hears of an answer and its round-trip time.
	Answered(now time.Time, rtt time.Duration)
	// Lost hears of a probe that should have been answered and was not: a
	// canary without an answer, or an earlier try of a port that answered.
	Lost(now time.Time)
}

// Network asks TCP ports of other hosts by connect(2). The zero value is
// ready to use.
type Network struct {
	// From is the source address, with its zone where it is link-local; the
	// kernel chooses where it is invalid.
	From netip.Addr
	// Iface binds to a network interface; "" leaves that to routing. It needs
	// CAP_NET_RAW before Linux 5.7.
	Iface string
	// Timeout is the longest wait for one answer, 2 s if 0. The wait follows
	// the measured round-trip time and is never below 100 ms.
	Timeout time.Duration
	// Tries is how often a silent port is asked at least, 2 if 0. Measured
	// loss, and silence where a host otherwise answers, add to it.
	Tries int
	// Pace says how fast; nil is as fast as MaxInFlight lets it.
	Pace Pace
	// MaxInFlight bounds the probes outstanding, and with them descriptors
	// and memory; 4,096 if 0, never more than RLIMIT_NOFILE leaves.
	MaxInFlight int
	// Progress hears how many probes of the work are done since it was last
	// called; nil for none. It is called a few times a second.
	Progress func(n int)
}

// Figures of a network sweep.
const (
	defaultTimeout  = 2 * time.Second
	defaultTries    = 2
	defaultInFlight = 4096
	mostTries       = 10 // of one silent port, whatever the loss

	launchBatch   = 256                    // probes begun between two looks at answers
	lookEvery     = 50 * time.Millisecond  // longest sleep, so that a cancelled ctx is seen
	progressEvery = 100 * time.Millisecond // between calls of Progress
	backlogFactor = 4                      // windows of silent ports that may wait to be asked again
	canaryOneIn   = 50                     // probes for each canary
	canaries      = 256                    // answered ports remembered for canaries
	suspectAfter  = 3                      // lost canaries younger than all answers, after which a host may have fallen silent
	muteAfter     = 12                     // and after which it has, if it also
	muteFor       = time.Second            // said nothing for so long
	patienceOwn   = 3 * time.Second        // waiting for the asker's own means
	hopeless      = 1 << 17                // probes in a row that could not be sent, after which the sweep ends
	selfTries     = 3                      // connections of a socket to itself
	namedHosts    = 8                      // hosts named in gaps one by one
)

func (t *Network) timeout() time.Duration {
	if t.Timeout <= 0 {
		return defaultTimeout
	}
	return max(t.Timeout, leastWait)
}

func (t *Network) tries() int {
	if t.Tries <= 0 {
		return defaultTries
	}
	return min(t.Tries, mostTries)
}

func (t *Network) window() int {
	if t.MaxInFlight <= 0 {
		return defaultInFlight
	}
	return t.MaxInFlight
}
