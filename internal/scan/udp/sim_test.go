package udp

import (
	"cmp"
	"math/rand/v2"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/portreeve/portreeve/internal/exposure"
)

// limiter decides whether a host may send one more ICMP error at a time: the
// rules of the systems, written down as they stand.
type limiter interface{ allow(now instant) bool }

// unlimited is loopback, Windows.
type unlimited struct{}

func (unlimited) allow(instant) bool { return true }

// bucket is Linux's inet_peer_xrlim_allow (net/ipv4/inetpeer.c).
type bucket struct {
	period time.Duration
	burst  int
	tokens time.Duration
	last   instant
}

func newBucket(period time.Duration, burst int) *bucket {
	return &bucket{period: period, burst: burst, tokens: period * time.Duration(burst)}
}

func (b *bucket) allow(now instant) bool {
	b.tokens = min(b.tokens+now-b.last, b.period*time.Duration(b.burst))
	b.last = now
	if b.tokens < b.period {
		return false
	}
	b.tokens -= b.period
	return true
}

// window is BSD's badport_bandlim (sys/netinet/ip_icmp.c): so many a second.
type window struct {
	most, n int
	since   instant
}

func (w *window) allow(now instant) bool {
	if now-w.since >= time.Second {
		w.since, w.n = now, 0
	}
	w.n++
	return w.n <= w.most
}

// simHost is a host of the simulation: ports in silent or open, the rest
// closed.
type simHost struct {
	limiter
	rtt          time.Duration
	loss         float64
	open, silent map[uint16]bool
}

// sim is a network under a virtual clock.
type sim struct {
	t      testing.TB
	hosts  map[netip.Addr]*simHost
	random *rand.Rand
	events []simEvent
	now    instant
	told   map[uint64]exposure.PortState
	most   int // probes outstanding at once
}

type simEvent struct {
	at      instant
	to      spot
	refused bool
}

// run makes the sweep; the result is the time that it took.
func (s *sim) run(tr *Transport, w Work) (instant, *engine) {
	tab, err := parseTable(payloadTable)
	if err != nil {
		s.t.Fatal(err)
	}
	s.told = map[uint64]exposure.PortState{}
	e := newEngine(tr, tab, w, func(i uint64, p exposure.PortState) {
		if _, twice := s.told[i]; twice {
			s.t.Fatalf("number %d told twice", i)
		}
		s.told[i] = p
	})
	for turns := 0; !e.over(); turns++ {
		if turns > 20_000_000 {
			s.t.Fatal("the sweep does not end")
		}
		s.turn(e)
	}
	return s.now, e
}

func (s *sim) turn(e *engine) {
	shot, ok, wake := e.next(s.now)
	s.most = max(s.most, len(e.probes))
	switch {
	case ok:
		s.transmit(shot)
		s.now += 20 * time.Microsecond
	case len(s.events) > 0 && s.events[0].at < wake:
		s.now = max(s.now, s.events[0].at)
	case e.over():
	case wake == never:
		s.t.Fatalf("nothing is due and %d probes are outstanding", len(e.probes))
	default:
		s.now = max(s.now, wake)
	}
	for len(s.events) > 0 && s.events[0].at <= s.now {
		ev := s.events[0]
		s.events = s.events[1:]
		if ev.refused {
			e.refused(s.now, ev.to, "port-unreach")
		} else {
			e.answered(s.now, ev.to, false, []byte("hello"), 64)
		}
	}
}

func (s *sim) transmit(sh shot) {
	h := s.hosts[sh.to.addr]
	arrives := s.now + h.rtt/2
	if s.random.Float64() < h.loss || h.silent[sh.to.port] {
		return
	}
	refused := !h.open[sh.to.port]
	if refused && !h.allow(arrives) || s.random.Float64() < h.loss {
		return
	}
	s.events = append(s.events, simEvent{arrives + h.rtt/2, sh.to, refused})
	slices.SortStableFunc(s.events, func(a, b simEvent) int { return cmp.Compare(a.at, b.at) })
}

// oneHost is a network of one host.
func oneHost(t testing.TB, l limiter, open, silent []uint16) (*sim, *simHost) {
	h := &simHost{limiter: l, rtt: 200 * time.Microsecond, open: set(open), silent: set(silent)}
	return &sim{t: t, random: rand.New(rand.NewPCG(1, 2)), hosts: map[netip.Addr]*simHost{netip.MustParseAddr("192.0.2.1"): h}}, h
}

func set(ports []uint16) map[uint16]bool {
	m := map[uint16]bool{}
	for _, p := range ports {
		m[p] = true
	}
	return m
}

// check compares what was told with the truth; with loss a port may be
// open|filtered instead, never anything else.
func (s *sim) check(w Work, closedMayBeSilent bool) (mistaken int) {
	s.t.Helper()
	if uint64(len(s.told)) != w.Len() {
		s.t.Fatalf("%d of %d numbers told", len(s.told), w.Len())
	}
	for i, p := range s.told {
		addr, port := w.At(i)
		h := s.hosts[addr]
		want := exposure.Closed
		switch {
		case h.open[port]:
			want = exposure.Open
		case h.silent[port]:
			want = exposure.OpenFiltered
		}
		if p.State == want {
			continue
		}
		if p.State != exposure.OpenFiltered || !closedMayBeSilent {
			s.t.Fatalf("%s port %d is %s (%s), want %s", addr, port, p.State, p.Reason, want)
		}
		mistaken++
	}
	return mistaken
}
