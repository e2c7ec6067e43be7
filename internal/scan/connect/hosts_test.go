package connect

import (
	"net/netip"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// Whatever was measured, a wait is at least leastWait, at most the longest
// allowed, and no shorter for a later try.
func TestWaitBounds(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		most := time.Duration(rapid.Int64Range(int64(leastWait), int64(10*time.Second)).Draw(t, "most"))
		hs := newHosts(most)
		h, other := hs.of(netip.MustParseAddr("192.0.2.1")), hs.of(netip.MustParseAddr("192.0.2.2"))
		for _, d := range rapid.SliceOf(rapid.Int64Range(0, int64(5*time.Second))).Draw(t, "own") {
			hs.heard(h, time.Unix(0, 0), time.Duration(d))
		}
		for _, d := range rapid.SliceOf(rapid.Int64Range(0, int64(5*time.Second))).Draw(t, "others'") {
			hs.heard(other, time.Unix(0, 0), time.Duration(d))
		}
		last := time.Duration(0)
		for try := range mostTries {
			d := hs.wait(h, try)
			if d < leastWait || d > most || d < last {
				t.Fatalf("try %d waits %v after %v, most %v", try, d, last, most)
			}
			last = d
		}
	})
}

// A steady round trip is waited for twice over and no longer.
func TestWaitFollowsRoundTrip(t *testing.T) {
	hs := newHosts(5 * time.Second)
	h := hs.of(netip.MustParseAddr("192.0.2.1"))
	if d := hs.wait(h, 0); d != unknownWait {
		t.Errorf("a stranger is waited for %v", d)
	}
	for range 100 {
		hs.heard(h, time.Unix(0, 0), 400*time.Millisecond)
	}
	if d := hs.wait(h, 0); d < 790*time.Millisecond || d > 850*time.Millisecond {
		t.Errorf("waits %v for 400 ms", d)
	}
	stranger := hs.of(netip.MustParseAddr("192.0.2.9"))
	if d := hs.wait(stranger, 1); d != unknownWait {
		t.Errorf("a stranger's second try waits %v", d)
	}
}

// Only a fixed number of hosts without probes out is remembered, and those
// with some are never forgotten.
func TestHostsAreForgotten(t *testing.T) {
	hs := newHosts(time.Second)
	addr := netip.MustParseAddr("10.0.0.0")
	busy := hs.of(addr)
	busy.refs = 1
	for range mostHosts + 5000 {
		addr = addr.Next()
		hs.of(addr)
	}
	if len(hs.byAddr) > mostHosts || hs.of(busy.addr) != busy {
		t.Errorf("%d hosts remembered", len(hs.byAddr))
	}
}

// A host counts as fallen silent only by canaries younger than its answers,
// and only when it said nothing for long.
func TestMute(t *testing.T) {
	at := func(ms int) time.Time { return time.Unix(100, 0).Add(time.Duration(ms) * time.Millisecond) }
	hs := newHosts(time.Second)
	h := hs.of(netip.MustParseAddr("192.0.2.1"))
	hs.heard(h, at(100), time.Millisecond)
	for range 50 {
		h.unheard(at(50), at(5000))
	}
	if h.suspect() || h.gone != nil {
		t.Error("canaries older than the last answer count")
	}
	for range muteAfter {
		h.unheard(at(200), at(400))
	}
	if !h.suspect() || h.gone != nil {
		t.Error("a short silence is no more than suspect")
	}
	hs.heard(h, at(90), time.Millisecond)
	if !h.suspect() {
		t.Error("the answer to an older probe ends the suspicion")
	}
	h.unheard(at(300), at(2000))
	if h.gone == nil {
		t.Error("a long silence is not seen")
	}
}

// The queue gives what a slice would.
func TestBacklog(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var b backlog[int]
		var twin []int
		for i, push := range rapid.SliceOf(rapid.Bool()).Draw(t, "steps") {
			if push {
				b.push(i)
				twin = append(twin, i)
				continue
			}
			x, ok := b.pop()
			if ok != (len(twin) > 0) || ok && x != twin[0] {
				t.Fatalf("popped %d %v of %v", x, ok, twin)
			}
			twin = slices.Delete(twin, 0, min(1, len(twin)))
		}
		if b.len() != len(twin) || len(b.items) > 2*len(twin)+1 {
			t.Fatalf("%d of %d items held for %d", b.len(), len(b.items), len(twin))
		}
	})
}

// Looking at once is given up where it finds nothing, sampled, and taken up
// again when it does.
func TestEagerness(t *testing.T) {
	var e eagerness
	count := func() (n int) {
		for range 1000 {
			if e.now() {
				n++
				e.result(false)
			}
		}
		return n
	}
	if n := count(); n > eagerTries+1000/eagerSample+1 {
		t.Errorf("%d looks in vain", n)
	}
	e.result(true)
	if !e.now() {
		t.Error("not taken up again")
	}
}

// The loss is what retries and canaries show together.
func TestLossMeter(t *testing.T) {
	var l lossMeter
	if l.estimate() != 0 || l.suspected() != 0 {
		t.Error("loss without evidence")
	}
	for range 60 {
		l.answered(0)
	}
	for range 20 {
		l.answered(1)
	}
	for i := range 20 {
		l.canary(i%2 == 0)
	}
	if got := l.estimate(); got != 30.0/120 {
		t.Errorf("estimate %v", got)
	}
	if got := l.suspected(); got != 0.5 {
		t.Errorf("suspected %v", got)
	}
}
