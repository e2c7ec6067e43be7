package pace

import (
	"math"
	"math/bits"
	"time"
)

// Bounds of the window, in probes.
const (
	minWindow   = 8
	startWindow = 64
	maxLevels   = 24
)

// Options say how fast a scan may be.
type Options struct {
	Rate     float64 // probes a second, kept; 0: found by measurement
	MaxRate  float64 // never more than this many a second; 0: no bound
	Floor    float64 // allowed a second where nothing is known to answer; 0: 1,000
	Start    int     // first window; 0: 64
	InFlight int     // largest window; 0: 65,536
	HalfOpen int     // connections that a tracker on the way may hold for us; 0: no bound
}

// Control decides how many probes may be sent.
type Control struct {
	o        Options
	window   float64
	slowTill float64 // slow start ends here
	used     bool    // the window is what limits
	allowed  int     // by the last Allow
	answers  bool    // something answered
	lag      time.Duration
	cut      time.Time // of the last cut
	levels   [maxLevels]outcome
	total    outcome
	rate     bucket // Rate or MaxRate
	floor    bucket
	tracked  tracker
	police   policer
}

// outcome counts samples.
type outcome struct{ sent, lost float64 }

func (o outcome) share() float64 {
	if o.sent == 0 {
		return 0
	}
	return o.lost / o.sent
}

// New begins at now.
func New(o Options, now time.Time) *Control {
	if o.Floor <= 0 {
		o.Floor = 1000
	}
	if o.InFlight <= 0 {
		o.InFlight = 1 << 16
	}
	if o.Start <= 0 {
		o.Start = startWindow
	}
	limit := o.Rate
	if limit <= 0 {
		limit = o.MaxRate
	}
	return &Control{o: o, window: float64(o.Start), slowTill: math.Inf(1), lag: time.Second,
		rate: newBucket(limit, now), floor: newBucket(o.Floor, now)}
}

// Allow says how many probes may be sent with inFlight outstanding and, where
// none may, when to ask again. Sent must tell how many were.
func (c *Control) Allow(now time.Time, inFlight int) (n int, wait time.Duration) {
	n = math.MaxInt
	if c.o.Rate <= 0 {
		n = max(int(c.window)-inFlight, 0)
		c.used = n < int(c.window)/2
		c.allowed = n
		if !c.answers {
			n = max(n, c.floor.ready(now))
		}
	}
	if c.rate.limited() {
		n = min(n, c.rate.ready(now))
	}
	if c.police.limits() {
		n = min(n, c.police.ceiling.ready(now))
	}
	if c.o.HalfOpen > 0 {
		n = min(n, max(c.o.HalfOpen-inFlight-c.tracked.held(now), 0))
	}
	if n > 0 {
		return n, 0
	}
	return 0, c.pause(now)
}

// pause is how long nothing can change but by an answer.
func (c *Control) pause(now time.Time) time.Duration {
	const tick = time.Millisecond
	if c.o.Rate > 0 {
		return min(c.rate.until(now), 100*time.Millisecond)
	}
	return tick
}

// Sent tells that n probes went out.
func (c *Control) Sent(now time.Time, n int) {
	c.used = c.used || n > 0 && n >= c.allowed/2
	c.rate.take(now, n)
	c.floor.take(now, n)
	c.police.ceiling.take(now, n)
	c.police.sent += float64(n)
}

// Silent tells that n probes were given up: a connection tracker on the way
// keeps them for a while.
func (c *Control) Silent(now time.Time, n int) {
	if c.o.HalfOpen > 0 {
		c.tracked.add(now, n)
	}
}

// Answered tells that n more probes are known to have got through.
func (c *Control) Answered(n int) {
	c.answers = c.answers || n > 0
	c.police.passed += float64(n)
	if !c.used || c.o.Rate > 0 {
		return
	}
	if c.window < c.slowTill {
		c.window += float64(n)
	} else {
		c.window += float64(n) / 10
	}
	c.window = min(c.window, float64(c.o.InFlight))
}

// Lag tells how long it takes to learn that a probe was lost.
func (c *Control) Lag(d time.Duration) { c.lag = d }

// Level is what a sample that is sent now belongs to.
func (c *Control) Level() uint8 {
	if c.police.limits() {
		return Policed
	}
	return uint8(min(bits.Len(uint(c.window)), maxLevels-1))
}

// Sample tells what became of a probe that should be answered.
func (c *Control) Sample(now time.Time, level uint8, lost bool) {
	c.total.sent++
	if lost {
		c.total.lost++
	}
	if c.o.Rate <= 0 && (level == Policed || !c.police.limits()) {
		c.police.sample(now, lost, c.lag)
	}
	if level >= Policed {
		return // the window had no part in it
	}
	l := &c.levels[level]
	l.sent++
	if lost {
		l.lost++
	}
	if l.sent > 2048 {
		l.sent, l.lost = l.sent/2, l.lost/2
	}
	if lost && c.o.Rate <= 0 && now.Sub(c.cut) > c.lag {
		c.judge(now, level)
	}
}

// judge cuts the window where loss at a level exceeds that of lower ones.
func (c *Control) judge(now time.Time, level uint8) {
	here, lower := c.levels[level], c.below(level)
	const enough = 24
	if here.sent < enough || int(level) <= bits.Len(minWindow) {
		return
	}
	allowed := lower.share()
	margin := 0.02 + 2*math.Sqrt(max(allowed*(1-allowed), 0.02)/here.sent)
	if lower.sent < enough {
		allowed = 0
	}
	if here.share() <= allowed+margin {
		c.slowTill = math.Inf(1)
		return
	}
	c.cut = now
	c.window = max(min(c.window, float64(uint(1)<<level)/2)*0.6, minWindow)
	c.slowTill = c.window
	c.levels[level] = outcome{here.sent / 4, here.lost / 4}
}

// below sums the outcomes of all lower levels.
func (c *Control) below(level uint8) outcome {
	var sum outcome
	for _, l := range c.levels[:level] {
		sum.sent += l.sent
		sum.lost += l.lost
	}
	return sum
}

// Loss is the share of all samples that was lost, and their number.
func (c *Control) Loss() (share float64, samples int) {
	return c.total.share(), int(c.total.sent)
}
