package pace

import (
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"pgregory.net/rapid"
)

var epoch = time.Unix(1700000000, 0)

// path is a simulated network on a virtual clock: it carries capacity probes a
// second, holds queue of them, loses what is more, and a share of all at
// random. Probes to it are all answered but for that.
type path struct {
	capacity, random float64
	queue            int
	rtt              time.Duration
	free             time.Time // when the line is free again
	r                *rand.Rand
}

// send tells when the answer comes; false is loss.
func (p *path) send(now time.Time) (time.Time, bool) {
	if p.free.Before(now) {
		p.free = now
	}
	each := time.Duration(float64(time.Second) / p.capacity)
	if p.free.Sub(now) > time.Duration(p.queue)*each {
		return now, false
	}
	p.free = p.free.Add(each)
	return p.free.Add(p.rtt), p.r.Float64() >= p.random
}

// flight is one probe on its way.
type flight struct {
	at    time.Time // answer, or when it is given up
	ok    bool
	level uint8
}

// drive runs a Control over a path for a virtual while; it returns probes
// sent, answered and lost in the second half.
func drive(c *Control, p *path, d time.Duration) (sent, answered, lost int) {
	const timeout = 100 * time.Millisecond
	c.Lag(timeout)
	var onWay []flight
	for now := epoch; now.Before(epoch.Add(d)); now = now.Add(500 * time.Microsecond) {
		late := now.Sub(epoch) > d/2
		rest := onWay[:0]
		for _, f := range onWay {
			switch {
			case f.at.After(now):
				rest = append(rest, f)
			default:
				c.Sample(now, f.level, !f.ok)
				if f.ok {
					c.Answered(1)
				}
				if late && f.ok {
					answered++
				} else if late {
					lost++
				}
			}
		}
		onWay = rest
		n, _ := c.Allow(now, len(onWay))
		n = min(n, 4096)
		c.Sent(now, n)
		for range n {
			at, ok := p.send(now)
			if !ok {
				at = now.Add(timeout)
			}
			onWay = append(onWay, flight{at, ok, c.Level()})
		}
		if late {
			sent += n
		}
	}
	return sent, answered, lost
}

// The control finds a path's capacity, whatever it is, without losing much.
func TestFindsCapacity(t *testing.T) {
	for _, capacity := range []float64{2000, 20000, 200000} {
		p := &path{capacity: capacity, queue: int(capacity / 50), rtt: 2 * time.Millisecond, r: rand.New(rand.NewPCG(1, 2))}
		_, answered, lost := drive(New(Options{}, epoch), p, 8*time.Second)
		if rate := float64(answered) / 4; rate < capacity*0.6 {
			t.Errorf("capacity %v: %v answers a second", capacity, rate)
		}
		if share := float64(lost) / float64(lost+answered); share > 0.1 {
			t.Errorf("capacity %v: %.3f lost", capacity, share)
		}
	}
}

// Loss that slowing down does not cure does not slow down.
func TestRandomLossIsNotCongestion(t *testing.T) {
	for _, random := range []float64{0.05, 0.2, 0.36} {
		p := &path{capacity: 20000, random: random, queue: 2000, rtt: time.Millisecond, r: rand.New(rand.NewPCG(3, 4))}
		_, answered, _ := drive(New(Options{}, epoch), p, 10*time.Second)
		if rate := float64(answered) / 5; rate < 20000*(1-random)*0.4 {
			t.Errorf("random loss %v: %v answers a second", random, rate)
		}
	}
}

// A rate that is asked for is kept within 5 percent, whatever is lost and
// however irregularly one asks.
func TestRateIsKept(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		rate := rapid.Float64Range(50, 400000).Draw(t, "rate")
		c := New(Options{Rate: rate}, epoch)
		now, sent := epoch, 0
		for now.Sub(epoch) < 4*time.Second {
			n, wait := c.Allow(now, 1<<30)
			n = min(n, rapid.IntRange(1, 4096).Draw(t, "batch"))
			c.Sent(now, n)
			sent += n
			now = now.Add(wait + time.Duration(rapid.IntRange(1, 8000).Draw(t, "late"))*time.Microsecond)
			if rate/1000 > 64 && n > 0 && n < int(rate/100) {
				continue // a small batch: ask on at once, as senders do
			}
		}
		if got, most := float64(sent)/4, rate*1.05+1; got > most {
			t.Fatalf("%v a second, asked for %v", got, rate)
		}
	})
}

