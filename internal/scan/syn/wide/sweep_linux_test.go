package wide

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/portreeve/portreeve/internal/exposure"
	"github.com/portreeve/portreeve/internal/nettest"
	"github.com/portreeve/portreeve/internal/scan/pace"
)

// grid is every port of every address, in a plain order that jumps about.
type grid struct {
	addrs []netip.Addr
	ports []uint16
}

func (g grid) Len() uint64 { return uint64(len(g.addrs) * len(g.ports)) }

func (g grid) At(i uint64) (netip.Addr, uint16) {
	v := (i*2654435761 + 17) % g.Len() // coprime to lengths without that prime
	return g.addrs[v%uint64(len(g.addrs))], g.ports[v/uint64(len(g.addrs))]
}

func allPorts() []uint16 {
	out := make([]uint16, 65535)
	for i := range out {
		out[i] = uint16(i + 1)
	}
	return out
}

// oneHop reaches everything by the same hop.
type oneHop struct{ hop *Hop }

func (o oneHop) Hop(netip.Addr) (*Hop, error) { return o.hop, nil }

// lab is a scanner and a target joined by a veth.
type lab struct{ scanner, target *nettest.NS }

func newLab(t testing.TB) lab {
	l := lab{nettest.New(t), nettest.New(t)}
	nettest.Veth(t, l.scanner, l.target, "10.9.0.1/16", "10.9.0.2/16")
	l.scanner.Run("ip", "addr", "add", "fd09::1/64", "dev", "eth0", "nodad")
	l.target.Run("ip", "addr", "add", "fd09::2/64", "dev", "eth0", "nodad")
	return l
}

// hop is the way from the scanner to the target's interface.
func (l lab) hop(t testing.TB, src string) oneHop {
	t.Helper()
	ours, theirs := ifaceOf(t, l.scanner), ifaceOf(t, l.target)
	link := append(append(slices.Clone([]byte(theirs.HardwareAddr)), ours.HardwareAddr...), 8, 0)
	from := netip.MustParseAddr(src)
	if from.Is6() {
		link[12], link[13] = 0x86, 0xdd
	}
	return oneHop{NewHop(ours.Index, link, from, ours.MTU)}
}

func ifaceOf(t testing.TB, ns *nettest.NS) *net.Interface {
	t.Helper()
	var i *net.Interface
	var err error
	ns.Do(func() { i, err = net.InterfaceByName("eth0") })
	if err != nil {
		t.Fatal(err)
	}
	return i
}

// sweep runs a transport in the scanner's namespace.
func (l lab) sweep(t testing.TB, ctx context.Context, tr *Transport, w Work) (map[netip.AddrPort]exposure.PortState, exposure.ScanStats, []exposure.Gap) {
	t.Helper()
	got := map[netip.AddrPort]exposure.PortState{}
	told := map[uint64]bool{}
	var stats exposure.ScanStats
	var gaps []exposure.Gap
	var err error
	l.scanner.Do(func() {
		stats, gaps, err = tr.Sweep(ctx, w, func(i uint64, p exposure.PortState) {
			if told[i] {
				t.Errorf("probe %d is told twice", i)
			}
			told[i] = true
			got[netip.AddrPortFrom(p.Addr, p.Port)] = p
		})
	})
	if err != nil {
		t.Fatal(err)
	}
	return got, stats, gaps
}

// listeners opens n TCP listeners on random ports and returns them.
func listeners(t testing.TB, ns *nettest.NS, addr string, n int) []uint16 {
	t.Helper()
	var ports []uint16
	for len(ports) < n {
		port := uint16(1 + rand.IntN(65535))
		if slices.Contains(ports, port) {
			continue
		}
		ns.Listen("tcp", netip.AddrPortFrom(netip.MustParseAddr(addr), port).String())
		ports = append(ports, port)
	}
	slices.Sort(ports)
	return ports
}

func open(got map[netip.AddrPort]exposure.PortState) []uint16 {
	var ports []uint16
	for at, p := range got {
		if p.State == exposure.Open {
			ports = append(ports, at.Port())
		}
	}
	slices.Sort(ports)
	return ports
}

// Every open port and nothing else is found among all 65,535, by both
// families, and closed ones are closed.
func TestFindsEveryOpenPort(t *testing.T) {
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
	l := newLab(t)
	for _, c := range []struct{ src, dst string }{{"10.9.0.1", "10.9.0.2"}, {"fd09::1", "fd09::2"}} {
		want := listeners(t, l.target, c.dst, 53)
		got, stats, gaps := l.sweep(t, t.Context(), &Transport{Router: l.hop(t, c.src)}, grid{[]netip.Addr{netip.MustParseAddr(c.dst)}, allPorts()})
		if !slices.Equal(open(got), want) || len(got) != 65535 || len(gaps) > 0 {
			t.Errorf("%s: open %v, want %v; %d states, gaps %v", c.dst, open(got), want, len(got), gaps)
		}
		for _, p := range got {
			if p.State != exposure.Open && (p.State != exposure.Closed || p.Reason != "reset" || p.TTL != 64) {
				t.Fatalf("%+v", p)
			}
		}
		t.Logf("%s: %+v", c.dst, stats)
	}
}

