package connect

import (
	"math/rand/v2"
	"time"

	"golang.org/x/sys/unix"

	"github.com/portreeve/portreeve/internal/exposure"
)

// collect takes the answers that come within d or until a probe is overdue.
func (c *crawl) collect(d time.Duration) {
	if len(c.pending) == 0 && d == 0 {
		return
	}
	if len(c.pending) > 0 {
		d = max(0, min(d, time.Until(c.pending[0].deadline)))
	} else if c.finished() {
		return
	}
	for {
		n, _ := unix.EpollWait(c.ep, c.events, int((d+time.Millisecond-1)/time.Millisecond))
		c.look(c.events[:max(n, 0)])
		if n < len(c.events) {
			return
		}
		d = 0
	}
}

// look settles the probes that events are about, if they are still pending.
func (c *crawl) look(events []unix.EpollEvent) {
	c.batch = c.batch[:0]
	for _, ev := range events {
		if s := c.pool.byFD[int(ev.Fd)]; s != nil && s.place != idle {
			s.failed = ev.Events&unix.EPOLLERR != 0
			c.batch = append(c.batch, s)
		}
	}
	c.crew.each(c.batch, (*line).look)
	for _, s := range c.batch {
		if s.outcome.meaning != waiting {
			c.pending.drop(s)
			c.settle(s)
		}
	}
}

// expire gives up on overdue probes, each after a last look: a scanner that
// was itself held up has not waited in vain.
func (c *crawl) expire() {
	now := time.Now()
	c.batch = c.batch[:0]
	for s := c.pending.overdue(now); s != nil; s = c.pending.overdue(now) {
		c.pending.drop(s)
		c.batch = append(c.batch, s)
	}
	c.crew.each(c.batch, (*line).lastLook)
	for _, s := range c.batch {
		c.settle(s)
	}
}

// settle takes a probe that is no longer pending to its end and its socket
// back.
func (c *crawl) settle(s *probe) {
	j, v, rtt := s.job, s.outcome, s.took
	if s.spoilt {
		c.pool.shut(s)
	} else {
		c.pool.give(s)
	}
	began, now := s.began, s.began.Add(rtt)
	switch v.meaning {
	case settled:
		c.answered(j, v, now, rtt)
	case itself:
		c.connectedItself(j)
	case trouble:
		j.host.gone = unix.ENETDOWN
		c.lose(j)
	default:
		c.missed(j, began, now)
	}
}

// answered takes an answer, be it of the port or about it.
func (c *crawl) answered(j job, v verdict, now time.Time, rtt time.Duration) {
	c.stats.Received++
	c.regrow()
	if c.t.Pace != nil {
		c.t.Pace.Answered(now, rtt)
	}
	fromPort := v.state != exposure.Filtered
	if fromPort {
		c.hosts.heard(j.host, now.Add(-rtt), rtt)
	}
	if j.canary {
		c.loss.canary(true)
		j.host.refs--
		return
	}
	if fromPort {
		c.learn(j, v, now)
	}
	c.finish(j, v, rtt)
}

// learn takes what the answer of a port says of its host and of the loss; the
// rate limits of ICMP errors are no loss.
func (c *crawl) learn(j job, v verdict, now time.Time) {
	j.host.answered++
	if j.missed > 0 {
		j.host.silent--
	}
	c.loss.answered(j.missed)
	for range j.missed {
		if c.t.Pace != nil {
			c.t.Pace.Lost(now)
		}
	}
	c.remember(j, v.state)
}

// remember keeps a closed port as a canary, an open one only while no closed
// one is known: an open port's program would see each canary.
func (c *crawl) remember(j job, state exposure.PortStateName) {
	j = job{to: j.to, i: j.i}
	switch {
	case state == exposure.Open && (len(c.known) > 0):
	case state == exposure.Closed && c.openOnly:
		c.openOnly = false
		c.known = append(c.known[:0], j)
	case len(c.known) < canaries:
		c.openOnly = state == exposure.Open
		c.known = append(c.known, j)
	default:
		c.known[rand.IntN(len(c.known))] = j
	}
}

// missed takes a try that nothing answered.
func (c *crawl) missed(j job, began, now time.Time) {
	if j.canary {
		c.canaryMissed(j, began, now)
		return
	}
	if j.host.gone != nil {
		c.skip(j)
		return
	}
	if j.missed++; j.missed == 1 {
		j.host.silent++
	}
	enough := triesFor(j.host, c.t.tries(), c.loss.suspected())
	if j.missed < enough || j.host.suspect() && j.missed < mostTries {
		c.again.push(j)
		return
	}
	c.finish(j, filteredBy("no-response"), 0)
}

func (c *crawl) canaryMissed(j job, began, now time.Time) {
	j.host.refs--
	c.loss.canary(false)
	if c.t.Pace != nil {
		c.t.Pace.Lost(now)
	}
	j.host.unheard(began, now)
}

// connectedItself asks again from another port: the socket spoke to itself. A
// listener would have kept the port from being chosen, so after some times
// the port counts as closed.
func (c *crawl) connectedItself(j job) {
	if j.canary {
		j.host.refs--
		return
	}
	if j.selfs++; j.selfs < selfTries {
		c.again.push(j)
		return
	}
	c.finish(j, closedBy("conn-refused"), 0)
}

// finish tells the state of a probe of the work.
func (c *crawl) finish(j job, v verdict, rtt time.Duration) {
	j.host.refs--
	c.told++
	c.done++
	c.tell(j.i, exposure.PortState{Addr: j.to.Addr(), Port: j.to.Port(), Proto: exposure.TCP,
		State: v.state, Reason: v.reason, RTT: rtt, RTTus: rtt.Microseconds()})
}

// progress tells how many probes are done, at most once in every.
func (c *crawl) progress(every time.Duration) {
	if c.t.Progress == nil || c.done == 0 {
		return
	}
	if now := time.Now(); now.Sub(c.reported) >= every {
		c.reported = now
		n := c.done
		c.done = 0
		c.t.Progress(n)
	}
}
