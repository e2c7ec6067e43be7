package pace

import "time"

// Bounds of a retransmission time-out. The lower one covers a busy host's
// scheduling, the upper one a satellite.
const (
	MinTimeout   = 100 * time.Millisecond
	MaxTimeout   = 3 * time.Second
	FirstTimeout = time.Second
)

// RTT estimates the round-trip time as RFC 6298 does. The zero value knows
// nothing yet.
type RTT struct {
	smooth, vary time.Duration
}

// Add takes a measurement.
func (r *RTT) Add(d time.Duration) {
	if d <= 0 {
		return
	}
	if r.smooth == 0 {
		r.smooth, r.vary = d, d/2
		return
	}
	diff := r.smooth - d
	if diff < 0 {
		diff = -diff
	}
	r.vary += (diff - r.vary) / 4
	r.smooth += (d - r.smooth) / 8
}

// Known tells whether anything was measured.
func (r *RTT) Known() bool { return r.smooth > 0 }

// Timeout is how long an answer may take.
func (r *RTT) Timeout() time.Duration {
	if !r.Known() {
		return FirstTimeout
	}
	return min(max(r.smooth+4*r.vary, MinTimeout), MaxTimeout)
}
