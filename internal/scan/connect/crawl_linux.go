package connect

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"time"

	"golang.org/x/sys/unix"

	"github.com/portreeve/portreeve/internal/exposure"
)

// Sweep asks every probe of w and tells each settled one once, with its
// number, from the calling goroutine. A probe that is not told was not
// settled, and a gap says why: interrupted, no way to the host, a host that
// fell silent, too little of this host's own means. The error is for a sweep
// that could not begin. Sockets are opened in the calling goroutine, so a
// caller on a locked thread scans that thread's network namespace.
func (t *Network) Sweep(ctx context.Context, w Work, tell func(i uint64, p exposure.PortState)) (exposure.ScanStats, []exposure.Gap, error) {
	begun := time.Now()
	c, err := newCrawl(ctx, t, w, tell)
	if err != nil {
		return exposure.ScanStats{}, nil, err
	}
	defer c.close()
	for !c.finished() {
		c.collect(c.launch())
		c.expire()
		c.progress(progressEvery)
	}
	c.progress(0)
	c.stats.Loss = c.loss.report()
	c.stats.Seconds = time.Since(begun).Seconds()
	return c.stats, c.gaps(), nil
}

// crawl is one call of Network.Sweep.
type crawl struct {
	t    *Network
	ctx  context.Context
	work Work
	tell func(i uint64, p exposure.PortState)

	ep      int
	events  []unix.EpollEvent
	pool    *pool
	crew    *crew
	batch   []*probe
	pending deadlines
	hosts   *hosts
	loss    lossMeter
	eager   eagerness

	next     uint64 // number of the work not yet begun
	again    backlog[job]
	held     backlog[job] // could not be begun for lack of means
	known    []job        // answered ports, for canaries
	openOnly bool         // none of known is closed
	sinceOne int          // probes since the last canary
	limit    int          // of probes in flight
	window   int          // the same, as far as this host's means go now

	stats    exposure.ScanStats
	told     uint64
	done     int // probes finished since Progress was last called
	reported time.Time
	lack     error         // of this host's means
	waited   time.Duration // for this host's means, since a probe last went out
	failures int           // probes that could not be sent, since one was
	stop     error         // why the sweep ends early
	gone     goneHosts
}

func newCrawl(ctx context.Context, t *Network, w Work, tell func(i uint64, p exposure.PortState)) (*crawl, error) {
	limit := descriptors(t.window())
	c := &crawl{t: t, ctx: ctx, work: w, tell: tell, pool: newPool(t), crew: newCrew(), hosts: newHosts(t.timeout()),
		limit: limit, window: limit, events: make([]unix.EpollEvent, 512)}
	var err error
	if c.ep, err = unix.EpollCreate1(unix.EPOLL_CLOEXEC); err != nil {
		return nil, fmt.Errorf("make an epoll descriptor: %w", err)
	}
	if err := c.tryOut(); err != nil {
		c.close()
		return nil, err
	}
	return c, nil
}

// tryOut opens a first socket where a source or an interface is asked for, so
// that a wrong one is an error and not a gap.
func (c *crawl) tryOut() error {
	if c.t.Iface == "" && !c.t.From.IsValid() {
		return nil
	}
	k := kind{v6: c.pool.from.Is6()}
	if !c.t.From.IsValid() && c.work.Len() > 0 {
		addr, _ := c.work.At(0)
		k.v6 = addr.Unmap().Is6()
	}
	s, err := c.pool.open(k, 0)
	if err == nil {
		c.pool.give(s)
	}
	return err
}

func (c *crawl) close() {
	c.crew.close()
	c.pool.close()
	_ = unix.Close(c.ep)
}

func (c *crawl) finished() bool {
	if c.stop == nil && c.ctx.Err() != nil {
		c.stop = errInterrupted
	}
	return c.stop != nil ||
		c.next == c.work.Len() && c.again.len() == 0 && c.held.len() == 0 && len(c.pending) == 0
}

// launch begins as many probes as may be, up to a batch, and says how long to
// wait for answers before the next.
func (c *crawl) launch() time.Duration {
	n := min(launchBatch, c.window-len(c.pending))
	if n <= 0 {
		return lookEvery
	}
	if c.t.Pace != nil {
		allowed, wait := c.t.Pace.Allow(time.Now(), len(c.pending))
		if allowed <= 0 {
			return min(max(wait, time.Millisecond), lookEvery)
		}
		n = min(n, allowed)
	}
	full := c.fill(n)
	c.crew.each(c.batch, (*line).attempt)
	short := false
	for _, s := range c.batch {
		short = c.begun(s) || short
	}
	switch {
	case short || c.held.len() > 0:
		return c.hardship()
	case full || c.more() || c.again.len() > 0:
		return 0
	}
	return lookEvery
}