// Refusals have nmap's reasons; silence is filtered; both by family.
func TestReasonsOfFirewall(t *testing.T) {
	nettest.Need(t, "nft")
	l := newLab(t)
	l.target.Script(`nft -f - <<E
table inet f { chain i { type filter hook input priority 0;
 tcp dport 1 drop
 tcp dport 2 reject with tcp reset
 ip protocol tcp tcp dport 3 reject with icmp port-unreachable
 ip protocol tcp tcp dport 4 reject with icmp admin-prohibited
 ip protocol tcp tcp dport 5 reject with icmp host-unreachable
 ip protocol tcp tcp dport 6 reject with icmp net-prohibited
 ip6 nexthdr tcp tcp dport 3 reject with icmpv6 port-unreachable
 ip6 nexthdr tcp tcp dport 4 reject with icmpv6 admin-prohibited
 ip6 nexthdr tcp tcp dport 5 reject with icmpv6 addr-unreachable
 ip6 nexthdr tcp tcp dport 6 reject with icmpv6 no-route
}
}
E`)
	want := map[string][]string{
		"10.9.0.2": {"no-response", "reset", "port-unreach", "admin-prohibited", "host-unreach", "net-prohibited"},
		"fd09::2":  {"no-response", "reset", "port-unreach", "admin-prohibited", "host-unreach", "no-route"},
	}
	for dst, reasons := range want {
		src := "10.9.0.1"
		if netip.MustParseAddr(dst).Is6() {
			src = "fd09::1"
		}
		got, _, _ := l.sweep(t, t.Context(), &Transport{Router: l.hop(t, src)}, grid{[]netip.Addr{netip.MustParseAddr(dst)}, []uint16{1, 2, 3, 4, 5, 6}})
		for i, reason := range reasons {
			state := exposure.Filtered
			if reason == "reset" {
				state = exposure.Closed
			}
			if p := got[netip.AddrPortFrom(netip.MustParseAddr(dst), uint16(i+1))]; p.Reason != reason || p.State != state {
				t.Errorf("%s port %d: %s %s, want %s", dst, i+1, p.State, p.Reason, reason)
			}
		}
	}
}

// With a fifth of all probes lost nearly every open port is found and the
// loss is measured.
func TestRandomLoss(t *testing.T) {
	nettest.Need(t, "nft")
	l := newLab(t)
	want := listeners(t, l.target, "10.9.0.2", 53)
	l.target.Script("nft 'add table inet f; add chain inet f i { type filter hook input priority 0; }; add rule inet f i tcp flags syn numgen random mod 100 < 20 drop'")
	missed := 0
	const runs = 4
	for range runs {
		got, stats, _ := l.sweep(t, t.Context(), &Transport{Router: l.hop(t, "10.9.0.1")}, grid{[]netip.Addr{netip.MustParseAddr("10.9.0.2")}, allPorts()})
		missed += len(want) - len(open(got))
		if e := stats.Loss.Estimate; e < 0.12 || e > 0.28 {
			t.Errorf("loss is estimated at %.3f", e)
		}
		t.Logf("%+v", stats)
	}
	if missed > 2 {
		t.Errorf("%d of %d open ports were missed", missed, runs*53)
	}
}

// A rate is kept within 5 percent, by the kernel's own count of what arrives.
func TestRateOnTheWire(t *testing.T) {
	l := newLab(t)
	for _, rate := range []float64{500, 20000} {
		n := int(rate) * 2
		_, stats, _ := l.sweep(t, t.Context(), &Transport{Router: l.hop(t, "10.9.0.1"), Pace: pace.Options{Rate: rate}},
			grid{[]netip.Addr{netip.MustParseAddr("10.9.0.2")}, allPorts()[:min(n, 65535)]})
		if got := float64(stats.Sent) / stats.Seconds; got > rate*1.05 || got < rate*0.9 { // the tail of the scan waits
			t.Errorf("%.0f a second, asked for %.0f: %+v", got, rate, stats)
		}
	}
}

// A range far larger than the window's start: addresses by the ten thousand,
// every open port found, memory bounded by the window.
func TestManyHosts(t *testing.T) {
	l := newLab(t)
	l.target.Run("ip", "route", "add", "local", "10.10.0.0/16", "dev", "lo")
	l.scanner.Run("ip", "route", "add", "10.10.0.0/16", "via", "10.9.0.2")
	l.target.Listen("tcp", "0.0.0.0:80")
	l.target.Run("sysctl", "-qw", "net.ipv4.tcp_max_syn_backlog=100000", "net.core.somaxconn=100000")
	var addrs []netip.Addr
	for i := range 1 << 14 {
		addrs = append(addrs, netip.AddrFrom4([4]byte{10, 10, byte(i >> 8), byte(i)}))
	}
	var most atomic.Uint64
	tr := &Transport{Router: l.hop(t, "10.9.0.1"), Progress: func(s Status) { most.Store(s.Settled) }}
	got, stats, gaps := l.sweep(t, t.Context(), tr, grid{addrs, []uint16{79, 80, 81, 443}})
	opens := 0
	for at, p := range got {
		if p.State == exposure.Open {
			opens++
			if at.Port() != 80 {
				t.Fatalf("%v is open", at)
			}
		}
	}
	if opens < len(addrs)-1 || len(got) != 4*len(addrs) || len(gaps) > 0 {
		t.Errorf("%d of %d open ports, %d states, gaps %v", opens, len(addrs), len(got), gaps)
	}
	t.Logf("%+v, %.0f probes/s", stats, float64(stats.Sent)/stats.Seconds)
}

