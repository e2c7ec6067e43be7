package connect

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"regexp"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/portreeve/portreeve/internal/exposure"
	"github.com/portreeve/portreeve/internal/nettest"
)

// refusals4 and refusals6 are nft reject statements and what they make of a
// port; each port is asked of a target without ICMP rate limits.
var (
	refusals4 = []struct{ how, state, reason string }{
		{"reject with icmp type net-unreachable", "filtered", "net-unreach"},
		{"reject with icmp type host-unreachable", "filtered", "host-unreach"},
		{"reject with icmp type prot-unreachable", "filtered", "proto-unreach"},
		{"reject with icmp type port-unreachable", "filtered", "port-unreach"},
		{"reject with icmp type net-prohibited", "filtered", "net-prohibited"},
		{"reject with icmp type host-prohibited", "filtered", "host-prohibited"},
		{"reject with icmp type admin-prohibited", "filtered", "admin-prohibited"},
		{"reject with tcp reset", "closed", "conn-refused"},
		{"drop", "filtered", "no-response"},
	}
	refusals6 = []struct{ how, state, reason string }{
		{"reject with icmpv6 type no-route", "filtered", "no-route"},
		{"reject with icmpv6 type admin-prohibited", "filtered", "admin-prohibited"},
		{"reject with icmpv6 type addr-unreachable", "filtered", "host-unreach"},
		{"reject with icmpv6 type port-unreachable", "filtered", "port-unreach"},
		{"reject with tcp reset", "closed", "conn-refused"},
		{"drop", "filtered", "no-response"},
	}
)

// Every way to refuse gives its own reason, and nmap -sT the same states.
func TestReasons(t *testing.T) {
	nettest.Need(t, "nft")
	scanner, target := pair(t)
	far6 := netip.MustParseAddr("fd00:9::2")
	scanner.Run("ip", "addr", "add", "fd00:9::1/64", "dev", "eth0", "nodad")
	target.Run("ip", "addr", "add", far6.String()+"/64", "dev", "eth0", "nodad")
	rules := []string{"sysctl -qw net.ipv4.icmp_ratelimit=0 net.ipv6.icmp.ratelimit=0",
		"nft 'add table inet t; add chain inet t i { type filter hook input priority 0; }'"}
	for i, r := range refusals4 {
		rules = append(rules, fmt.Sprintf("nft 'add rule inet t i meta nfproto ipv4 tcp dport %d %s'", 1000+i, r.how))
	}
	for i, r := range refusals6 {
		rules = append(rules, fmt.Sprintf("nft 'add rule inet t i meta nfproto ipv6 tcp dport %d %s'", 1000+i, r.how))
	}
	target.Script(strings.Join(rules, "\n"))
	a := ask(t.Context(), t, scanner, new(Network), list{[]netip.Addr{far, far6}, ports(1000, 1020)})
	for i, r := range refusals4 {
		a.check(netip.AddrPortFrom(far, uint16(1000+i)), r.state, r.reason)
	}
	for i, r := range refusals6 {
		a.check(netip.AddrPortFrom(far6, uint16(1000+i)), r.state, r.reason)
	}
	if len(a.ports) != 42 || len(a.gaps) > 0 {
		t.Errorf("%d told, gaps %v", len(a.ports), a.gaps)
	}
	a.sameAsNmap(scanner, far)
	a.sameAsNmap(scanner, far6)
}

func (a *answers) check(at netip.AddrPort, state, reason string) {
	a.t.Helper()
	if p := a.ports[at]; string(p.State) != state || p.Reason != reason {
		a.t.Errorf("%s: %s %s, want %s %s", at, p.State, p.Reason, state, reason)
	}
}

var nmapLine = regexp.MustCompile(`(?m)^(\d+)/tcp +(\S+) +\S+ +(\S+)`)