// fill takes up to n jobs and a socket for each into the batch; false where
// there was less to do.
func (c *crawl) fill(n int) bool {
	c.batch = c.batch[:0]
	for range n {
		j, ok := c.nextJob()
		if !ok {
			return false
		}
		eager := c.eager.now()
		s, err := c.socket(j, eager && j.missed == 0 && !j.canary)
		switch {
		case err == nil:
			s.job, s.eager = j, eager
			c.batch = append(c.batch, s)
		case ownVerdict(errnoOf(err)).meaning == shortage:
			c.held.push(j)
			c.shrink(err, len(c.pool.byFD))
			return true
		default:
			j.host.gone = err
			c.lose(j)
		}
	}
	return true
}

// socket finds one that can ask j.
func (c *crawl) socket(j job, anchored bool) (*probe, error) {
	k, err := c.pool.kindOf(j.to.Addr())
	if err != nil {
		return nil, err
	}
	k.anchored = anchored
	return c.pool.take(k, c.limit)
}

// nextJob chooses what to ask: what was held back, a canary when one is due,
// silent ports again, new ones.
func (c *crawl) nextJob() (job, bool) {
	if j, ok := c.held.pop(); ok {
		return j, true
	}
	if j, ok := c.canary(); ok {
		return j, true
	}
	for j, ok := c.again.pop(); ok; j, ok = c.again.pop() {
		if j.host.gone == nil {
			c.sinceOne++
			return j, true
		}
		c.skip(j)
	}
	for c.more() {
		addr, port := c.work.At(c.next)
		j := job{i: c.next, to: netip.AddrPortFrom(addr.Unmap(), port)}
		c.next++
		j.host = c.hosts.of(j.to.Addr())
		j.host.refs++
		if j.host.gone == nil {
			c.sinceOne++
			return j, true
		}
		if c.skip(j); c.failures%launchBatch == 0 {
			break // look at the clock and the context
		}
	}
	return job{}, false
}

// more tells whether new ports may be asked now.
func (c *crawl) more() bool {
	return c.stop == nil && c.next < c.work.Len() && c.again.len() <= backlogFactor*c.limit
}

// canary gives an answered port to ask again, where one is due.
func (c *crawl) canary() (job, bool) {
	if c.sinceOne < canaryOneIn || len(c.known) == 0 {
		return job{}, false
	}
	c.sinceOne = 0
	j := c.known[rand.IntN(len(c.known))]
	if j.host = c.hosts.of(j.to.Addr()); j.host.gone != nil {
		return job{}, false
	}
	j.host.refs++
	j.canary = true
	return j, true
}

// begun takes the outcome of a probe's first call; true where this host lacked
// the means.
func (c *crawl) begun(s *probe) (short bool) {
	v := s.outcome
	switch v.meaning {
	case shortage:
		c.held.push(s.job)
		c.shrink(fmt.Errorf("connect to %s: %w", s.to, s.errno), len(c.pending))
		c.pool.give(s)
		return true
	case trouble:
		j := s.job
		j.host.gone = fmt.Errorf("connect: %w", s.errno)
		c.pool.give(s)
		c.lose(j)
		return false
	}
	c.waited, c.failures = 0, 0
	c.stats.Sent++
	if s.eager {
		c.eager.result(v.meaning != waiting)
	}
	if v.meaning != waiting {
		c.settle(s)
		return false
	}
	return c.park(s)
}

// park leaves a probe to epoll until it is answered or overdue. The edge
// trigger spares a call for each further use of the socket.
func (c *crawl) park(s *probe) (short bool) {
	if !s.watched {
		ev := unix.EpollEvent{Events: unix.EPOLLOUT | unix.EPOLLET, Fd: int32(s.fd)}
		if err := unix.EpollCtl(c.ep, unix.EPOLL_CTL_ADD, s.fd, &ev); err != nil {
			c.held.push(s.job)
			c.pool.shut(s)
			c.shrink(fmt.Errorf("wait for answers: %w", err), len(c.pending))
			return true
		}
		s.watched = true
	}
	try := s.missed
	if s.canary {
		try = 1 // its loss must not be mere lateness
	}
	s.deadline = s.began.Add(c.hosts.wait(s.host, try))
	c.pending.add(s)
	return false
}
