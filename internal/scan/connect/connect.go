package connect

import (
	"errors"
	"time"
)

// ErrUnsupported says that this system has no connect sweep yet.
var ErrUnsupported = errors.New("a connect sweep is made on Linux only")

// Timing and sizes.
const (
	minTimeout    = 100 * time.Millisecond  // for a silent port, where many are silent
	scarce        = 512                     // with fewer descriptors than this …
	scarceWait    = 30 * time.Millisecond   // … a silent port is waited for no longer than this at first
	longRounds    = 4                       // times that the long wait may be spent on one address
	longTimeout   = 1300 * time.Millisecond // for the few that stay silent: beyond the kernel's first SYN retransmission
	fewSilent     = 512                     // so many silent ports are asked again for long
	sampleSize    = 256                     // of more silent ports, so many are asked again first
	maxPending    = 4096                    // probes in flight at most
	canaryEvery   = 1024                    // probes for each canary
	maxHardship   = 3 * time.Second         // waiting for the sender's own means, for each address
	hardshipPause = 5 * time.Millisecond
)

// Transport asks ports by connect(2). The zero value is ready to use.
type Transport struct {
	// Timeout is how long a silent port is waited for; at least 100 ms (30 ms
	// where descriptors are scarce).
	Timeout time.Duration
	// MaxPending bounds the descriptors in use at once; 0 takes what
	// RLIMIT_NOFILE leaves, at most 4096.
	MaxPending int
	// Progress hears how many ports were asked since it was last called; nil
	// for none. Only first askings count.
	Progress func(n int)
}

// timeout is the first wait for a silent port when limit probes may be
// pending. Loopback answers within the call that asks; the wait is for answers
// that come by way of another process.
func (t *Transport) timeout(limit int) time.Duration {
	if limit < scarce {
		return max(t.Timeout, scarceWait)
	}
	return max(t.Timeout, minTimeout)
}
