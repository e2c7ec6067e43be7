package connect

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"
	"golang.org/x/sys/unix"

	"github.com/portreeve/portreeve/internal/exposure"
	"github.com/portreeve/portreeve/internal/nettest"
)

// list is a work list of some ports of some hosts, ports first.
type list struct {
	addrs []netip.Addr
	ports []uint16
}

func (l list) Len() uint64 { return uint64(len(l.addrs)) * uint64(len(l.ports)) }

func (l list) At(i uint64) (netip.Addr, uint16) {
	n := uint64(len(l.ports))
	return l.addrs[i/n], l.ports[i%n]
}

// answers is what one network sweep told.
type answers struct {
	t     *testing.T
	ports map[netip.AddrPort]exposure.PortState
	count map[exposure.PortStateName]int
	stats exposure.ScanStats
	gaps  []exposure.Gap
	err   error
}

// ask sweeps inside a namespace and checks that nothing is told twice or
// under a wrong number.
func ask(ctx context.Context, t *testing.T, ns *nettest.NS, tr *Network, w Work) *answers {
	t.Helper()
	a := &answers{t: t, ports: map[netip.AddrPort]exposure.PortState{}, count: map[exposure.PortStateName]int{}}
	ns.Do(func() { a.stats, a.gaps, a.err = tr.Sweep(ctx, w, a.hear(w)) })
	return a
}

func (a *answers) hear(w Work) func(uint64, exposure.PortState) {
	return func(i uint64, p exposure.PortState) {
		addr, port := w.At(i)
		key := netip.AddrPortFrom(p.Addr, p.Port)
		if key != netip.AddrPortFrom(addr.Unmap(), port) {
			a.t.Errorf("probe %d to %s:%d told as %s", i, addr, port, key)
		}
		if old, twice := a.ports[key]; twice {
			a.t.Errorf("%s told twice: %+v, %+v", key, old, p)
		}
		a.ports[key] = p
		a.count[p.State]++
	}
}

func (a *answers) open() []uint16 {
	var out []uint16
	for k, p := range a.ports {
		if p.State == exposure.Open {
			out = append(out, k.Port())
		}
	}
	return out
}

var (
	near = netip.MustParseAddr("10.9.0.1")
	far  = netip.MustParseAddr("10.9.0.2")
)

// pair is a scanner's and a target's namespace on one link.
func pair(t testing.TB) (scanner, target *nettest.NS) {
	t.Helper()
	scanner, target = nettest.New(t), nettest.New(t)
	nettest.Veth(t, scanner, target, near.String()+"/24", far.String()+"/24")
	return scanner, target
}

// serve opens n TCP listeners on random ports of addr that accept and close,
// and gives their ports, sorted.
func serve(t testing.TB, ns *nettest.NS, addr netip.Addr, n int) []uint16 {
	t.Helper()
	var out []uint16
	for len(out) < n {
		port := uint16(1 + rand.IntN(65535))
		if slices.Contains(out, port) {
			continue
		}
		ln := ns.Listen("tcp", netip.AddrPortFrom(addr, port).String())
		go func() {
			for {
				conn, err := ln.Accept()
				if err != nil {
					return
				}
				_ = conn.Close()
			}
		}()
		out = append(out, port)
	}
	slices.Sort(out)
	return out
}

// listening asks ss for the ports that listen.
func listening(t testing.TB, ns *nettest.NS) []uint16 {
	t.Helper()
	nettest.Need(t, "ss")
	var out []uint16
	for line := range strings.Lines(ns.Run("ss", "-Hltn")) {
		at := netip.MustParseAddrPort(strings.Fields(line)[3])
		out = append(out, at.Port())
	}
	slices.Sort(out)
	return out
}

// All 53 listeners are found among all ports, as ss lists them, run after run;
// no connection stays behind on either side.
func TestAllPortsOverVeth(t *testing.T) {
	scanner, target := pair(t)
	serve(t, target, far, 53)
	want := listening(t, target)
	for range 3 {
		var done int
		a := ask(t.Context(), t, scanner, &Network{Progress: func(n int) { done += n }}, list{[]netip.Addr{far}, ports(1, 65535)})
		got := a.open()
		slices.Sort(got)
		if !slices.Equal(got, want) || a.count[exposure.Closed] != 65535-53 || len(a.gaps) > 0 || a.err != nil {
			t.Errorf("%v %v %v, not open: %v", a.count, a.gaps, a.err, want)
		}
		if done != 65535 || a.stats.Sent < 65535 || a.stats.Received > a.stats.Sent || a.stats.Loss.Estimate > 0.01 {
			t.Errorf("progress %d, %+v", done, a.stats)
		}
	}
	for _, ns := range []*nettest.NS{scanner, target} {
		if left := ns.Run("ss", "-Htan", "state", "connected"); left != "" {
			t.Errorf("left behind:\n%s", left)
		}
	}
}

// A naive dialer, one port after another, says the same; port 112's listener
// has no room left in its backlog.
func TestSameAsADialer(t *testing.T) {
	nettest.Need(t, "nft")
	scanner, target := pair(t)
	for _, p := range []string{"100", "105", "110"} {
		target.Listen("tcp4", far.String()+":"+p)
	}
	target.Script(`nft 'add table ip t; add chain ip t i { type filter hook input priority 0; }; add rule ip t i tcp dport 103-105 drop'`)
	defer full(t, target, netip.AddrPortFrom(far, 112))()
	asked := ports(95, 115)
	a := ask(t.Context(), t, scanner, new(Network), list{[]netip.Addr{far}, asked})
	for _, port := range asked {
		at := netip.AddrPortFrom(far, port)
		var want exposure.PortStateName
		scanner.Do(func() { want = dial(t.Context(), at) })
		if a.ports[at].State != want {
			t.Errorf("%s: %+v, a dialer says %s", at, a.ports[at], want)
		}
	}
}

