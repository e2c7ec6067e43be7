package udp

import "time"

// Figures of the canaries.
const (
	canaryEach  = 512 // datagrams sent for each canary
	canaryUses  = 4   // of one endpoint, so that none is bothered
	canaryFew   = 4   // at least, where something answers
	canaryRest  = 60 * time.Millisecond
	canaryKnown = 64
)

// canaries re-ask endpoints that answered: a missing answer is loss.
type canaries struct {
	known      []canary
	pending    map[spot]instant // when it counts as lost
	at         instant
	sent, lost int64
	recent     float64 // loss lately, smoothed
}

type canary struct {
	spot
	request *request
	rtt     time.Duration
	uses    int
}

// learn remembers an endpoint that answered.
func (c *canaries) learn(s spot, r *request, rtt time.Duration) {
	if len(c.known) == canaryKnown {
		c.known = append(c.known[:0], c.known[1:]...)
	}
	c.known = append(c.known, canary{spot: s, request: r, rtt: rtt})
}

// due gives a canary to ask now.
func (c *canaries) due(now instant, sent int64) (shot, bool) {
	c.expire(now)
	if now < c.at || c.sent >= canaryFew+sent/canaryEach {
		return shot{}, false
	}
	for i := range c.known {
		k := &c.known[i]
		if _, waiting := c.pending[k.spot]; waiting || k.uses == canaryUses {
			continue
		}
		k.uses++
		c.sent++
		c.at = now + canaryRest
		c.pending[k.spot] = now + max(8*k.rtt, 200*time.Millisecond)
		s := shot{to: k.spot, request: k.request}
		last := len(c.known) - 1
		c.known[i], c.known[last] = c.known[last], c.known[i]
		return s, true
	}
	return shot{}, false
}

func (c *canaries) expire(now instant) {
	for s, at := range c.pending {
		if at <= now {
			delete(c.pending, s)
			c.lost++
			c.recent += (1 - c.recent) / 8
		}
	}
}

func (c *canaries) answered(s spot) bool {
	if _, ok := c.pending[s]; !ok {
		return false
	}
	delete(c.pending, s)
	c.recent -= c.recent / 8
	return true
}

// wake is when the next pending canary is lost.
func (c *canaries) wake() instant {
	at := never
	for _, t := range c.pending {
		at = min(at, t)
	}
	return at
}