// sameAsNmap compares states with nmap -sT. Its reasons are only logged: it
// knows the errno and not the ICMP code.
func (a *answers) sameAsNmap(ns *nettest.NS, addr netip.Addr) {
	a.t.Helper()
	nettest.Need(a.t, "nmap")
	args := []string{"-n", "-Pn", "-sT", "--reason", "-p1000-1020", "-d", addr.String()}
	if addr.Is6() {
		args = append(args, "-6")
	}
	found := nmapLine.FindAllStringSubmatch(ns.Run("nmap", args...), -1)
	if len(found) == 0 {
		a.t.Error("nmap listed nothing")
	}
	for _, m := range found {
		var port uint16
		if _, err := fmt.Sscan(m[1], &port); err != nil {
			a.t.Fatal(err)
		}
		p := a.ports[netip.AddrPortFrom(addr, port)]
		if string(p.State) != m[2] && p.Reason != "port-unreach" { // the errno of a port-unreachable is that of a RST
			a.t.Errorf("port %d of %s: %s %s, nmap says %s %s", port, addr, p.State, p.Reason, m[2], m[3])
		}
		a.t.Logf("%s:%d %s %s; nmap %s %s", addr, port, p.State, p.Reason, m[2], m[3])
	}
}

// Link-local targets with a zone, a source address and an interface, all in
// one sweep where they can be.
func TestZoneSourceAndInterface(t *testing.T) {
	scanner, target := pair(t)
	scanner.Run("ip", "addr", "add", "fe80::1/64", "dev", "eth0", "nodad")
	target.Run("ip", "addr", "add", "fe80::2/64", "dev", "eth0", "nodad")
	scanner.Run("ip", "addr", "add", "10.9.0.77/24", "dev", "eth0")
	target.Listen("tcp4", far.String()+":80")
	target.Listen("tcp6", "[::]:81")
	link := netip.MustParseAddr("fe80::2%eth0")
	both := list{[]netip.Addr{far, link}, ports(78, 83)}
	for _, tr := range []*Network{{}, {Iface: "eth0"}, {MaxInFlight: 1}} {
		a := ask(t.Context(), t, scanner, tr, both)
		a.check(netip.AddrPortFrom(far, 80), "open", "syn-ack")
		a.check(netip.AddrPortFrom(link, 81), "open", "syn-ack")
		if a.count[exposure.Closed] != 10 || a.count[exposure.Open] != 2 || len(a.gaps) > 0 || a.err != nil {
			t.Errorf("%+v: %v %v %v", *tr, a.count, a.gaps, a.err)
		}
	}
	from := make(chan netip.Addr, 1)
	ln := target.Listen("tcp4", far.String()+":90")
	go func() {
		if conn, err := ln.Accept(); err == nil {
			from <- netip.MustParseAddrPort(conn.RemoteAddr().String()).Addr()
			_ = conn.Close()
		}
	}()
	source := netip.MustParseAddr("10.9.0.77")
	a := ask(t.Context(), t, scanner, &Network{From: source}, list{[]netip.Addr{far}, ports(90, 91)})
	a.check(netip.AddrPortFrom(far, 90), "open", "syn-ack")
	if got := <-from; got != source {
		t.Errorf("came from %s, want %s", got, source)
	}
}

// A source or interface that is not there is an error that names it; one host
// without a route is a gap and does not keep others from being asked.
func TestNoWay(t *testing.T) {
	scanner, _ := pair(t)
	a := ask(t.Context(), t, scanner, &Network{From: netip.MustParseAddr("10.9.0.99")}, list{[]netip.Addr{far}, ports(1, 5)})
	if !errors.Is(a.err, unix.EADDRNOTAVAIL) || !strings.Contains(a.err.Error(), "10.9.0.99") {
		t.Errorf("wrong source: %v", a.err)
	}
	a = ask(t.Context(), t, scanner, &Network{Iface: "eth7"}, list{[]netip.Addr{far}, ports(1, 5)})
	if !errors.Is(a.err, unix.ENODEV) || !strings.Contains(a.err.Error(), "eth7") {
		t.Errorf("wrong interface: %v", a.err)
	}
	nowhere, zone := netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("fe80::1%eth7")
	a = ask(t.Context(), t, scanner, new(Network), list{[]netip.Addr{nowhere, zone, far}, ports(1, 50)})
	if a.count[exposure.Closed] != 50 || len(a.ports) != 50 || len(a.gaps) != 2 ||
		!strings.Contains(fmt.Sprint(a.gaps), "50 ports of 192.0.2.1 were not settled: connect: network is unreachable") {
		t.Errorf("%v %v %v", a.count, a.gaps, a.err)
	}
}