// Asked often enough, the rate is met and not only kept below.
func TestRateIsMet(t *testing.T) {
	for _, rate := range []float64{10, 333, 5000, 250000} {
		c := New(Options{Rate: rate}, epoch)
		now, sent := epoch, 0
		for now.Sub(epoch) < 10*time.Second {
			n, wait := c.Allow(now, 0)
			c.Sent(now, n)
			sent += n
			now = now.Add(max(wait, 300*time.Microsecond))
		}
		if got := float64(sent) / 10; math.Abs(got-rate) > rate*0.05 {
			t.Errorf("%v a second, asked for %v", got, rate)
		}
	}
}

// Without any answer a scan goes on at its floor; a most is a most.
func TestFloorAndMost(t *testing.T) {
	for _, c := range []struct {
		o         Options
		low, high int
	}{{Options{}, 4000, 6200}, {Options{MaxRate: 300}, 1400, 1600}, {Options{Floor: 200}, 900, 1300}} {
		control := New(c.o, epoch)
		sent, inFlight := 0, 0
		for now := epoch; now.Sub(epoch) < 5*time.Second; now = now.Add(time.Millisecond) {
			n, _ := control.Allow(now, inFlight)
			control.Sent(now, n)
			sent, inFlight = sent+n, inFlight+n
		}
		if sent < c.low || sent > c.high {
			t.Errorf("%+v: %d probes in 5 s, want %d to %d", c.o, sent, c.low, c.high)
		}
	}
}

// No more connections than the budget are left in a tracker on the way: a
// naive one counts.
func TestHalfOpenBudget(t *testing.T) {
	const budget = 5000
	control := New(Options{Rate: 1000, HalfOpen: budget}, epoch)
	var kept []time.Time
	most := 0
	for now := epoch; now.Sub(epoch) < 400*time.Second; now = now.Add(100 * time.Millisecond) {
		for len(kept) > 0 && now.Sub(kept[0]) > trackSeconds*time.Second {
			kept = kept[1:]
		}
		n, _ := control.Allow(now, 0)
		control.Sent(now, n)
		control.Silent(now, n) // nothing answers
		for range n {
			kept = append(kept, now)
		}
		most = max(most, len(kept))
	}
	if most > budget+budget/50 || most < budget*9/10 {
		t.Errorf("%d connections were kept at most, the budget is %d", most, budget)
	}
}

func TestTimeoutFollowsTheRoundTrip(t *testing.T) {
	var r RTT
	if r.Timeout() != FirstTimeout {
		t.Errorf("%v before anything is known", r.Timeout())
	}
	for range 50 {
		r.Add(400 * time.Millisecond)
	}
	if got := r.Timeout(); got < 400*time.Millisecond || got > 500*time.Millisecond {
		t.Errorf("%v for a round trip of 400 ms", got)
	}
	for range 200 {
		r.Add(time.Microsecond)
	}
	if got := r.Timeout(); got != MinTimeout {
		t.Errorf("%v for a round trip of 1 us", got)
	}
}

// A host that limits its answers by the clock is asked no faster than it
// answers: little is lost, and most of what it lets through is used.
func TestKeepsBelowAPolicer(t *testing.T) {
	for _, capacity := range []float64{200, 1000, 3000} {
		p := &path{capacity: capacity, queue: 50, rtt: 100 * time.Microsecond, r: rand.New(rand.NewPCG(5, 6))}
		_, answered, lost := drive(New(Options{}, epoch), p, 20*time.Second)
		if rate := float64(answered) / 10; rate < capacity*0.6 {
			t.Errorf("limit %v: %v answers a second", capacity, rate)
		}
		if share := float64(lost) / float64(lost+answered); share > 0.2 {
			t.Errorf("limit %v: %.3f lost", capacity, share)
		}
	}
}
