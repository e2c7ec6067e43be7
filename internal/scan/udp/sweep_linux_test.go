package udp

import (
	"context"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/portreeve/portreeve/internal/exposure"
	"github.com/portreeve/portreeve/internal/nettest"
)

// result is what one sweep told.
type result struct {
	states map[uint64]exposure.PortState
	stats  exposure.ScanStats
	gaps   []exposure.Gap
}

func (r result) count(s exposure.PortStateName) (n int) {
	for _, p := range r.states {
		if p.State == s {
			n++
		}
	}
	return n
}

func sweepIn(t *testing.T, ns *nettest.NS, tr *Transport, w Work) result {
	t.Helper()
	r := result{states: map[uint64]exposure.PortState{}}
	ns.Do(func() {
		var err error
		r.stats, r.gaps, err = tr.Sweep(t.Context(), w, func(i uint64, p exposure.PortState) {
			if _, twice := r.states[i]; twice {
				t.Errorf("number %d told twice", i)
			}
			r.states[i] = p
		})
		if err != nil {
			t.Error(err)
		}
	})
	return r
}

// echoOn answers everything on these ports of an address.
func echoOn(ns *nettest.NS, addr string, ports ...uint16) {
	for _, p := range ports {
		pc := ns.ListenPacket("udp", net.JoinHostPort(addr, itoa(p)))
		serve(pc, func(_ int, b []byte, from net.Addr) { _, _ = pc.WriteTo(append(b, 'x'), from) })
	}
}

// pair is two namespaces, 10.9.0.1 and fd09::1 facing 10.9.0.2 and fd09::2.
func pair(t *testing.T) (a, b *nettest.NS) {
	a, b = nettest.New(t), nettest.New(t)
	nettest.Veth(t, a, b, "10.9.0.1/24", "10.9.0.2/24")
	a.Run("ip", "addr", "add", "fd09::1/64", "dev", "eth0", "nodad")
	b.Run("ip", "addr", "add", "fd09::2/64", "dev", "eth0", "nodad")
	return a, b
}

// Every kind of answer, refusal and silence, on this host's own address. A
// datagram from another port is nobody's answer, but TFTP's is.
func TestSweepStates(t *testing.T) {
	nettest.Need(t, "nft")
	ns := nettest.New(t)
	echoOn(ns, "127.0.0.1", 53)
	lossy := ns.ListenPacket("udp4", "127.0.0.1:2000")
	serve(lossy, func(n int, _ []byte, from net.Addr) {
		if n == 2 {
			_, _ = lossy.WriteTo([]byte("at last"), from)
		}
	})
	tftp, other := ns.ListenPacket("udp4", "127.0.0.1:69"), ns.ListenPacket("udp4", "127.0.0.1:0")
	fromOther := func(_ int, _ []byte, from net.Addr) { _, _ = other.WriteTo([]byte("\x00\x05\x00\x01no\x00"), from) }
	serve(tftp, fromOther)
	serve(ns.ListenPacket("udp4", "127.0.0.1:2001"), fromOther)
	empty := ns.ListenPacket("udp4", "127.0.0.1:7")
	serve(empty, func(_ int, _ []byte, from net.Addr) { _, _ = empty.WriteTo(nil, from) })
	ns.ListenPacket("udp4", "127.0.0.1:514")
	odd := ns.ListenPacket("udp4", "127.0.0.1:4321") // DNS where nobody expects it
	serve(odd, func(_ int, b []byte, from net.Addr) {
		if len(b) > 12 && b[2] == 0 {
			_, _ = odd.WriteTo(append([]byte{b[0], b[1], 0x85, 0x05}, b[4:]...), from)
		}
	})
	ns.Script(`nft 'add table ip t; add chain ip t i { type filter hook input priority 0; }; add rule ip t i udp dport 3000 reject with icmp admin-prohibited; add rule ip t i udp dport 3001 drop
add chain ip t o { type filter hook output priority 0; }; add rule ip t o udp dport 3002 drop'`)
	r := sweepIn(t, ns, &Transport{}, ports("127.0.0.1", 53, 2000, 69, 7, 2001, 514, 9, 3000, 3001, 3002, 4321))
	for i, want := range [][2]string{{"open", "udp-response"}, {"open", "udp-response"}, {"open", "udp-response"}, {"open", "udp-response"},
		{"open|filtered", "no-response"}, {"open|filtered", "no-response"}, {"closed", "port-unreach"},
		{"filtered", "admin-prohibited"}, {"open|filtered", "no-response"}, {"filtered", "not-permitted"}, {"open", "udp-response"}} {
		if g := r.states[uint64(i)]; string(g.State) != want[0] || g.Reason != want[1] {
			t.Errorf("port %d is %q (%s), want %v", g.Port, g.State, g.Reason, want)
		}
	}
	if s := r.states[2].Service; s == nil || s.Name != "tftp" {
		t.Errorf("service of port 69: %+v", s)
	}
	if s := r.states[10].Service; s == nil || s.Name != "domain" {
		t.Errorf("service of port 4321: %+v", s)
	}
	if len(r.gaps) != 0 || r.stats.Sent == 0 || r.stats.Received == 0 {
		t.Errorf("%+v %v", r.stats, r.gaps)
	}
}