// With few descriptors or few local ports all ports are asked all the same,
// also where each is silent.
func TestNetworkScarceMeans(t *testing.T) {
	nettest.Need(t, "nft")
	scanner, target := pair(t)
	scanner.Script("echo 40000 40019 > /proc/sys/net/ipv4/ip_local_port_range")
	target.Script(`nft 'add table ip t; add chain ip t i { type filter hook input priority 0; }; add rule ip t i tcp dport 1000-1199 drop'`)
	target.Listen("tcp4", far.String()+":1250")
	for _, most := range []int{0, 7} {
		a := ask(t.Context(), t, scanner, &Network{MaxInFlight: most, Tries: 1}, list{[]netip.Addr{far}, ports(1200, 1300)})
		if a.count[exposure.Closed] != 100 || a.count[exposure.Open] != 1 || len(a.gaps) > 0 {
			t.Errorf("at most %d: %v %v", most, a.count, a.gaps)
		}
	}
	a := ask(t.Context(), t, scanner, new(Network), list{[]netip.Addr{far}, ports(1000, 1300)})
	if a.count[exposure.Closed] != 100 || a.count[exposure.Filtered] != 200 || a.count[exposure.Open] != 1 || len(a.gaps) > 0 {
		t.Errorf("%v %v", a.count, a.gaps)
	}
}

// A descriptor limit met in the middle narrows the window and changes nothing
// else.
func TestNetworkFewDescriptors(t *testing.T) {
	nettest.Need(t, "nft")
	const mark = "PORTREEVE_TEST_FEW"
	if os.Getenv(mark) == "" {
		scanner, target := pair(t)
		target.Script(`nft 'add table ip t; add chain ip t i { type filter hook input priority 0; }; add rule ip t i tcp dport 1000-1199 drop'`)
		cmd := scanner.Command(os.Args[0], "-test.run", "^TestNetworkFewDescriptors$", "-test.v")
		cmd.Env = append(os.Environ(), mark+"=1")
		if out, err := cmd.CombinedOutput(); err != nil || !strings.Contains(string(out), "narrow seen") {
			t.Errorf("%v\n%s", err, out)
		}
		return
	}
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: 140, Max: 140}); err != nil {
		t.Fatal(err)
	}
	a := &answers{t: t, ports: map[netip.AddrPort]exposure.PortState{}, count: map[exposure.PortStateName]int{}}
	w := list{[]netip.Addr{far}, append(ports(1200, 1300), ports(1000, 1199)...)} // answers first, so that the waits are short
	took := false
	hear := a.hear(w)
	_, gaps, err := new(Network).Sweep(t.Context(), w, func(i uint64, p exposure.PortState) {
		for !took { // another part of the program takes all that is left
			_, err := unix.Dup(0)
			took = err != nil
		}
		hear(i, p)
	})
	if a.count[exposure.Closed] != 101 || a.count[exposure.Filtered] != 200 || len(gaps) > 0 || err != nil {
		t.Errorf("%v %v %v", a.count, gaps, err)
	}
	t.Log("narrow seen")
}

// No port of this host's own connects to itself, though sources and targets
// share a range of eight.
func TestNetworkNoSelfConnect(t *testing.T) {
	ns := nettest.New(t)
	ns.Script("echo 40000 40007 > /proc/sys/net/ipv4/ip_local_port_range")
	for range 50 {
		a := ask(t.Context(), t, ns, new(Network), list{[]netip.Addr{lo4, netip.MustParseAddr("::1")}, ports(40000, 40007)})
		if a.count[exposure.Closed] != 16 || len(a.gaps) > 0 {
			t.Fatalf("%v %v", a.count, a.gaps)
		}
	}
}
