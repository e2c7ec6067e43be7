package udp

import (
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/portreeve/portreeve/internal/exposure"
)

// How long a sweep of 13 services and 41 closed ports takes against each kind
// of limit, and what it costs in datagrams. The floor is (41 − burst) periods.
func TestLimitsAreWaitedForAndNoLonger(t *testing.T) {
	const ms = time.Millisecond
	for _, c := range []struct {
		name     string
		limiter  limiter
		most     time.Duration
		mostSent int64
	}{
		{"none", unlimited{}, 450 * ms, 70},
		{"Linux IPv4, 1/s after 6", newBucket(time.Second, 6), 35*time.Second + 800*ms, 160},
		{"Linux IPv6, 10/s after 6", newBucket(100*ms, 6), 3900 * ms, 200},
		{"Linux IPv6, 40/s after 6", newBucket(25*ms, 6), 1400 * ms, 300},
		{"router, 2/s after 1", newBucket(500*ms, 1), 21500 * ms, 200},
		{"unusual, 1 in 700 ms after 3", newBucket(700*ms, 3), 31 * time.Second, 250},
		{"unusual, 1 in 37 ms after 10", newBucket(37*ms, 10), 2200 * ms, 300},
		{"BSD, 200 a second", &window{most: 200, since: -time.Hour}, 450 * ms, 70},
		{"window of 5 a second", &window{most: 5, since: -time.Hour}, 10500 * ms, 700},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := ports("192.0.2.1", serviceList()...)
			s, _ := oneHost(t, c.limiter, serviceList()[:13], nil)
			took, e := s.run(&Transport{}, w)
			s.check(w, false)
			t.Logf("%v, %d datagrams", took, e.counts.sent)
			if took > c.most || e.counts.sent > c.mostSent {
				t.Errorf("took %v (most %v) and %d datagrams (most %d)", took, c.most, e.counts.sent, c.mostSent)
			}
		})
	}
}

// Silent ports among closed ones are told apart under a limit, and do not cost
// a token each.
func TestSilentPortsCostNoTokens(t *testing.T) {
	for name, l := range map[string]limiter{"Linux": newBucket(time.Second, 6), "none": unlimited{}, "BSD": &window{most: 200, since: -time.Hour}} {
		t.Run(name, func(t *testing.T) {
			w := ports("192.0.2.1", through(1000, 1299)...)
			s, _ := oneHost(t, l, []uint16{1007}, through(1020, 1299))
			took, e := s.run(&Transport{}, w)
			s.check(w, false)
			t.Logf("%v, %d datagrams", took, e.counts.sent)
			if took > 25*time.Second {
				t.Errorf("took %v", took)
			}
		})
	}
}

// A host whose errors were spent on others before the sweep began is no silent
// host.
func TestDrainedHost(t *testing.T) {
	w := ports("192.0.2.1", append(through(7100, 7110), 53)...)
	l := newBucket(time.Second, 6)
	l.tokens = 0
	s, _ := oneHost(t, l, []uint16{53}, nil)
	took, _ := s.run(&Transport{}, w)
	s.check(w, false)
	if took > 13*time.Second {
		t.Errorf("took %v", took)
	}
}

// A host that never refuses is asked three times, not waited for.
func TestSilentHost(t *testing.T) {
	w := ports("192.0.2.1", through(1, 1000)...)
	s, _ := oneHost(t, unlimited{}, nil, through(1, 1000))
	took, e := s.run(&Transport{}, w)
	s.check(w, false)
	if took > 4*time.Second || e.counts.sent != 3000 {
		t.Errorf("took %v, %d datagrams", took, e.counts.sent)
	}
}

// With Patience the rest is open|filtered, with the limit in the gap.
func TestPatience(t *testing.T) {
	w := ports("192.0.2.1", serviceList()...)
	s, _ := oneHost(t, newBucket(time.Second, 6), serviceList()[:13], nil)
	took, e := s.run(&Transport{Patience: 10 * time.Second}, w)
	left := s.check(w, true)
	h := e.hosts[place{addr: netip.MustParseAddr("192.0.2.1")}]
	if took > 12*time.Second || left < 20 || left > 26 || h.unwaited != left || !strings.Contains(h.why(), "one ICMP error per 1s") {
		t.Errorf("took %v, %d left, %s", took, left, h.why())
	}
}

// Loss never makes a port open, hardly ever hides a service, and costs no
// closed port more than the state open|filtered.
func TestLoss(t *testing.T) {
	w := ports("192.0.2.1", serviceList()...)
	lost, mistaken := 0, 0
	for seed := range uint64(40) {
		s, h := oneHost(t, newBucket(100*time.Millisecond, 6), serviceList()[:13], nil)
		s.random, h.loss = rand.New(rand.NewPCG(seed, 7)), 0.1
		s.run(&Transport{}, w)
		mistaken += s.check(w, true)
		for i, p := range s.told {
			if i < 13 && p.State != exposure.Open {
				lost++
			}
		}
	}
	if lost > 5 || mistaken > 60 {
		t.Errorf("of 520 services %d were lost; %d of 2160 ports are open|filtered", lost, mistaken)
	}
}

