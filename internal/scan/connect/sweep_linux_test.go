package connect

import (
	"context"
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/portreeve/portreeve/internal/exposure"
	"github.com/portreeve/portreeve/internal/nettest"
)

func ports(first, last int) []uint16 {
	var out []uint16
	for p := first; p <= last; p++ {
		out = append(out, uint16(p))
	}
	return out
}

type result struct {
	states map[netip.AddrPort]exposure.PortState // all but the closed
	count  map[exposure.PortStateName]int
	stats  exposure.ScanStats
	gaps   []exposure.Gap
	err    error
}

func sweepIn(ns *nettest.NS, tr *Transport, addrs []netip.Addr, ports []uint16) result {
	r := result{states: map[netip.AddrPort]exposure.PortState{}, count: map[exposure.PortStateName]int{}}
	ns.Do(func() {
		r.stats, r.gaps, r.err = tr.Sweep(context.Background(), addrs, ports, func(p exposure.PortState) {
			r.count[p.State]++
			if p.State != exposure.Closed {
				r.states[netip.AddrPortFrom(p.Addr, p.Port)] = p
			}
		})
	})
	return r
}

var lo4 = netip.MustParseAddr("127.0.0.1")

// No port of the ephemeral range connects to itself, over and over, even when
// the range is so small that source and target often coincide.
func TestNoSelfConnect(t *testing.T) {
	ns := nettest.New(t)
	ns.Script("echo 40000 40007 > /proc/sys/net/ipv4/ip_local_port_range")
	for range 50 {
		r := sweepIn(ns, &Transport{}, []netip.Addr{lo4, netip.MustParseAddr("::1")}, ports(40000, 40007))
		if r.count[exposure.Closed] != 16 || len(r.gaps) > 0 {
			t.Fatalf("%+v", r)
		}
	}
}

// Few descriptors and few local ports slow the sweep and change no state.
func TestScarceMeans(t *testing.T) {
	nettest.Need(t, "nft")
	ns := nettest.New(t)
	ns.Listen("tcp4", "127.0.0.1:80")
	ns.Script(`echo 40000 40019 > /proc/sys/net/ipv4/ip_local_port_range
nft 'add table ip t; add chain ip t i { type filter hook input priority 0; }; add rule ip t i tcp dport 1000-1039 drop'`)
	for _, pending := range []int{1, 7, 0} {
		r := sweepIn(ns, &Transport{MaxPending: pending}, []netip.Addr{lo4}, append(ports(1000, 1060), 80))
		if r.count[exposure.Filtered] != 40 || r.count[exposure.Closed] != 21 || r.count[exposure.Open] != 1 || len(r.gaps) > 0 {
			t.Errorf("%d pending: %v, gaps %v", pending, r.count, r.gaps)
		}
	}
}

// Descriptors that run out for good are a gap, never a state.
func TestNoDescriptors(t *testing.T) {
	if os.Getenv("PORTREEVE_TEST_NOFILE") == "" {
		ns := nettest.New(t)
		cmd := ns.Command(os.Args[0], "-test.run", "^TestNoDescriptors$", "-test.v")
		cmd.Env = append(os.Environ(), "PORTREEVE_TEST_NOFILE=1")
		if out, err := cmd.CombinedOutput(); err != nil || !strings.Contains(string(out), "gap seen") {
			t.Errorf("%v\n%s", err, out)
		}
		return
	}
	time.Sleep(time.Millisecond) // the runtime opens its own descriptors now
	limit := unix.Rlimit{Cur: 24, Max: 24}
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		t.Fatal(err)
	}
	for { // hold all but two descriptors: the epoll instance and nothing else
		if _, err := unix.Dup(0); err != nil {
			break
		}
	}
	_ = unix.Close(23)
	told := 0
	_, gaps, err := new(Transport).Sweep(t.Context(), []netip.Addr{lo4}, ports(1, 50), func(exposure.PortState) { told++ })
	if err != nil || told != 0 || len(gaps) != 1 || !strings.Contains(gaps[0].Why, "50 of 50 ports") {
		t.Errorf("told %d, gaps %v, %v", told, gaps, err)
	}
	t.Log("gap seen")
}

// An open port's connection is reset at once: nothing lingers.
func TestNothingLingers(t *testing.T) {
	nettest.Need(t, "ss")
	ns := nettest.New(t)
	for p := 5000; p < 5020; p++ {
		ns.Listen("tcp4", netip.AddrPortFrom(lo4, uint16(p)).String())
	}
	if r := sweepIn(ns, &Transport{}, []netip.Addr{lo4}, ports(4990, 5030)); r.count[exposure.Open] != 20 {
		t.Errorf("%v", r.count)
	}
	if left := ns.Run("ss", "-Htan", "state", "time-wait", "state", "fin-wait-1", "state", "fin-wait-2", "state", "syn-sent"); left != "" {
		t.Errorf("lingering: %s", left)
	}
}

// Random drops are found by the second asking.
func TestLossIsAskedAgain(t *testing.T) {
	nettest.Need(t, "nft")
	ns := nettest.New(t)
	ns.Script(`nft 'add table ip t; add chain ip t i { type filter hook input priority 0; }; add rule ip t i tcp flags & (syn|ack) == syn tcp dport 2000-2999 numgen random mod 100 < 30 drop'`)
	start := time.Now()
	r := sweepIn(ns, &Transport{}, []netip.Addr{lo4}, ports(2000, 2999))
	if r.count[exposure.Closed] < 930 { // 2.7 % are lost three times
		t.Errorf("%v in %v", r.count, time.Since(start))
	}
}

func BenchmarkSweepLoopback(b *testing.B) {
	ns := nettest.New(b)
	for b.Loop() {
		if r := sweepIn(ns, &Transport{}, []netip.Addr{lo4}, ports(1, 65535)); r.count[exposure.Closed] != 65535 {
			b.Fatalf("%v", r.count)
		}
	}
}
