package connect

import (
	"errors"
	"net/netip"
	"time"
)

// Waits for an answer.
const (
	leastWait    = 100 * time.Millisecond
	unknownWait  = time.Second            // for a host of which nothing is known (RFC 6298 section 2.1)
	strangerWait = 250 * time.Millisecond // at least, for a host that has not answered yet while others have
	knownMany    = 16                     // answers after which others' round trips say something
	granularity  = 10 * time.Millisecond  // G of RFC 6298: the sweep looks no oftener under load
	mostHosts    = 1 << 16                // remembered at once
)

// rtt is a round-trip estimate after RFC 6298 section 2.
type rtt struct {
	smooth, vary time.Duration
	samples      int
}

func (r *rtt) sample(d time.Duration) {
	r.samples++
	if r.samples == 1 {
		r.smooth, r.vary = d, d/2
		return
	}
	diff := r.smooth - d
	r.vary += (max(diff, -diff) - r.vary) / 4
	r.smooth += (d - r.smooth) / 8
}

// wait is the retransmission timeout, without bounds. Beyond the RFC it leaves
// room for a round trip to double: the queues that a sweep itself fills.
func (r *rtt) wait() time.Duration { return r.smooth + max(granularity, 4*r.vary, r.smooth) }

// host is what is known of one target. Its counts are of ports.
type host struct {
	addr     netip.Addr
	rtt      rtt
	answered int       // said open or closed
	silent   int       // missed at least one try and never answered
	good     time.Time // when the youngest probe that was answered was begun
	heard    time.Time // the last answer
	mute     int       // canaries lost that were begun after good
	refs     int       // probes in flight or waiting to be asked again
	gone     error     // why it can be asked no longer
	skipped  uint64    // probes not made for that
	named    bool      // in a gap of its own
}

// ErrMute is a host that answered and then answered nothing, not even what it
// had answered before: it went away, or something on the way blocks the asker.
var ErrMute = errors.New("it answered and then fell silent: it is gone, or something on the way blocks this scanner")

// hosts remembers at most mostHosts targets beside those with probes out.
type hosts struct {
	byAddr map[netip.Addr]*host
	last   *host
	all    rtt // of all targets together
	most   time.Duration
}

func newHosts(most time.Duration) *hosts {
	return &hosts{byAddr: map[netip.Addr]*host{}, most: most}
}

// of gives the entry of addr, making it and forgetting another where there
// are many.
func (hs *hosts) of(addr netip.Addr) *host {
	if hs.last != nil && hs.last.addr == addr {
		return hs.last
	}
	h := hs.byAddr[addr]
	if h == nil {
		if len(hs.byAddr) >= mostHosts {
			hs.forget()
		}
		h = &host{addr: addr}
		hs.byAddr[addr] = h
	}
	hs.last = h
	return h
}

// forget drops an entry that nothing refers to; the map's order is random.
func (hs *hosts) forget() {
	looked := 0
	for addr, h := range hs.byAddr {
		if h.refs == 0 {
			delete(hs.byAddr, addr)
			return
		}
		if looked++; looked == 64 {
			return
		}
	}
}

// heard takes the answer to a probe begun then and its round-trip time.
func (hs *hosts) heard(h *host, began time.Time, d time.Duration) {
	h.rtt.sample(d)
	hs.all.sample(d)
	h.heard = began.Add(d)
	if began.After(h.good) {
		h.good, h.mute = began, 0
	}
}

// unheard takes the loss of a canary begun then. Only those count towards
// silence that are younger than whatever was answered: many that were lost
// time out together while a window is full of lost probes.
func (h *host) unheard(began, now time.Time) {
	if !began.After(h.good) {
		return
	}
	if h.mute++; h.mute >= muteAfter && now.Sub(h.heard) >= muteFor && h.gone == nil {
		h.gone = ErrMute
	}
}

// suspect tells that the host may have fallen silent: nothing is to be said of
// its silent ports until that is known.
func (h *host) suspect() bool { return h.mute >= suspectAfter }

// wait is how long try number try (from 0) of a port of h is waited for: the
// host's own estimate, doubled with each try up to fourfold; for a host that
// has not answered, a first time as the others let expect, then for long.
func (hs *hosts) wait(h *host, try int) time.Duration {
	d := unknownWait << min(try, 2)
	switch {
	case h.rtt.samples > 0:
		d = max(h.rtt.wait(), leastWait) << min(try, 2)
	case try == 0 && hs.all.samples >= knownMany:
		d = min(max(4*hs.all.wait(), strangerWait), unknownWait)
	case hs.all.samples >= knownMany:
		d = unknownWait
	}
	return min(d, hs.most)
}
