package scan

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/portreeve/portreeve/internal/exposure"
	"github.com/portreeve/portreeve/internal/nettest"
)

// host is a namespace with IPv4, IPv6 and link-local addresses.
func host(t testing.TB) (*nettest.NS, []netip.Addr) {
	t.Helper()
	ns := nettest.New(t)
	ns.Script(`ip link add br0 type bridge; ip link set br0 up
ip addr add 10.1.2.3/24 dev br0; ip addr add 10.9.9.9/32 dev br0
ip addr add fd00::7/64 dev br0 nodad; ip addr add fe80::7/64 dev br0 nodad`)
	return ns, addrs("127.0.0.1", "::1", "10.1.2.3", "10.9.9.9", "fd00::7", "fe80::7%br0")
}

func addrs(texts ...string) []netip.Addr {
	var out []netip.Addr
	for _, s := range texts {
		out = append(out, netip.MustParseAddr(s))
	}
	return out
}

func self(t testing.TB, ns *nettest.NS, o SelfOptions) exposure.Scan {
	t.Helper()
	var s exposure.Scan
	var err error
	ns.Do(func() { s, err = Self(context.Background(), o) })
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// openSet lists the open TCP endpoints of a scan, sorted.
func openSet(s exposure.Scan) []string {
	var out []string
	for _, h := range s.Hosts {
		for _, p := range h.Ports {
			if p.State == exposure.Open && p.Proto == exposure.TCP {
				out = append(out, p.Endpoint().String())
			}
		}
	}
	slices.Sort(out)
	return out
}

// listeners opens n TCP listeners at random ports on random addresses.
func listeners(t testing.TB, ns *nettest.NS, own []netip.Addr, n int) {
	t.Helper()
	lc := func(network, addr string) (err error) {
		ns.Do(func() {
			var ln net.Listener
			if ln, err = net.Listen(network, addr); err == nil {
				t.Cleanup(func() { _ = ln.Close() })
			}
		})
		return err
	}
	for n > 0 {
		a := own[rand.IntN(len(own))]
		if rand.IntN(3) == 0 {
			a = []netip.Addr{netip.IPv4Unspecified(), netip.IPv6Unspecified()}[rand.IntN(2)]
		}
		network := "tcp6"
		if a.Is4() {
			network = "tcp4"
		}
		if lc(network, netip.AddrPortFrom(a, uint16(1+rand.IntN(65535))).String()) == nil {
			n--
		}
	}
}

// bySS derives the open endpoints from `ss`: the kernel's own listing.
func bySS(t testing.TB, ns *nettest.NS, own []netip.Addr) []string {
	t.Helper()
	nettest.Need(t, "ss")
	var out []string
	for line := range strings.Lines(ns.Run("ss", "-Hltn")) {
		fields := strings.Fields(line)
		at := strings.LastIndexByte(fields[3], ':')
		text, port := strings.Trim(fields[3][:at], "[]"), fields[3][at+1:]
		text = strings.ReplaceAll(text, "]%", "%")
		n, err := strconv.ParseUint(port, 10, 16)
		if err != nil {
			t.Fatalf("ss line %q: %v", line, err)
		}
		for _, a := range own {
			bound, err := netip.ParseAddr(text)
			matches := err == nil && (bound == a || bound.IsUnspecified() && bound.Is4() == a.Is4())
			if matches {
				e := exposure.Endpoint{Proto: exposure.TCP, Addr: exposure.IPAddress(a), Port: uint16(n)}
				out = append(out, e.String())
			}
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// Both transports find exactly what ss lists, over and over, every port of
// every address asked.
func TestSelfAgainstSS(t *testing.T) {
	ns, own := host(t)
	listeners(t, ns, own, 53)
	want := bySS(t, ns, own)
	for _, method := range []string{SYN, Connect} {
		for run := range 3 {
			start := time.Now()
			s := self(t, ns, SelfOptions{Addrs: own, Method: method})
			if got := openSet(s); !slices.Equal(got, want) {
				t.Fatalf("%s run %d: open %d, ss says %d:\n%v\n%v", method, run, len(got), len(want), got, want)
			}
			for _, h := range s.Hosts {
				if h.Asked[exposure.TCP] != 65535 || h.States[exposure.Closed]+len(h.Ports) != 65535 || h.EverythingAnswers || !h.Up {
					t.Errorf("%s: %s asked %v, states %v, listed %d", method, h.Addr, h.Asked, h.States, len(h.Ports))
				}
			}
			if len(s.Gaps) > 0 || s.Stats.Loss.CanarySent == 0 || s.Stats.Loss.CanaryLost > 0 {
				t.Errorf("%s: gaps %v, stats %+v", method, s.Gaps, s.Stats)
			}
			t.Logf("%s: %d addresses in %v", method, len(own), time.Since(start))
		}
	}
	if left := ns.Run("ss", "-Htan", "state", "syn-recv", "state", "time-wait", "state", "syn-sent"); left != "" {
		t.Errorf("half-open or lingering sockets: %s", left)
	}
}

// nmap finds the same open ports.
func TestSelfAgainstNmap(t *testing.T) {
	nettest.Need(t, "nmap")
	ns, own := host(t)
	own = own[:3]
	listeners(t, ns, own, 20)
	xml := ns.Run("nmap", "-sS", "-n", "-Pn", "-p-", "-T4", "-oX", "-", "127.0.0.1", "10.1.2.3") // IPv4 only
	v, err := ReadVantage(strings.NewReader(xml), "nmap")
	if err != nil {
		t.Fatal(err)
	}
	s := self(t, ns, SelfOptions{Addrs: addrs("127.0.0.1", "10.1.2.3")})
	if got, want := openSet(s), openSet(v); !slices.Equal(got, want) || len(want) == 0 {
		t.Errorf("open: %v, nmap says %v", got, want)
	}
}

func listed(s exposure.Scan, addr string, port uint16) exposure.PortState {
	for _, h := range s.Hosts {
		for _, p := range h.Ports {
			if h.Addr.String() == addr && p.Port == port {
				return p
			}
		}
	}
	return exposure.PortState{}
}

// A TCP listener bound to a device is reached at the addresses of that device.
func TestSelfDeviceBound(t *testing.T) {
	ns, own := host(t)
	for _, network := range []string{"tcp4", "tcp6"} {
		boundListener(t, ns, network, 8443, "br0")
	}
	for _, method := range []string{SYN, Connect} {
		s := self(t, ns, SelfOptions{Addrs: own, Method: method, TCP: []PortRange{{8000, 9000}}})
		want := []string{"tcp/10.1.2.3:8443", "tcp/10.9.9.9:8443", "tcp/[fd00::7]:8443", "tcp/[fe80::7%br0]:8443"}
		if got := openSet(s); !slices.Equal(got, want) {
			t.Errorf("%s: open %v, want %v", method, got, want)
		}
	}
}

func boundListener(t *testing.T, ns *nettest.NS, network string, port int, device string) {
	t.Helper()
	lc := net.ListenConfig{Control: func(_, _ string, c syscall.RawConn) (err error) {
		return errors.Join(c.Control(func(fd uintptr) { err = unix.BindToDevice(int(fd), device) }), err)
	}}
	var err error
	ns.Do(func() {
		var ln net.Listener
		if ln, err = lc.Listen(context.Background(), network, fmt.Sprintf(":%d", port)); err == nil {
			t.Cleanup(func() { _ = ln.Close() })
		}
	})
	if err != nil {
		t.Fatal(err)
	}
}

// A UDP endpoint that answers is open, a silent one open|filtered, a dead one
// closed, one bound to a device is asked through it.
func TestSelfUDP(t *testing.T) {
	ns, _ := host(t)
	echo := ns.ListenPacket("udp4", "10.1.2.3:5300")
	go func() {
		buf := make([]byte, 100)
		for {
			n, from, err := echo.ReadFrom(buf)
			if err != nil {
				return
			}
			_, _ = echo.WriteTo(append(buf[:n], '!'), from)
		}
	}()
	ns.ListenPacket("udp6", "[::]:5301")
	ep := func(addr string, port uint16, device string) exposure.Endpoint {
		return exposure.Endpoint{Proto: exposure.UDP, Addr: exposure.ParseAddress(addr), Port: port, Device: device}
	}
	boundTo(t, ns, unix.SOCK_DGRAM, "10.1.2.3", 5303, "br0")
	s := self(t, ns, SelfOptions{Addrs: addrs("127.0.0.1", "10.1.2.3", "fd00::7", "fe80::7%br0"), NoTCP: true,
		UDP: []exposure.Endpoint{ep("0.0.0.0", 5300, ""), ep("::", 5301, ""), ep("10.1.2.3", 5302, ""), ep("10.1.2.3", 5303, "br0"), ep("224.0.0.251", 5353, "")}})
	want := map[string]exposure.PortStateName{
		"127.0.0.1:5300": "closed", "10.1.2.3:5300": "open", "10.1.2.3:5302": "closed", "10.1.2.3:5303": "open|filtered",
		"fd00::7:5301": "open|filtered", "fe80::7%br0:5301": "open|filtered",
	}
	for at, state := range want {
		i := strings.LastIndexByte(at, ':')
		port, _ := strconv.Atoi(at[i+1:])
		if got := listed(s, at[:i], uint16(port)); got.State != state || got.Proto != exposure.UDP {
			t.Errorf("%s is %q (%s), want %q", at, got.State, got.Reason, state)
		}
	}
	if len(s.Gaps) > 0 {
		t.Errorf("gaps: %v", s.Gaps)
	}
}

// boundTo opens a socket bound to a device.
func boundTo(t *testing.T, ns *nettest.NS, kind int, addr string, port int, device string) int {
	t.Helper()
	var fd int
	var err error
	ns.Do(func() {
		fd, err = unix.Socket(unix.AF_INET, kind|unix.SOCK_CLOEXEC, 0)
		if err == nil {
			err = errors.Join(unix.BindToDevice(fd, device),
				unix.Bind(fd, &unix.SockaddrInet4{Port: port, Addr: netip.MustParseAddr(addr).As4()}))
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = unix.Close(fd) })
	return fd
}

// An address that is not ours, or vanishes, is a gap and never a state.
func TestSelfAddressGone(t *testing.T) {
	ns, _ := host(t)
	for _, method := range []string{SYN, Connect} {
		s := self(t, ns, SelfOptions{Addrs: addrs("127.0.0.1", "10.77.0.1", "fd77::1", "fe80::7%nowhere"), Method: method, TCP: []PortRange{{1, 100}}})
		if len(s.Gaps) != 3 {
			t.Errorf("%s: gaps %v", method, s.Gaps)
		}
		for _, h := range s.Hosts[1:] {
			if h.Asked[exposure.TCP] != 0 || len(h.Ports) > 0 || len(h.States) > 0 || h.Up {
				t.Errorf("%s: %+v", method, h)
			}
		}
	}
	for _, method := range []string{SYN, Connect} {
		for _, gone := range []string{"10.5.5.5/32", "fd05::5/128"} {
			ns.Script("ip addr add " + gone + " dev br0 nodad 2>/dev/null || ip addr add " + gone + " dev br0")
			a := netip.MustParsePrefix(gone).Addr()
			removed := false
			progress := func(done, total int64) {
				if !removed && done > total/4 {
					removed = true
					_ = exec.Command("ip", "-n", ns.Name, "addr", "del", gone, "dev", "br0").Run()
				}
			}
			s := self(t, ns, SelfOptions{Addrs: []netip.Addr{a}, Method: method, Progress: progress})
			h := s.Hosts[0]
			if len(s.Gaps) != 1 || !strings.Contains(s.Gaps[0].Why, a.String()) || h.Asked[exposure.TCP] < 16000 || h.Asked[exposure.TCP] > 40000 || len(h.Ports) > 0 {
				t.Errorf("%s: %s: asked %v, ports %v, gaps %v", method, a, h.Asked, h.Ports, s.Gaps)
			}
		}
	}
}

// An interrupted scan gives what it knows and says that it was interrupted.
func TestSelfInterrupted(t *testing.T) {
	ns, own := host(t)
	for _, method := range []string{SYN, Connect} {
		ctx, cancel := context.WithCancel(t.Context())
		var s exposure.Scan
		var err error
		ns.Do(func() {
			s, err = Self(ctx, SelfOptions{Addrs: own, Method: method, Progress: func(done, _ int64) {
				if done > 20000 {
					cancel()
				}
			}})
		})
		total := 0
		for _, h := range s.Hosts {
			total += h.Asked[exposure.TCP]
		}
		if err != nil || len(s.Gaps) == 0 || total < 10000 || total > 6*65535-1 {
			t.Errorf("%s: %v, gaps %v, %d asked", method, err, s.Gaps, total)
		}
	}
}

// Ask tells a steady listener from one that flickers and one that is gone.
func TestAskAgain(t *testing.T) {
	ns, _ := host(t)
	ns.Listen("tcp4", "10.1.2.3:8080")
	ns.Listen("tcp6", "[fe80::7%br0]:8081")
	ep := func(addr string, port uint16) exposure.Endpoint {
		return exposure.Endpoint{Proto: exposure.TCP, Addr: exposure.ParseAddress(addr), Port: port}
	}
	eps := []exposure.Endpoint{ep("10.1.2.3", 8080), ep("fe80::7%br0", 8081), ep("10.1.2.3", 8082)}
	for _, method := range []string{SYN, Connect, Auto} {
		var answers []Answer
		var err error
		ns.Do(func() { answers, err = Ask(context.Background(), eps, AskOptions{Method: method}) })
		if err != nil || len(answers) != 3 || !answers[0].Always() || !answers[1].Always() || answers[0].Tries != 3 ||
			answers[2].Opens != 0 || answers[2].State != exposure.Closed {
			t.Errorf("%s: %+v, %v", method, answers, err)
		}
	}
	if _, err := Ask(t.Context(), []exposure.Endpoint{ep("0.0.0.0", 1)}, AskOptions{}); !errors.Is(err, ErrAsk) {
		t.Errorf("unspecified address: %v", err)
	}
}

// Without privilege the scan is made by connect and says what that leaves out.
func TestSelfUnprivileged(t *testing.T) {
	ns, own := host(t)
	ns.Listen("tcp4", "10.1.2.3:8080")
	var s exposure.Scan
	var err error
	ns.Do(func() {
		if err = dropPrivilege(); err == nil {
			s, err = Self(context.Background(), SelfOptions{Addrs: own[:3], TCP: []PortRange{{1, 10000}}})
		}
	})
	if err != nil || !slices.Equal(openSet(s), []string{"tcp/10.1.2.3:8080"}) {
		t.Fatalf("%v, open %v", err, openSet(s))
	}
	if len(s.Gaps) != 1 || !strings.Contains(s.Gaps[0].Why, "CAP_NET_RAW") {
		t.Errorf("gaps %v", s.Gaps)
	}
}

// dropPrivilege takes all capabilities from the calling thread only.
func dropPrivilege() error {
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var none [2]unix.CapUserData
	return unix.Capset(&header, &none[0])
}

// Tracking every connection costs little enough.
func TestSelfWithConnectionTracking(t *testing.T) {
	nettest.Need(t, "nft")
	ns, own := host(t)
	ns.Script(`nft 'add table inet t; add chain inet t i { type filter hook input priority 0; }; add rule inet t i ct state invalid drop; add rule inet t i ct state established,related accept; add rule inet t i accept'`)
	listeners(t, ns, own[:4], 30)
	want := bySS(t, ns, own[:4])
	start := time.Now()
	s := self(t, ns, SelfOptions{Addrs: own[:4], Method: SYN})
	if got := openSet(s); !slices.Equal(got, want) {
		t.Errorf("open %v, ss says %v", got, want)
	}
	t.Logf("4 addresses: %v, gaps %v", time.Since(start), s.Gaps)
}

func TestSelfRefusesNonsense(t *testing.T) {
	for _, o := range []SelfOptions{{}, {Addrs: addrs("0.0.0.0")}, {Addrs: addrs("224.0.0.1")},
		{Addrs: addrs("127.0.0.1"), TCP: []PortRange{{0, 5}}}, {Addrs: addrs("127.0.0.1"), TCP: []PortRange{{1, 1}}, Method: "psychic"}} {
		if s, err := Self(t.Context(), o); err == nil {
			t.Errorf("%+v gave %v", o, s)
		}
	}
}
