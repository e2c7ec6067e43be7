package syn

import (
	"bufio"
	"context"
	"net"
	"net/netip"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/portreeve/portreeve/internal/exposure"
	"github.com/portreeve/portreeve/internal/nettest"
)

func allPorts() []uint16 {
	ports := make([]uint16, 65535)
	for i := range ports {
		ports[i] = uint16(i + 1)
	}
	return ports
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

var (
	lo4 = netip.MustParseAddr("127.0.0.1")
	lo6 = netip.MustParseAddr("::1")
)

// tcpdump finds every probe well-formed, and no half-open connection stays.
func TestProbesAreWellFormed(t *testing.T) {
	nettest.Need(t, "tcpdump")
	ns := nettest.New(t)
	ns.Listen("tcp", "[::]:80")
	cmd := ns.Command("tcpdump", "-i", "lo", "-nn", "-vv", "-l", "-Q", "in", "-c", "8", "tcp[tcpflags] == tcp-syn or (ip6 proto 6 and ip6[53] == 2)")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	ready, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	for stderr := bufio.NewScanner(ready); stderr.Scan() && !strings.Contains(stderr.Text(), "listening on"); {
	}
	r := sweepIn(ns, &Transport{}, []netip.Addr{lo4, lo6}, []uint16{80, 81, 82})
	if r.err != nil || r.count[exposure.Open] != 2 || r.count[exposure.Closed] != 4 {
		t.Errorf("%+v", r)
	}
	correct := 0
	for lines := bufio.NewScanner(out); lines.Scan(); {
		line := lines.Text()
		if strings.Contains(line, "Flags [S]") && strings.Contains(line, "(correct)") {
			correct++
		}
		if strings.Contains(line, "incorrect") || strings.Contains(line, "bad") {
			t.Errorf("tcpdump: %s", line)
		}
	}
	if correct != 8 { // three ports and a canary each
		t.Errorf("tcpdump calls %d of 8 probes correct", correct)
	}
	if left := ns.Run("ss", "-Htan", "state", "syn-recv"); left != "" {
		t.Errorf("half-open: %s", left)
	}
}

// A SYN-ACK that comes after the last probe, within the grace, is heard; one
// with a wrong acknowledgment number is an answer too.
func TestLateAnswer(t *testing.T) {
	ns := nettest.New(t)
	plant(t, ns, 4444, "filter", 120)
	r := sweepIn(ns, &Transport{}, []netip.Addr{lo4}, []uint16{4443, 4444})
	if r.states[netip.AddrPortFrom(lo4, 4444)].State != exposure.Open || r.count[exposure.Closed] != 1 {
		t.Errorf("%+v", r)
	}
}

// A packet socket that is never read is named; the sweep goes on.
func TestUnreadPacketSocket(t *testing.T) {
	ns := nettest.New(t)
	var fd int
	var err error
	ns.Do(func() {
		fd, err = unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, int(networkOrder(unix.ETH_P_ALL)))
	})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = unix.Close(fd) }()
	start := time.Now()
	r := sweepIn(ns, &Transport{Queues: watchPackets(t, ns)}, []netip.Addr{lo4}, allPorts())
	if r.err != nil || r.count[exposure.Closed] != 65535 || len(r.gaps) != 1 || !strings.Contains(r.gaps[0].Why, "not being read") {
		t.Errorf("%v, %v, gaps %v", r.err, r.count, r.gaps)
	}
	if took := time.Since(start); took > 10*time.Second {
		t.Errorf("took %v", took)
	}
}

// Ports in TIME_WAIT, bound without listening, and connected ones are closed
// unless something listens.
func TestPortsInOddStates(t *testing.T) {
	ns := nettest.New(t)
	ln := ns.Listen("tcp4", "127.0.0.1:5000")
	var client, server net.Conn
	ns.Do(func() {
		d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 5001}}
		c, err := d.Dial("tcp4", "127.0.0.1:5000")
		if err != nil {
			t.Error(err)
			return
		}
		client = c
	})
	if client == nil {
		t.FailNow()
	}
	server, err := ln.Accept()
	if err != nil {
		t.Fatal(err)
	}
	r := sweepIn(ns, &Transport{}, []netip.Addr{lo4}, []uint16{5000, 5001})
	if r.states[netip.AddrPortFrom(lo4, 5000)].State != exposure.Open || len(r.states) != 1 {
		t.Errorf("established: %+v", r)
	}
	_ = client.Close() // 5001 goes to TIME_WAIT
	_ = server.Close()
	_ = ln.Close()
	r = sweepIn(ns, &Transport{}, []netip.Addr{lo4}, []uint16{5000, 5001})
	if r.count[exposure.Closed] != 2 {
		t.Errorf("time-wait: %+v", r)
	}
}

// A listener whose queue is full drops SYNs; the port is filtered, not closed.
func TestFullAcceptQueue(t *testing.T) {
	ns := nettest.New(t)
	ns.Do(func() {
		fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			t.Error(err)
			return
		}
		t.Cleanup(func() { _ = unix.Close(fd) })
		if err := unix.Bind(fd, &unix.SockaddrInet4{Port: 5000, Addr: lo4.As4()}); err != nil {
			t.Error(err)
		}
		if err := unix.Listen(fd, 0); err != nil {
			t.Error(err)
		}
		for range 3 { // backlog 0 takes one connection and more SYNs are dropped
			c, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
			if err != nil {
				t.Error(err)
				return
			}
			t.Cleanup(func() { _ = unix.Close(c) })
			_ = unix.Connect(c, &unix.SockaddrInet4{Port: 5000, Addr: lo4.As4()})
		}
	})
	r := sweepIn(ns, &Transport{}, []netip.Addr{lo4}, []uint16{5000})
	if p := r.states[netip.AddrPortFrom(lo4, 5000)]; p.State != exposure.Filtered {
		t.Errorf("%+v", r)
	}
}

// Without CAP_NET_RAW a sweep cannot begin, and says so.
func TestNeedsPrivilege(t *testing.T) {
	ns := nettest.New(t)
	var err error
	ns.Do(func() {
		header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
		var none [2]unix.CapUserData
		if err = unix.Capset(&header, &none[0]); err == nil {
			_, _, err = new(Transport).Sweep(context.Background(), []netip.Addr{lo4}, []uint16{1}, func(exposure.PortState) {})
		}
	})
	if err == nil || !strings.Contains(err.Error(), syscall.EPERM.Error()) {
		t.Errorf("error %v, want EPERM", err)
	}
}

func BenchmarkSweepLoopback(b *testing.B) {
	ns := nettest.New(b)
	for b.Loop() {
		if r := sweepIn(ns, &Transport{Grace: time.Millisecond}, []netip.Addr{lo4}, allPorts()); r.count[exposure.Closed] != 65535 {
			b.Fatalf("%v", r.count)
		}
	}
}
