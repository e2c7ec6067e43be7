package udp

import (
	"fmt"
	"net/netip"
	"time"
)

// Figures of the pace at which one host is asked.
const (
	firstPace  = time.Millisecond       // between probes to one host, until it shows that it keeps up
	fastPace   = 10 * time.Microsecond  // at best
	paceSample = 64                     // first askings by which the pace is judged
	maxBurst   = 64                     // probes of a walk without waiting for an answer
	knownGap   = 100 * time.Millisecond // between two askings of one port of a host that answers
	blindGap   = 550 * time.Millisecond // the same for one that never refused
	knownStay  = 300 * time.Millisecond // a late answer is waited for so long
	blindStay  = 600 * time.Millisecond
)

// place is an address as the sockets know it: no zone but the number of its
// interface.
type place struct {
	addr netip.Addr
	zone uint32
}

// spot is a port of a place.
type spot struct {
	place
	port uint16
}

// probe is one port that is asked.
type probe struct {
	numbers []uint64 // of the Work
	host    *host
	port    uint16
	asks    uint8 // datagrams sent
	valid   uint8 // of those, sent when a closed port would have been heard of
	seq     uint64
	sent    instant // the latest
	done    bool    // told
	staying bool    // only waits for late answers
	inRing  bool
}

// stage is what a host is at when it has no port left that was never asked.
type stage int

const (
	resting   stage = iota // until a token is there, or answers had their time
	walking                // asking again what is unknown
	listening              // for refusals, after a burst of the walk
)

// host is one address under scan.
//
// Its walks tell silence from a held back refusal. A walk asks the unknown
// ports again in growing bursts, each followed by the control, a port that
// refused before. What was asked just before a refusal was silent although
// there was a token. When nothing is refused there is none: the burst proves
// nothing and the limit has to be waited for. Once the limit is known a walk
// begins when a token is due; then everything asked since was silent, and the
// control, which costs a token, is asked only at the walk's end.
type host struct {
	place
	shown netip.Addr // with its zone as the caller writes it
	lim   limit
	rtt   rtt
	need  uint8 // valid silences that make a port open|filtered

	fresh   queue // never asked
	ring    queue // asked; stale entries are skipped
	unknown int   // entries of ring that are not stale
	stay    queue // silent often enough

	stage    stage
	until    instant
	burst    int
	left     int // of the burst
	hits     int // refusals since the burst began
	remain   int // of the walk
	walked   []*probe
	trust    bool    // the walk began when a token was due
	since    instant // when that was
	bonusing bool    // the burst asks for more tokens than are due
	doubts   int     // bursts in a row that heard nothing although no limit is known

	control     uint16 // port that refused last; 0: none
	controlSent instant
	controlling bool          // its refusal is waited for
	tight       time.Duration // probes this near to each other meet the same token
	tightBurst  int
	mute        bool // no control is taken any more: silence is all that can be learned
	unwaited    int  // ports told silent although a refusal may have been held back
	heldBack    time.Duration

	pace      time.Duration
	paceAt    instant
	asked     int // of the sample
	refusals  int
	wake      instant
	heapIndex int
}

func newHost(at place, shown netip.Addr, tries int) *host {
	return &host{place: at, shown: shown, need: uint8(min(max(1, tries-1), 250)), pace: firstPace, heapIndex: -1}
}

// queue is a first-in first-out list of probes.
type queue struct {
	all  []*probe
	head int
}

func (q *queue) push(p *probe) { q.all = append(q.all, p) }
func (q *queue) len() int      { return len(q.all) - q.head }

func (q *queue) front() *probe {
	if q.len() == 0 {
		return nil
	}
	return q.all[q.head]
}

func (q *queue) pop() *probe {
	p := q.all[q.head]
	q.all[q.head] = nil
	q.head++
	if q.head > 32 && q.head*2 > len(q.all) {
		q.all = append(q.all[:0], q.all[q.head:]...)
		q.head = 0
	}
	return p
}

// rtt smooths round-trip times (RFC 6298 section 2).
type rtt struct{ smooth, vary time.Duration }

func (r *rtt) sample(d time.Duration) {
	if r.smooth == 0 || d < r.smooth/4 {
		// The first samples hold neighbour resolution and repeated askings.
		r.smooth, r.vary = max(d, 1), d/2
		return
	}
	r.vary += ((r.smooth - d).Abs() - r.vary) / 4
	r.smooth += (d - r.smooth) / 8
}

// wait is how long a refusal may take.
func (r *rtt) wait() time.Duration {
	if r.smooth == 0 {
		return blindGap
	}
	return min(max(r.smooth+4*r.vary+3*time.Millisecond, 5*time.Millisecond), time.Second)
}

func (r *rtt) stay() time.Duration { return r.span(knownStay, blindStay) }

func (r *rtt) span(known, blind time.Duration) time.Duration {
	if r.smooth == 0 {
		return blind
	}
	return max(known, min(4*r.smooth, 2*time.Second))
}

// gap is the time between two askings of one port. A host that never refused
// may have spent its tokens on somebody else: its ports are asked over more than
// a second, in which Linux gets one.
func (h *host) gap() time.Duration {
	if h.control == 0 && !h.mute {
		return max(blindGap, h.rtt.span(knownGap, blindGap))
	}
	return h.rtt.span(knownGap, blindGap)
}

// idle tells that nothing of the host is outstanding.
func (h *host) idle() bool { return h.fresh.len() == 0 && h.unknown == 0 && h.stay.len() == 0 }

// probeSent keeps the pace.
func (h *host) probeSent(now instant) {
	h.paceAt = max(now, h.paceAt) + h.pace
	if h.paceAt < now {
		h.paceAt = now
	}
}

// judge sets the pace by the share of first askings that were refused at once.
func (h *host) judge() {
	if h.asked < paceSample {
		return
	}
	switch {
	case h.refusals*10 >= h.asked*9:
		h.pace = max(h.pace/2, fastPace)
	case h.refusals*2 < h.asked:
		h.pace = firstPace
	}
	h.asked, h.refusals = 0, 0
}

// refuses takes a port that was refused as the control. Silences counted while
// the host seemed not to refuse at all are void then.
func (h *host) refuses(port uint16) {
	if h.control == 0 {
		for h.stay.len() > 0 {
			if p := h.stay.pop(); !p.done {
				p.staying = false
				h.unknown++
				h.requeue(p)
			}
		}
		for _, p := range h.ring.all[h.ring.head:] {
			p.valid = 0
		}
	}
	h.control = port
}

// requeue puts a probe at the ring's end.
func (h *host) requeue(p *probe) {
	if !p.inRing {
		p.inRing = true
		h.ring.push(p)
	}
}

// settled takes a probe out of the host's counts.
func (h *host) settled(p *probe) {
	if p.asks > 0 && !p.staying {
		h.unknown--
	}
	p.done = true
}

// why says what a limit that was not waited for leaves unknown.
func (h *host) why() string {
	if h.heldBack <= 1 {
		return fmt.Sprintf("%s stopped refusing: %d silent UDP ports are open|filtered, some may be closed", h.shown, h.unwaited)
	}
	return fmt.Sprintf("%s sends one ICMP error per %v and was not waited for: %d silent UDP ports are open|filtered, some may be closed",
		h.shown, h.heldBack.Round(100*time.Microsecond), h.unwaited)
}
