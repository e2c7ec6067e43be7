package wide

import (
	"context"
	"fmt"
	"math"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"github.com/portreeve/portreeve/internal/exposure"
	"github.com/portreeve/portreeve/internal/scan/pace"
)

// Timing of the sender.
const (
	burst       = 4 * batchSize // tries sent between two looks at the answers
	nap         = 200 * time.Microsecond
	reportEvery = 100 * time.Millisecond
	lookEvery   = 50 * time.Millisecond // at whether the way is still there
	// lingering is how much longer than a time-out the last try of a probe is
	// waited for: a host that is busy for a moment has not closed its ports.
	lingering = 500 * time.Millisecond
)

// Sweep asks every probe of w and tells each settled one once, from this
// goroutine. The error is for a sweep that could not begin (errors.Is
// fs.ErrPermission without CAP_NET_RAW); a cancelled ctx and a way that went
// down are gaps, and what was not settled then is not told.
func (t *Transport) Sweep(ctx context.Context, w Work, tell func(i uint64, p exposure.PortState)) (exposure.ScanStats, []exposure.Gap, error) {
	begun := time.Now()
	s := &sweep{t: t, work: w, tell: tell, begun: begun, cookie: newCookie(), win: newWindow(w.Len()),
		canaries: newCanaries(), control: pace.New(t.Pace, begun), unroutable: map[string]int{}}
	if err := s.open(); err != nil {
		s.close()
		return exposure.ScanStats{}, nil, err
	}
	hearing := make(chan struct{})
	go func() { defer close(hearing); s.listen() }()
	s.run(ctx)
	s.stopListening()
	<-hearing
	s.last()
	s.close()
	return s.stats(), s.gaps(ctx), nil
}

// sweep is one call of Sweep.
type sweep struct {
	t        *Transport
	work     Work
	tell     func(uint64, exposure.PortState)
	begun    time.Time
	cookie   cookie
	win      *window
	canaries *canaries
	control  *pace.Control
	rtt      pace.RTT

	ports *reservedPorts
	post  *post
	rings []*ring
	wake  int // eventfd that ends listening

	queues [maxTries]queue // tries that wait for an answer, by try
	again  queue           // probes that will be sent again
	linger queue           // silent probes that wait a little longer
	waits  int             // tries that wait, in all

	heard    atomic.Uint32 // clock up to which all that came was heard
	woke     time.Time     // of who hears: when it last looked
	received atomic.Int64  // packets that answered a probe
	answered atomic.Int64  // probes of the window with an answer
	heeded   int64         // of them, told to the control
	taken    int64         // of them, settled
	settled  uint64
	sent     int64
	mute     int64   // probes settled without an answer
	overrun  int64   // packets that found the rings full
	silent   float64 // share of settled probes without answer, of late

	way        error     // why the way is gone
	looked     time.Time // when it was last there
	reported   time.Time
	unroutable map[string]int
}

func (s *sweep) open() error {
	var err error
	if s.wake, err = unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK); err != nil {
		return fmt.Errorf("make an event descriptor: %w", err)
	}
	if s.post, err = openPost(); err != nil {
		return err
	}
	if s.ports, err = reservePorts(); err != nil {
		return err
	}
	return s.openRings()
}

func (s *sweep) run(ctx context.Context) {
	for ctx.Err() == nil && s.way == nil {
		now := time.Now()
		s.collect(now)
		if s.settled == s.work.Len() {
			break
		}
		n, wait := s.control.Allow(now, s.inFlight())
		if s.send(now, min(n, burst)) == 0 {
			s.rest(wait)
		}
		s.report(now)
	}
}

func (s *sweep) rest(wait time.Duration) {
	if wait <= 0 || wait > 10*time.Millisecond {
		wait = 10 * time.Millisecond // nothing to send, or nothing allowed: answers may change that
	}
	if s.t.Pace.Rate <= 0 {
		wait = nap
	}
	time.Sleep(min(wait, time.Millisecond))
}

// inFlight is how many tries are neither answered nor given up.
func (s *sweep) inFlight() int {
	return max(s.waits-int(s.answered.Load()-s.taken), 0) + int(s.canaries.next-s.canaries.oldest)
}

// collect settles what was answered or has waited long enough.
func (s *sweep) collect(now time.Time) {
	// What came is judged by the clock of who hears: where this machine is
	// busy, an answer may have been here for long before it is read.
	c := clock(s.heard.Load())
	answered := s.answered.Load()
	s.control.Answered(int(answered - s.heeded))
	s.heeded = answered
	s.control.Lag(2 * s.rtt.Timeout())
	s.canaries.settle(c, s.rtt.Timeout(), func(level uint8, lost bool) {
		s.control.Sample(now, level, lost)
		if !lost {
			s.control.Answered(1 + int(s.silent*canaryEvery))
		}
	})
	for try := range s.queues {
		s.pump(now, c, try, s.timeout(try))
	}
	s.giveUp(now, c)
}

// giveUp settles the silent probes that have lingered.
func (s *sweep) giveUp(now time.Time, c clock) {
	for q := &s.linger; q.n > 0; {
		w := q.front()
		if a := s.win.answer(w.number); a != 0 {
			s.settleAnswered(now, q.pop(), a)
			continue
		}
		if c.sub(w.sent) < s.timeout(int(w.try))+lingering || !s.thereStill(now) {
			return
		}
		if int(w.try)+1 < s.tries() { // more is lost than was known when it was left
			s.again.push(q.pop())
			continue
		}
		s.silent += (1 - s.silent) / 256
		s.mute++
		s.settle(q.pop().number, nothing, 0, 0)
	}
}

