package synack

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"runtime"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/portreeve/portreeve/internal/nettest"
)

var (
	far4 = netip.MustParseAddr("10.9.0.2")
	far6 = netip.MustParseAddr("fd00::2")
)

// pair is two namespaces joined by a veth; the far one listens on port 80.
func pair(t *testing.T) (near, far *nettest.NS) {
	t.Helper()
	near, far = nettest.New(t), nettest.New(t)
	nettest.Veth(t, near, far, "10.9.0.1/24", "10.9.0.2/24")
	near.Script("ip addr add fd00::1/64 dev eth0 nodad; ip addr add fe80::1/64 dev eth0 nodad")
	far.Script("ip addr add fd00::2/64 dev eth0 nodad; ip addr add fe80::2/64 dev eth0 nodad")
	return near, far
}

func ask(t *testing.T, ns *nettest.NS, asker Asker, targets ...Target) map[netip.Addr]Print {
	t.Helper()
	prints := map[netip.Addr]Print{}
	ns.Do(func() {
		err := asker.Ask(t.Context(), targets, func(p Print) {
			if _, twice := prints[p.Addr]; twice {
				t.Errorf("%s told twice", p.Addr)
			}
			prints[p.Addr] = p
		})
		if err != nil {
			t.Error(err)
		}
	})
	return prints
}

// The kernel's answers are what its settings make of them; the table of
// signatures is written from these.
func TestKernelAnswers(t *testing.T) {
	cases := []struct {
		setting          string
		layout           string
		window4, window6 uint16
	}{
		{"true", "MSTNW", 65160, 64260},
		{"sysctl -qw net.ipv4.tcp_timestamps=0", "MNNSNW", 64240, 64800},
		{"sysctl -qw net.ipv4.tcp_sack=0", "MNNTNW", 65160, 64260},
		{"sysctl -qw net.ipv4.tcp_window_scaling=0", "MST", 65160, 64260},
		{"sysctl -qw net.ipv4.tcp_window_scaling=0 net.ipv4.tcp_timestamps=0 net.ipv4.tcp_sack=0", "M", 64240, 64800},
	}
	near, far := pair(t)
	ln := far.Listen("tcp", ":80")
	_ = ln.Close()
	for _, c := range cases {
		far.Script("sysctl -qw net.ipv4.tcp_timestamps=1 net.ipv4.tcp_sack=1 net.ipv4.tcp_window_scaling=1 'net.ipv4.tcp_rmem=4096 131072 33554432'")
		far.Script(c.setting)
		ln := far.Listen("tcp", ":80")
		got := ask(t, near, Asker{}, Target{far4, 80, 81}, Target{far6, 80, 81})
		_ = ln.Close()
		for addr, window := range map[netip.Addr]uint16{far4: c.window4, far6: c.window6} {
			p := got[addr]
			if p.SYNACK == nil || p.RST == nil || p.Echo != 64 || p.Err != nil {
				t.Fatalf("%s: %s: %+v", c.setting, addr, p)
			}
			a := p.SYNACK
			if a.Layout != c.layout || a.TTL != 64 || a.ID != 0 || a.DF != addr.Is4() || !p.ECNAsked || !a.ECE() {
				t.Errorf("%s: %s: %+v", c.setting, addr, *a)
			}
			// The window of a default buffer differs between kernels; its
			// being a multiple of segments does not.
			if a.Window != window && int(a.Window)%a.EffectiveMSS() != 0 {
				t.Errorf("%s: %s: window %d, here %d", c.setting, addr, a.Window, window)
			}
			if p.RST.TTL != 64 || p.RST.Window != 0 || p.RST.DF != addr.Is4() {
				t.Errorf("%s: %s: RST %+v", c.setting, addr, *p.RST)
			}
		}
		if left := far.Run("ss", "-Htan", "state", "syn-recv"); left != "" {
			t.Errorf("half-open: %s", left)
		}
	}
}