// A wide sweep keeps to its window, whatever the Work's length.
func TestWindow(t *testing.T) {
	s := &sim{t: t, random: rand.New(rand.NewPCG(1, 2)), hosts: map[netip.Addr]*simHost{}}
	var w list
	for i := range 40 {
		a := netip.AddrFrom4([4]byte{192, 0, 2, byte(i)})
		s.hosts[a] = &simHost{limiter: newBucket(time.Second, 6), rtt: time.Millisecond, silent: set(through(1, 20)), open: set([]uint16{53})}
		for p := uint16(1); p <= 60; p++ {
			w = append(w, netip.AddrPortFrom(a, p))
		}
	}
	rand.New(rand.NewPCG(3, 4)).Shuffle(len(w), func(i, j int) { w[i], w[j] = w[j], w[i] })
	s.run(&Transport{Window: 256}, w)
	s.check(w, false)
	if s.most > 256 {
		t.Errorf("%d probes outstanding", s.most)
	}
}

// drawHost draws a host of any kind.
func drawHost(rt *rapid.T, all []uint16) *simHost {
	h := &simHost{rtt: time.Duration(rapid.IntRange(10, 80_000).Draw(rt, "rtt µs")) * time.Microsecond, open: map[uint16]bool{}, silent: map[uint16]bool{}}
	period := time.Duration(rapid.SampledFrom([]int{5, 25, 40, 100, 333, 500, 1000}).Draw(rt, "period ms")) * time.Millisecond
	h.limiter = rapid.SampledFrom([]limiter{unlimited{}, newBucket(period, rapid.IntRange(1, 12).Draw(rt, "burst")),
		&window{most: rapid.IntRange(3, 250).Draw(rt, "window"), since: -time.Hour}}).Draw(rt, "limiter")
	for _, p := range all {
		switch rapid.IntRange(0, 5).Draw(rt, "kind") {
		case 0:
			h.open[p] = true
		case 1:
			h.silent[p] = true
		}
	}
	return h
}

// Whatever the hosts, every number is told once; without loss open, closed
// and silent are what they are but for a rare closed port called
// open|filtered.
func TestEngineAgainstAnyHost(t *testing.T) {
	total, mistaken := 0, 0
	rapid.Check(t, func(rt *rapid.T) {
		all := through(1, uint16(rapid.IntRange(1, 40).Draw(rt, "ports")))
		s := &sim{t: t, random: rand.New(rand.NewPCG(1, 2)), hosts: map[netip.Addr]*simHost{}}
		var w list
		for i := range rapid.IntRange(1, 3).Draw(rt, "hosts") {
			a := netip.AddrFrom4([4]byte{192, 0, 2, byte(i)})
			s.hosts[a] = drawHost(rt, all)
			for _, p := range all {
				w = append(w, netip.AddrPortFrom(a, p))
			}
		}
		if rapid.Bool().Draw(rt, "double") {
			w = append(w, w[0])
		}
		_, e := s.run(&Transport{}, w)
		mistaken += s.check(w, true)
		total += len(w)
		if len(e.probes) != 0 || len(e.heap) != 0 && slices.ContainsFunc(e.heap, func(h *host) bool { return h.unknown > 0 }) {
			rt.Errorf("%d probes and %d hosts left", len(e.probes), len(e.heap))
		}
	})
	if mistaken*100 > total {
		t.Errorf("%d of %d closed ports are called open|filtered", mistaken, total)
	}
}

// A fixed rate is kept within 5 %; an automatic one stays below its bound and
// falls with loss.
func TestPace(t *testing.T) {
	for _, rate := range []float64{10, 333, 5000, 100_000} {
		p, now, n := newPace(rate, 0), instant(0), 0
		for now < 20*time.Second {
			if wait := p.allow(now); wait > 0 {
				now += wait + 300*time.Microsecond // a late wake-up
				continue
			}
			n++
		}
		if got := float64(n) / 20; got < rate*0.95 || got > rate*1.05 {
			t.Errorf("rate %g: %g", rate, got)
		}
	}
	p := newPace(0, 8000)
	for now := instant(0); now < 10*time.Second; now += time.Millisecond {
		p.held = true
		p.adapt(now, 0)
	}
	top := p.rate
	for now := 10 * time.Second; now < 12*time.Second; now += time.Millisecond {
		p.adapt(now, 0.5)
	}
	if top != 8000 || p.rate > 1000 {
		t.Errorf("the rate rose to %g and fell to %g", top, p.rate)
	}
}