// timeout is how long a try waits: later ones longer, so that a burst of loss
// does not meet them all.
func (s *sweep) timeout(try int) time.Duration {
	return s.rtt.Timeout() * time.Duration(2+try) / 2
}

// pump goes through the tries of one queue in the order they were sent.
func (s *sweep) pump(now time.Time, c clock, try int, timeout time.Duration) {
	for q := &s.queues[try]; q.n > 0; {
		w := q.front()
		a := s.win.answer(w.number)
		switch {
		case a != 0 && a.code() != synAck && c.sub(a.at()) < grace:
			return
		case a != 0:
			s.waits--
			s.settleAnswered(now, q.pop(), a)
		case c.sub(w.sent) < timeout:
			return
		case !s.thereStill(now):
			return
		default:
			s.waits--
			s.timedOut(now, q.pop())
		}
	}
}

func (s *sweep) timedOut(now time.Time, w waiting) {
	s.control.Silent(now, 1)
	if int(w.try)+1 < s.tries() {
		s.again.push(w)
		return
	}
	s.linger.push(w)
}

// tries is how often a silent probe is sent: until it is likely that at least
// one question and its answer got through.
func (s *sweep) tries() int {
	if s.t.Tries > 0 {
		return min(s.t.Tries, maxTries)
	}
	loss, samples := s.control.Loss()
	if samples == 0 {
		return 3
	}
	const miss = 0.0002
	loss = (loss*float64(samples) + 0.5) / (float64(samples) + 1)
	least := minTries
	if s.silent < 0.3 {
		least *= 2 // where nearly everything answers, silence is rare and worth another question
	}
	return min(max(int(math.Ceil(math.Log(miss)/math.Log(loss))), least), maxTries)
}

func (s *sweep) settleAnswered(now time.Time, w waiting, a answer) {
	s.taken++
	s.silent -= s.silent / 256
	var rtt time.Duration
	if a.try() == w.try {
		if rtt = a.at().sub(w.sent); rtt < 0 || rtt > time.Minute {
			rtt = 0
		}
		s.rtt.Add(max(rtt, time.Microsecond))
	}
	lost := w.level
	if lost == pace.Policed && w.was != pace.Policed {
		lost = w.was // before the ceiling held
	}
	for range a.try() {
		s.control.Sample(now, lost, true)
	}
	s.control.Sample(now, w.level, false)
	s.settle(w.number, a.code(), a.ttl(), rtt)
}

func (s *sweep) settle(number uint64, c code, ttl uint8, rtt time.Duration) {
	addr, port := s.work.At(number)
	if c >= reset {
		s.canaries.learn(answerer{addr, port})
	}
	state, reason := c.meaning()
	s.win.settle(number)
	s.settled++
	s.tell(number, exposure.PortState{Addr: addr, Port: port, Proto: exposure.TCP, State: state, Reason: reason,
		RTT: rtt, RTTus: rtt.Microseconds(), TTL: ttl})
}

// thereStill asks, not too often, whether the way to the targets exists:
// silence means nothing without one.
func (s *sweep) thereStill(now time.Time) bool {
	if s.t.Down != nil && now.Sub(s.looked) >= lookEvery {
		s.looked = now
		s.way = s.t.Down()
	}
	return s.way == nil
}

func (s *sweep) report(now time.Time) {
	if s.t.Progress == nil || now.Sub(s.reported) < reportEvery {
		return
	}
	s.reported = now
	loss, _ := s.control.Loss()
	s.t.Progress(Status{Settled: s.settled, Total: s.work.Len(), Sent: s.sent, Received: s.received.Load(), Loss: loss})
}

// last settles the answers that came, of a sweep that ends early.
func (s *sweep) last() {
	now := time.Now()
	for _, q := range s.waiting() {
		for q.n > 0 {
			w := q.pop()
			if a := s.win.answer(w.number); a != 0 {
				s.settleAnswered(now, w, a)
			}
		}
	}
}

// waiting is every queue of probes that are not settled.
func (s *sweep) waiting() []*queue {
	all := []*queue{&s.again, &s.linger}
	for i := range s.queues {
		all = append(all, &s.queues[i])
	}
	return all
}

func (s *sweep) stats() exposure.ScanStats {
	loss, _ := s.control.Loss()
	return exposure.ScanStats{Sent: s.sent, Received: s.received.Load(), Seconds: time.Since(s.begun).Seconds(),
		Loss: exposure.ScanLoss{CanarySent: s.canaries.sent, CanaryLost: s.canaries.lost, Estimate: loss}}
}

func (s *sweep) gaps(ctx context.Context) []exposure.Gap {
	var gaps []exposure.Gap
	say := func(format string, args ...any) {
		gaps = append(gaps, exposure.Gap{View: "network", Why: fmt.Sprintf(format, args...)})
	}
	left := s.work.Len() - s.settled
	switch {
	case s.way != nil:
		say("%v: %d of %d probes are without an answer that can be trusted", s.way, left, s.work.Len())
	case ctx.Err() != nil && left > 0:
		say("the scan was interrupted: %d of %d probes are not settled", left, s.work.Len())
	}
	if n := s.post.forbidden.Load(); n > 0 {
		say("this host's own firewall refused to send %d packets: ports called filtered may be so because of it", n)
	}
	if s.overrun > 0 && s.mute > 0 {
		say("this machine was too slow to read %d packets: among the %d ports without an answer some may have given one; a lower --rate helps", s.overrun, s.mute)
	}
	for why, n := range s.unroutable {
		say("%d probes were not sent: %s", n, why)
	}
	return gaps
}