// full opens a listener in ns that never accepts and fills its backlog.
func full(t *testing.T, ns *nettest.NS, at netip.AddrPort) (shut func()) {
	t.Helper()
	var fds []int
	ns.Do(func() {
		for i := range 6 {
			fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
			if err != nil {
				t.Error(err)
				return
			}
			fds = append(fds, fd)
			sa := &unix.SockaddrInet4{Addr: at.Addr().As4(), Port: int(at.Port())}
			if i > 0 {
				_ = unix.Connect(fd, sa)
				continue
			}
			if err := errors.Join(unix.Bind(fd, sa), unix.Listen(fd, 1)); err != nil {
				t.Error(err)
			}
		}
	})
	return func() {
		for _, fd := range fds {
			_ = unix.Close(fd)
		}
	}
}

func dial(ctx context.Context, at netip.AddrPort) exposure.PortStateName {
	conn, err := (&net.Dialer{Timeout: 300 * time.Millisecond}).DialContext(ctx, "tcp", at.String())
	if err == nil {
		_ = conn.Close()
		return exposure.Open
	}
	if e, ok := err.(net.Error); ok && e.Timeout() {
		return exposure.Filtered
	}
	return exposure.Closed
}

// A cancelled sweep returns at once with what it knows, each told state true,
// and leaves no goroutine.
func TestCancelled(t *testing.T) {
	nettest.Need(t, "nft")
	scanner, target := pair(t)
	target.Script(`nft 'add table ip t; add chain ip t i { type filter hook input priority 0; }; add rule ip t i tcp dport 30000-65535 drop'`)
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
	ctx, cancel := context.WithCancel(t.Context())
	var seen atomic.Int64
	tr := &Network{Timeout: 5 * time.Second, Progress: func(n int) {
		if seen.Add(int64(n)) > 5000 {
			cancel()
		}
	}}
	var a *answers
	begun := time.Now()
	a = ask(ctx, t, scanner, tr, list{[]netip.Addr{far}, ports(25000, 45000)})
	if len(a.ports) == 0 || a.count[exposure.Filtered] > 0 && a.stats.Seconds < 0.2 || len(a.gaps) != 1 || time.Since(begun) > 10*time.Second {
		t.Errorf("%v, gaps %v after %v", a.count, a.gaps, time.Since(begun))
	}
	if want := fmt.Sprintf("%d of 20001 probes were not settled: the scan was interrupted", 20001-len(a.ports)); len(a.gaps) == 1 && a.gaps[0].Why != want {
		t.Errorf("gap %q, want %q", a.gaps[0].Why, want)
	}
}

// The interface that goes down in the middle ends the sweep soon; what was not
// asked is a gap and no state.
func TestInterfaceDown(t *testing.T) {
	scanner, _ := pair(t)
	tr := &Network{Pace: &drip{every: time.Millisecond}}
	tr.Progress = onceDone(200, func() {
		scanner.Run("ip", "link", "set", "eth0", "down")
	})
	begun := time.Now()
	a := ask(t.Context(), t, scanner, tr, list{[]netip.Addr{far}, ports(1, 65535)})
	if a.count[exposure.Filtered] > 0 || len(a.ports) < 50 || len(a.gaps) == 0 || !strings.Contains(a.gaps[0].Why, "network is unreachable") {
		t.Errorf("%v %v", a.count, a.gaps)
	}
	if d := time.Since(begun); d > 5*time.Second {
		t.Errorf("ended after %v", d)
	}
}

// A host that answers everything and then nothing has fallen silent: its other
// ports are a gap and not filtered.
func TestHostFallsSilent(t *testing.T) {
	scanner, target := pair(t)
	tr := &Network{Pace: &drip{every: 100 * time.Microsecond}}
	tr.Progress = onceDone(200, func() {
		target.Run("ip", "addr", "flush", "dev", "eth0")
	})
	a := ask(t.Context(), t, scanner, tr, list{[]netip.Addr{far}, ports(1, 20000)})
	if a.count[exposure.Filtered] > 300 || len(a.ports) < 50 || len(a.gaps) == 0 || !strings.Contains(a.gaps[0].Why, "fell silent") {
		t.Errorf("%v %v", a.count, a.gaps)
	}
}

// onceDone is a Progress that calls do when n probes are done.
func onceDone(n int, do func()) func(int) {
	done := 0
	return func(more int) {
		if before := done; before < n && before+more >= n {
			do()
		}
		done += more
	}
}

// drip is a Pace of one probe in every.
type drip struct {
	every    time.Duration
	began    time.Time
	allowed  int
	answered int
	lost     int
}

func (d *drip) Allow(now time.Time, _ int) (int, time.Duration) {
	if d.began.IsZero() {
		d.began = now
	}
	n := int(now.Sub(d.began)/d.every) - d.allowed
	if n <= 0 {
		return 0, d.every
	}
	d.allowed += n
	return n, 0
}

func (d *drip) Answered(time.Time, time.Duration) { d.answered++ }
func (d *drip) Lost(time.Time)                    { d.lost++ }

// The pace is kept, and hears every answer.
func TestPace(t *testing.T) {
	scanner, _ := pair(t)
	d := &drip{every: 500 * time.Microsecond}
	a := ask(t.Context(), t, scanner, &Network{Pace: d}, list{[]netip.Addr{far}, ports(1, 1000)})
	if a.stats.Seconds < 0.5 || int64(d.answered) != a.stats.Received || d.lost != 0 || a.count[exposure.Closed] != 1000 {
		t.Errorf("%+v, pace heard %d, lost %d", a.stats, d.answered, d.lost)
	}
}