// Link-local addresses are asked through their zone, loopback and own
// addresses as well, with the interface and source that were chosen.
func TestZonesSourcesAndLoopback(t *testing.T) {
	near, far := pair(t)
	far.Listen("tcp", ":80")
	near.Listen("tcp", ":80")
	near.Script("ip addr add 10.9.0.77/24 dev eth0")
	link := netip.MustParseAddr("fe80::2%eth0")
	lo4, lo6 := netip.MustParseAddr("127.0.0.1"), netip.MustParseAddr("::1")
	got := ask(t, near, Asker{}, Target{link, 80, 81}, Target{lo4, 80, 0}, Target{lo6, 80, 0})
	for _, addr := range []netip.Addr{link, lo4, lo6} {
		if p := got[addr]; p.SYNACK == nil || p.Echo == 0 {
			t.Errorf("%s: %+v", addr, p)
		}
	}
	from := netip.MustParseAddr("10.9.0.77")
	got = ask(t, near, Asker{From: from, Iface: "eth0"}, Target{far4, 80, 81})
	if p := got[far4]; p.SYNACK == nil || p.SYNACK.Dst != from {
		t.Errorf("from %s: %+v", from, p)
	}
}

// A silent host costs its time and no more, beside hosts that answer, and one
// that cannot be reached says why at once.
func TestSilentAndUnreachable(t *testing.T) {
	near, far := pair(t)
	far.Listen("tcp", ":80")
	far.Script("ip addr add 10.9.0.3/24 dev eth0; iptables -A INPUT -d 10.9.0.3 -j DROP")
	silent, nowhere := netip.MustParseAddr("10.9.0.3"), netip.MustParseAddr("198.51.100.1")
	start := time.Now()
	got := ask(t, near, Asker{}, Target{silent, 80, 81}, Target{nowhere, 80, 0}, Target{far4, 80, 81})
	took := time.Since(start)
	if p := got[silent]; p.SYNACK != nil || p.Err != nil || p.Echo != 0 {
		t.Errorf("silent: %+v", p)
	}
	if p := got[nowhere]; !errors.Is(p.Err, unix.ENETUNREACH) {
		t.Errorf("nowhere: %+v", p)
	}
	if p := got[far4]; p.SYNACK == nil {
		t.Errorf("%s: %+v", far4, p)
	}
	if took < patience || took > patience+3*time.Second {
		t.Errorf("took %v", took)
	}
}

// What is lost is asked again: a link that loses the first packets of a kind
// still gives the print, and then the lack of ECN is not believed.
func TestLoss(t *testing.T) {
	near, far := pair(t)
	far.Listen("tcp", ":80")
	// Every ECN-setup SYN is dropped, as some gateways do.
	far.Script("iptables -A INPUT -p tcp -m ecn --ecn-tcp-ece --ecn-tcp-cwr -j DROP")
	p := ask(t, near, Asker{}, Target{far4, 80, 0})[far4]
	if p.SYNACK == nil || p.ECNAsked || p.SYNACK.ECE() {
		t.Errorf("%+v", p)
	}
}

// Many hosts are asked at once, more than fly together.
func TestManyHosts(t *testing.T) {
	near, far := pair(t)
	far.Listen("tcp", ":80")
	var script strings.Builder
	var targets []Target
	for i := range 100 {
		addr := netip.AddrFrom4([4]byte{10, 9, 1, byte(i + 1)})
		fmt.Fprintf(&script, "ip addr add %s/32 dev eth0\n", addr)
		targets = append(targets, Target{addr, 80, 81})
	}
	far.Script(script.String())
	near.Script("ip route add 10.9.1.0/24 via 10.9.0.2")
	start := time.Now()
	got := ask(t, near, Asker{Parallel: 16}, targets...)
	for _, target := range targets {
		if p := got[target.Addr]; p.SYNACK == nil || p.Addr != target.Addr || p.SYNACK.Src != target.Addr {
			t.Errorf("%s: %+v", target.Addr, p)
		}
	}
	t.Logf("100 hosts in %v", time.Since(start))
}

