package wide

import (
	"math/rand/v2"
	"net/netip"
	"sync/atomic"
	"time"
)

// Canaries: how many are out at most, and one in how many probes is one.
const (
	maxCanaries  = 256
	canaryEvery  = 64
	maxAnswerers = 128
)

// canary is one SYN to a port that has answered before.
type canary struct {
	to     answerer
	number uint64 // counts all canaries: the check of the cookie
	sent   clock
	level  uint8
}

// answerer is a port that has answered.
type answerer struct {
	addr netip.Addr
	port uint16
}

// canaries measure loss: each is answered, or was lost. The receiver uses
// answers and out, which are atomic, and nothing else.
type canaries struct {
	answers slots
	out     [maxCanaries]atomic.Pointer[canary]
	oldest  uint64 // number of the oldest that is out
	next    uint64
	known   []answerer // a sample of all answerers
	seen    uint64     // how many there were
	sent    int64
	lost    int64
	owed    int // tries sent since the last canary
}

func newCanaries() *canaries { return &canaries{answers: make(slots, maxCanaries)} }

// learn keeps a uniform sample of the answerers (reservoir sampling).
func (c *canaries) learn(a answerer) {
	c.seen++
	if len(c.known) < maxAnswerers {
		c.known = append(c.known, a)
		return
	}
	if i := rand.Uint64N(c.seen); i < maxAnswerers {
		c.known[i] = a
	}
}

// due tells whether a canary should be sent now.
func (c *canaries) due() bool {
	return c.owed >= canaryEvery && len(c.known) > 0 && c.next-c.oldest < maxCanaries
}

// begin makes the next canary.
func (c *canaries) begin(now clock, level uint8) (*canary, uint32) {
	slot := uint32(c.next % maxCanaries)
	k := &canary{to: c.known[rand.IntN(len(c.known))], number: c.next, sent: now, level: level}
	c.answers.clear(slot)
	c.out[slot].Store(k)
	c.next++
	c.owed = 0
	c.sent++
	return k, slot
}

// settle goes through those that are out, oldest first, and tells each that
// was answered or has waited too long.
func (c *canaries) settle(now clock, timeout time.Duration, tell func(level uint8, lost bool)) {
	for c.oldest < c.next {
		slot := uint32(c.oldest % maxCanaries)
		k := c.out[slot].Load()
		answered := c.answers.read(slot, 0) != 0
		if !answered && now.sub(k.sent) < timeout {
			return
		}
		if !answered {
			c.lost++
		}
		c.out[slot].Store(nil)
		c.oldest++
		tell(k.level, !answered)
	}
}