// The kernel's own limits, IPv4 (set to ten a second) and IPv6, are waited for
// and every closed port is told closed.
func TestKernelLimits(t *testing.T) {
	a, b := pair(t)
	b.Run("sysctl", "-qw", "net.ipv4.icmp_ratelimit=100")
	for _, addr := range []string{"10.9.0.2", "fd09::2"} {
		t.Run(addr, func(t *testing.T) {
			echoOn(b, addr, serviceList()[:13]...)
			b.ListenPacket("udp", net.JoinHostPort(addr, "514"))
			r := sweepIn(t, a, &Transport{}, ports(addr, append(serviceList(), 514)...))
			if r.count(exposure.Open) != 13 || r.count(exposure.Closed) != 41 || r.count(exposure.OpenFiltered) != 1 || len(r.gaps) > 0 {
				t.Errorf("%d open, %d closed of %d, gaps %v", r.count(exposure.Open), r.count(exposure.Closed), len(r.states), r.gaps)
			}
			t.Logf("%.2f s, %d datagrams", r.stats.Seconds, r.stats.Sent)
			if r.stats.Sent > 600 {
				t.Errorf("%d datagrams", r.stats.Sent)
			}
		})
	}
}

// Patience ends the wait, and a gap says what that leaves unknown.
func TestPatienceIsTold(t *testing.T) {
	a, b := pair(t)
	echoOn(b, "10.9.0.2", 53)
	r := sweepIn(t, a, &Transport{Patience: time.Second}, ports("10.9.0.2", append(through(7100, 7119), 53)...))
	if r.count(exposure.Open) != 1 || r.count(exposure.Closed)+r.count(exposure.OpenFiltered) != 20 || r.count(exposure.Closed) < 6 || r.count(exposure.OpenFiltered) < 10 {
		t.Errorf("%v", r.states)
	}
	if len(r.gaps) != 1 || !strings.Contains(r.gaps[0].Why, "10.9.0.2") {
		t.Errorf("gaps %v", r.gaps)
	}
}

// Link-local addresses by zone and by interface, and a chosen source address.
func TestSourceAndZone(t *testing.T) {
	a, b := pair(t)
	a.Run("ip", "addr", "add", "10.9.0.9/24", "dev", "eth0")
	a.Run("ip", "addr", "add", "fe80::1/64", "dev", "eth0", "nodad")
	b.Run("ip", "addr", "add", "fe80::2/64", "dev", "eth0", "nodad")
	seen := make(chan string, 16)
	pc := b.ListenPacket("udp4", "10.9.0.2:53")
	serve(pc, func(_ int, b []byte, from net.Addr) { seen <- from.String(); _, _ = pc.WriteTo(b, from) })
	echoOn(b, "fe80::2%eth0", 53)
	r := sweepIn(t, a, &Transport{From: netip.MustParseAddr("10.9.0.9"), Iface: "eth0"}, ports("10.9.0.2", 53, 54))
	if r.count(exposure.Open) != 1 || r.count(exposure.Closed) != 1 || !strings.HasPrefix(<-seen, "10.9.0.9:") {
		t.Errorf("%v %v", r.states, r.gaps)
	}
	w := append(ports("fe80::2%eth0", 53, 54), ports("fe80::2", 53)...)
	r = sweepIn(t, a, &Transport{}, w)
	if len(r.states) != 2 || r.states[0].State != exposure.Open || r.states[1].State != exposure.Closed || r.states[0].Addr.Zone() != "eth0" ||
		len(r.gaps) != 1 || !strings.Contains(r.gaps[0].Why, "zone") {
		t.Errorf("%v, gaps %v", r.states, r.gaps)
	}
	if r = sweepIn(t, a, &Transport{Iface: "eth0"}, ports("fe80::2", 53, 54)); r.count(exposure.Open) != 1 || r.count(exposure.Closed) != 1 {
		t.Errorf("%v, gaps %v", r.states, r.gaps)
	}
}

// Own sockets never answer: ports that the sweep itself uses are asked later,
// from others, and told as they are.
func TestOwnPorts(t *testing.T) {
	ns := nettest.New(t)
	ns.Run("sysctl", "-qw", "net.ipv4.ip_local_port_range=40000 40063")
	ns.ListenPacket("udp4", "127.0.0.1:40007")
	r := sweepIn(t, ns, &Transport{}, ports("127.0.0.1", through(40000, 40063)...))
	if r.count(exposure.Closed) != 63 || r.states[7].State != exposure.OpenFiltered || len(r.gaps) != 0 {
		t.Errorf("%d closed of %d, 40007 is %v, gaps %v", r.count(exposure.Closed), len(r.states), r.states[7], r.gaps)
	}
}