// Without CAP_NET_RAW the error is fs.ErrPermission, and a context's end ends
// the asking.
func TestNoPrivilegeAndCancel(t *testing.T) {
	ns := nettest.New(t)
	ns.Do(func() {
		runtime.LockOSThread() // dropped for good on this thread, which ends
		dropRaw(t)
		err := Asker{}.Ask(t.Context(), []Target{{netip.MustParseAddr("127.0.0.1"), 80, 0}}, func(Print) {})
		if !errors.Is(err, fs.ErrPermission) {
			t.Errorf("without CAP_NET_RAW: %v", err)
		}
	})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	ns.Do(func() {
		err := Asker{}.Ask(ctx, []Target{{netip.MustParseAddr("127.0.0.1"), 80, 0}}, func(Print) {})
		if !errors.Is(err, context.Canceled) {
			t.Errorf("cancelled: %v", err)
		}
	})
}

// dropRaw takes CAP_NET_RAW from the calling thread (capget(2)).
func dropRaw(t *testing.T) {
	t.Helper()
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var data [2]unix.CapUserData
	if err := unix.Capget(&header, &data[0]); err != nil {
		t.Fatal(err)
	}
	data[0].Effective &^= 1 << unix.CAP_NET_RAW
	if err := unix.Capset(&header, &data[0]); err != nil {
		t.Fatal(err)
	}
}

// tcpdump finds every packet that is sent well formed, and sees nothing but
// SYN, echo and the kernel's RST.
func TestPacketsAreWellFormed(t *testing.T) {
	nettest.Need(t, "tcpdump")
	near, far := pair(t)
	far.Listen("tcp", ":80")
	file := t.TempDir() + "/c.pcap"
	dump := near.Command("tcpdump", "-i", "eth0", "-Q", "out", "--immediate-mode", "-U", "-w", file, "(host 10.9.0.2 and (tcp or icmp)) or (host fd00::2 and (ip6 proto 6 or icmp6[0] == 128))")
	ready, err := dump.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := dump.Start(); err != nil {
		t.Fatal(err)
	}
	awaitListening(t, ready)
	ask(t, near, Asker{}, Target{far4, 80, 81}, Target{far6, 80, 81})
	time.Sleep(200 * time.Millisecond) // for what the kernel still sends
	_ = dump.Process.Signal(unix.SIGINT)
	_ = dump.Wait()
	text := nettest.Run(t, "tcpdump", "-nn", "-vv", "-r", file)
	for line := range strings.Lines(text) {
		ours := !strings.Contains(line, "Flags [R]") // a veth leaves the sum of the kernel's own to the other end
		if ours && (strings.Contains(line, "incorrect") || strings.Contains(line, "bad") || strings.Contains(line, "[|")) {
			t.Errorf("tcpdump: %s", line)
		}
	}
	syns := strings.Count(text, "options [mss 14") // 1460 and 1440
	good := strings.Count(text, "sackOK,TS val")
	resets := strings.Count(text, "Flags [R]")
	if syns < 4 || good < syns || resets < 2 || strings.Count(text, "Flags [") != syns+resets || !strings.Contains(text, "echo request") {
		t.Errorf("%d SYN, %d of them whole, %d RST:\n%s", syns, good, resets, text)
	}
}

func awaitListening(t *testing.T, ready interface{ Read([]byte) (int, error) }) {
	t.Helper()
	var text strings.Builder
	buffer := make([]byte, 256)
	for !strings.Contains(text.String(), "listening on") {
		n, err := ready.Read(buffer)
		if err != nil {
			t.Fatalf("tcpdump: %v: %s", err, text.String())
		}
		text.Write(buffer[:n])
	}
}
