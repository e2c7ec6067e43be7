package udp

import "time"

// Figures of the pace.
const (
	slowStart  = 2000.0                 // packets a second with which an automatic rate begins
	slowest    = 200.0                  // and to which it falls at most
	adaptEvery = 200 * time.Millisecond // between two looks at the loss
	lossy      = 0.12                   // loss beyond which the rate is cut
	catchUp    = 40 * time.Millisecond  // credit that a late wake-up keeps
)

// pace spreads datagrams evenly. With a rate of its own choice it grows while
// it is the bottleneck and canaries come back.
type pace struct {
	rate    float64
	top     float64 // 0: the rate is fixed
	credit  float64
	at      instant
	adapted instant
	held    bool // something had to wait for the rate since the last look
}

func newPace(rate, top float64) *pace {
	if rate > 0 {
		return &pace{rate: rate, credit: 1}
	}
	return &pace{rate: min(slowStart, top), top: top, credit: 1}
}

// allow takes one datagram's credit, or tells how long to wait for it.
func (p *pace) allow(now instant) (wait time.Duration) {
	p.credit = min(p.credit+p.rate*(now-p.at).Seconds(), max(1, p.rate*catchUp.Seconds()))
	p.at = now
	if p.credit >= 1 {
		p.credit--
		return 0
	}
	p.held = true
	return time.Duration((1-p.credit)/p.rate*float64(time.Second)) + time.Microsecond
}

// adapt moves an automatic rate by the loss lately.
func (p *pace) adapt(now instant, loss float64) {
	if p.top == 0 || now-p.adapted < adaptEvery {
		return
	}
	p.adapted = now
	switch {
	case loss > lossy:
		p.rate = max(p.rate*0.7, min(slowest, p.top))
	case p.held:
		p.rate = min(p.rate*1.5, p.top)
	}
	p.held = false
}

// shortage halves the pace for want of the sender's own buffers.
func (p *pace) shortage() {
	if p.top > 0 {
		p.rate = max(p.rate/2, min(slowest, p.top))
	}
}