// What the asker lacks is no state of the target: no route, no such address.
func TestAskersTroubles(t *testing.T) {
	a, _ := pair(t)
	r := sweepIn(t, a, &Transport{}, append(ports("10.9.0.2", 9), ports("203.0.113.1", 9, 10)...))
	if len(r.states) != 1 || len(r.gaps) != 1 || !strings.Contains(r.gaps[0].Why, "2 UDP ports were not asked") {
		t.Errorf("%v, gaps %v", r.states, r.gaps)
	}
	for _, tr := range []*Transport{{From: netip.MustParseAddr("10.9.0.77")}, {Iface: "none0"}, {From: netip.MustParseAddr("fd09::1")}} {
		a.Do(func() {
			if _, _, err := tr.Sweep(t.Context(), ports("10.9.0.2", 9), func(uint64, exposure.PortState) { t.Error("told") }); err == nil {
				t.Errorf("%+v began", tr)
			}
		})
	}
}

// A host that is not there: the neighbour's silence comes back as an error of
// this host's own.
func TestAbsentNeighbour(t *testing.T) {
	a, _ := pair(t)
	r := sweepIn(t, a, &Transport{}, ports("10.9.0.77", 53, 54, 55))
	for i, p := range r.states {
		if p.State == exposure.Open || p.State == exposure.Closed {
			t.Errorf("%d: %v", i, p)
		}
	}
	if len(r.states) != 3 {
		t.Errorf("%v, gaps %v", r.states, r.gaps)
	}
}

// A cancelled sweep says what is missing and tells nothing more.
func TestCancel(t *testing.T) {
	a, b := pair(t)
	echoOn(b, "10.9.0.2", 53)
	ctx, cancel := context.WithCancel(t.Context())
	told := 0
	a.Do(func() {
		_, gaps, err := new(Transport).Sweep(ctx, ports("10.9.0.2", append([]uint16{53}, through(7100, 7140)...)...), func(uint64, exposure.PortState) {
			if told++; told == 3 {
				cancel()
			}
		})
		if err != nil || len(gaps) != 1 || !strings.Contains(gaps[0].Why, "interrupted") {
			t.Errorf("%v %v", err, gaps)
		}
	})
	if told < 3 || told > 41 {
		t.Errorf("%d told", told)
	}
}

// A given rate bounds the sweep (TestPace has the other side).
func TestRate(t *testing.T) {
	ns := nettest.New(t)
	progress := 0
	tr := &Transport{Rate: 500, Progress: func(n int) { progress += n }}
	r := sweepIn(t, ns, tr, ports("127.0.0.1", through(20000, 20399)...))
	if rate := float64(r.stats.Sent) / r.stats.Seconds; rate > 525 || r.count(exposure.Closed) != 400 || progress != 400 {
		t.Errorf("%.0f/s, %d closed, %d in progress", rate, r.count(exposure.Closed), progress)
	}
}

// With a fifth of all datagrams lost each way nothing is wrong, little is
// missed, and the loss is seen.
func TestLossyLink(t *testing.T) {
	nettest.Need(t, "nft")
	a, b := pair(t)
	b.Run("sysctl", "-qw", "net.ipv4.icmp_ratelimit=0")
	b.Script(`nft 'add table ip t; add chain ip t i { type filter hook input priority 0; }; add rule ip t i meta l4proto udp numgen random mod 100 < 20 drop'`)
	echoOn(b, "10.9.0.2", serviceList()[:13]...)
	r := sweepIn(t, a, &Transport{Tries: 5}, ports("10.9.0.2", serviceList()...))
	for i, p := range r.states {
		if i < 13 && p.State == exposure.Closed || i >= 13 && p.State == exposure.Open {
			t.Errorf("port %d is %s", p.Port, p.State)
		}
	}
	if r.count(exposure.Open) < 12 || r.count(exposure.Closed) < 37 || r.stats.Loss.CanarySent == 0 {
		t.Errorf("%d open, %d closed, %+v", r.count(exposure.Open), r.count(exposure.Closed), r.stats)
	}
	t.Logf("%d open, %d closed, %+v", r.count(exposure.Open), r.count(exposure.Closed), r.stats)
}

func FuzzErrorQueue(f *testing.F) {
	f.Add([]byte{32, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 11, 0, 0, 0, 111, 0, 0, 0, 2, 3, 3, 0, 0, 0, 0, 0, 0, 0, 0, 0})
	f.Add([]byte{20, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 64, 0, 0, 0})
	f.Fuzz(func(t *testing.T, oob []byte) {
		if reason, ok := refusalReason(oob); ok && (reason == "" || len(oob) < 32) {
			t.Errorf("%q from %d bytes", reason, len(oob))
		}
		hops(oob)
	})
}

// What the kernel writes is read: an entry as it stands on a 64-bit system.
func TestErrorQueueEntry(t *testing.T) {
	oob := []byte{32, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 11, 0, 0, 0, 111, 0, 0, 0, 2, 3, 3, 0, 0, 0, 0, 0, 0, 0, 0, 0}
	if reason, ok := refusalReason(oob); !ok || reason != "port-unreach" {
		t.Errorf("%q, %v", reason, ok)
	}
	oob[20] = 1 // SO_EE_ORIGIN_LOCAL
	if _, ok := refusalReason(oob); ok {
		t.Error("an error of this host's own counts as an answer")
	}
}