// What is silent when the way goes down is not called filtered.
func TestInterfaceDown(t *testing.T) {
	l := newLab(t)
	listeners(t, l.target, "10.9.0.2", 3)
	errDown := errors.New("eth0 went down")
	var began atomic.Bool
	tr := &Transport{Router: l.hop(t, "10.9.0.1"), Pace: pace.Options{Rate: 20000},
		Progress: func(s Status) {
			if s.Settled > 5000 && began.CompareAndSwap(false, true) {
				l.target.Run("ip", "link", "set", "eth0", "down")
			}
		},
		Down: func() error {
			if began.Load() {
				return fmt.Errorf("%w: %w", ErrDown, errDown)
			}
			return nil
		}}
	got, _, gaps := l.sweep(t, t.Context(), tr, grid{[]netip.Addr{netip.MustParseAddr("10.9.0.2")}, allPorts()})
	for _, p := range got {
		if p.State == exposure.Filtered {
			t.Fatalf("%+v while the link was down", p)
		}
	}
	if len(got) < 4000 || len(got) > 60000 || len(gaps) != 1 {
		t.Errorf("%d states, gaps %v", len(got), gaps)
	}
}

// Ctrl-C ends a sweep at once with what is known.
func TestCancelled(t *testing.T) {
	l := newLab(t)
	ctx, cancel := context.WithCancel(t.Context())
	tr := &Transport{Router: l.hop(t, "10.9.0.1"), Pace: pace.Options{Rate: 5000}, Progress: func(s Status) {
		if s.Settled > 1000 {
			cancel()
		}
	}}
	begun := time.Now()
	got, _, gaps := l.sweep(t, ctx, tr, grid{[]netip.Addr{netip.MustParseAddr("10.9.0.2")}, allPorts()})
	if len(got) < 1000 || len(got) > 30000 || len(gaps) != 1 || time.Since(begun) > 8*time.Second {
		t.Errorf("%d states after %v, gaps %v", len(got), time.Since(begun), gaps)
	}
}

// A program that answers from a packet socket loses the race against the
// kernel's RST and is seen all the same.
func TestSynAckAfterReset(t *testing.T) {
	s := slots(make([]atomic.Uint64, 1))
	if !s.hear(0, newAnswer(reset, 0, 64, 0, 5)) || s.hear(0, newAnswer(synAck, 0, 64, 0, 9)) {
		t.Error("only the first answer is the first")
	}
	if a := s.read(0, 0); a.code() != synAck || a.at() != 9 {
		t.Errorf("%v", a)
	}
	if s.hear(0, newAnswer(reset, 0, 64, 0, 11)); s.read(0, 0).code() != synAck {
		t.Error("a RST took a SYN-ACK's place")
	}
	if s.read(0, 1) != 0 {
		t.Error("an answer of another lap counts")
	}
}

// errRouter answers every address alike.
type errRouter struct{ err error }

func (r errRouter) Hop(netip.Addr) (*Hop, error) { return nil, r.err }

// What cannot be sent is not counted as sent, waits for no rate, and is one
// gap; a host that is not on its link is told as a router would.
func TestNoWay(t *testing.T) {
	l := newLab(t)
	work := grid{[]netip.Addr{netip.MustParseAddr("10.9.0.7"), netip.MustParseAddr("10.9.0.8")}, allPorts()[:5000]}
	begun := time.Now()
	got, stats, gaps := l.sweep(t, t.Context(), &Transport{Router: errRouter{errors.New("no route")}, Pace: pace.Options{Rate: 100}}, work)
	if len(got) != 0 || stats.Sent != 0 || len(gaps) != 1 || time.Since(begun) > 5*time.Second {
		t.Errorf("no way: %d states, %+v, %v after %v", len(got), stats, gaps, time.Since(begun))
	}
	got, stats, gaps = l.sweep(t, t.Context(), &Transport{Router: errRouter{fmt.Errorf("ARP: %w", ErrNoHost)}, Pace: pace.Options{Rate: 100}}, work)
	if len(got) != 10000 || stats.Sent != 0 || len(gaps) != 0 {
		t.Errorf("no host: %d states, %+v, %v", len(got), stats, gaps)
	}
	for _, p := range got {
		if p.State != exposure.Filtered || p.Reason != "host-unreach" {
			t.Fatalf("%+v", p)
		}
	}
}
