package route

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
	"pgregory.net/rapid"

	"github.com/portreeve/portreeve/internal/nettest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// in opens a table inside a namespace and closes it with the test.
func in(t *testing.T, ns *nettest.NS, o Options) *Table {
	t.Helper()
	var table *Table
	var err error
	ns.Do(func() { table, err = Open(o) })
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = table.Close() })
	return table
}

// crossroads is a namespace with three links and addresses of both families.
func crossroads(t *testing.T) *nettest.NS {
	nettest.Need(t, "ip")
	ns, far := nettest.New(t), nettest.New(t)
	ns.Script("echo 0 >/proc/sys/net/ipv6/conf/default/accept_dad") // link-local addresses serve at once
	nettest.Veth(t, ns, far, "eth0=10.0.0.1/24", "eth0=10.0.0.2/24")
	nettest.Veth(t, ns, far, "eth1=10.1.0.1/16", "eth1=10.1.0.2/16")
	ns.Script(`
		ip tuntap add mode tun tun0; ip link set tun0 up; ip addr add 10.2.0.1 peer 10.2.0.2 dev tun0
		ip addr add 2001:db8::1/64 dev eth0 nodad; ip addr add 2001:db8:0:1::1/64 dev eth0 nodad
		ip addr add fd00:1::1/64 dev eth1 nodad; ip addr add 2001:db8:ffff::1/48 dev eth1 nodad
		ip addr add 2001:db8:a000::1/64 dev eth1 nodad; ip addr add 2001:db8:5000::1/64 dev eth1 nodad
		ip addr add 10.0.0.77/24 dev eth0`)
	return ns
}

var gateways = map[bool][]string{
	true: {"via 10.0.0.2 dev eth0", "via 10.0.0.3 dev eth0", "via 10.1.9.9 dev eth1", "dev tun0", "dev eth1", "dev eth0 src 10.0.0.77",
		"via inet6 fe80::9 dev eth0", "nexthop via 10.0.0.4 nexthop via 10.0.0.4"},
	false: {"via 2001:db8::2 dev eth0", "via fe80::5 dev eth1", "via fd00:1::9 dev eth1", "dev tun0", "dev eth1", "dev eth0 src 2001:db8:0:1::1"},
}

// near draws destinations and prefixes where routes are likely to nest.
func near(t *rapid.T, is4 bool) netip.Addr {
	if is4 {
		b := rapid.SliceOfN(rapid.SampledFrom([]byte{0, 1, 2, 63, 64, 128, 200, 255}), 3, 3).Draw(t, "bytes")
		first := rapid.SampledFrom([]byte{10, 10, 10, 11, 127, 169, 192, 223}).Draw(t, "first")
		return netip.AddrFrom4([4]byte{first, b[0], b[1], b[2]})
	}
	a := netip.MustParseAddr(rapid.SampledFrom([]string{"2001:db8::", "2001:db8:0:1::", "2001:db8:ffff::", "2001:db8:8000::", "2001:db8:4000::", "fd00:1::", "2002::", "2001::", "64:ff9b::"}).Draw(t, "base")).As16()
	for range 3 {
		a[rapid.IntRange(5, 15).Draw(t, "at")] = rapid.SampledFrom([]byte{0, 1, 2, 0x80, 0xff}).Draw(t, "byte")
	}
	return netip.AddrFrom16(a)
}

func drawRoutes(t *rapid.T, is4 bool) string {
	bits := 128
	if is4 {
		bits = 32
	}
	var b strings.Builder
	b.WriteString(clearing)
	for range rapid.SampledFrom([]int{0, 2, 5, 20}).Draw(t, "routes") {
		dst := netip.PrefixFrom(near(t, is4), rapid.IntRange(0, bits).Draw(t, "bits")).Masked()
		table := rapid.SampledFrom([]string{"main", "main", "100", "101"}).Draw(t, "table")
		kind := rapid.SampledFrom([]string{"", "", "", "", "unreachable", "blackhole", "prohibit", "throw", "local"}).Draw(t, "kind")
		way := rapid.SampledFrom(gateways[is4]).Draw(t, "way")
		switch kind {
		case "":
		case "local":
			way = "dev lo"
		default:
			way = ""
		}
		if way != "" && rapid.IntRange(0, 4).Draw(t, "mtu") == 0 {
			way += " mtu 1300"
		}
		fmt.Fprintf(&b, "route add %s %s table %s %s\n", kind, dst, table, way)
	}
	for i := range rapid.IntRange(0, 4).Draw(t, "rules") {
		dst := netip.PrefixFrom(near(t, is4), rapid.IntRange(0, bits/2).Draw(t, "bits")).Masked()
		what := rapid.SampledFrom([]string{"lookup 100", "lookup 101", "lookup main", "unreachable", "blackhole", "prohibit"}).Draw(t, "action")
		oif := rapid.SampledFrom([]string{"", "", "oif eth1"}).Draw(t, "oif")
		fmt.Fprintf(&b, "rule add to %s %s pref %d %s\n", dst, oif, 100+i, what)
	}
	return b.String()
}

// batch runs ip commands of one family; those that the kernel refuses are
// left out, and counted.
func batch(ns *nettest.NS, family, lines string) (refused int) {
	cmd := ns.Command("ip", family, "-force", "-batch", "-")
	var errs strings.Builder
	cmd.Stdin, cmd.Stderr = strings.NewReader(lines), &errs
	_ = cmd.Run()
	return strings.Count(errs.String(), "Command failed")
}

const clearing = `route flush table main proto boot
route flush table 100
route flush table 101
route flush table local proto boot
rule flush
rule add pref 32766 lookup main
`

// For random tables and rules, every destination gets the path that
// `ip route get` shows, whatever was asked before: cells hide no more
// specific route and no other source.
func TestPathsAreThoseOfIP(t *testing.T) {
	ns := crossroads(t)
	nothing := func(netip.Addr) string { return "" }
	rapid.Check(t, func(rt *rapid.T) {
		batch(ns, "-4", drawRoutes(rt, true))
		batch(ns, "-6", drawRoutes(rt, false))
		o, more := Options{}, nothing
		switch rapid.IntRange(0, 3).Draw(rt, "options") {
		case 1:
			o, more = Options{Iface: "eth1"}, func(netip.Addr) string { return "oif eth1" }
		case 2:
			o, more = Options{From: netip.MustParseAddr("10.0.0.77")}, func(netip.Addr) string { return "from 10.0.0.77" }
		}
		var dsts []netip.Addr
		seen := map[netip.Addr]bool{}
		for range 60 {
			is4 := o.From.IsValid() || rapid.Bool().Draw(rt, "IPv4")
			if a := near(rt, is4); !seen[a] && !a.IsMulticast() && !a.IsUnspecified() {
				dsts = append(dsts, a)
				seen[a] = true
			}
		}
		want := ipRouteGet(t, ns, dsts, more)
		var table *Table
		var err error
		ns.Do(func() { table, err = Open(o) })
		if err != nil {
			rt.Fatal(err)
		}
		defer table.Close()
		for _, d := range dsts {
			p, err := table.Path(d)
			w := want[d]
			if w.kind == "broadcast" && errors.Is(err, ErrNotUnicast) {
				continue
			}
			if w.kind == "anycast" {
				w.kind = "local"
			}
			if w.mtu != "" && fmt.Sprint(p.MTU) != w.mtu {
				rt.Errorf("%s: MTU %d, ip says %s", d, p.MTU, w.mtu)
			}
			w.mtu = ""
			if got := inWords(p, err); got != w {
				rt.Errorf("%s: %+v (%v), ip says %+v", d, got, err, w)
			}
		}
	})
}

// Where rules look at the source, the source that the kernel chooses decides,
// as it does for connect(2).
func TestRulesBySource(t *testing.T) {
	ns := crossroads(t)
	ns.Script(`ip route add 192.0.2.0/24 via 10.0.0.2; ip route add 192.0.2.0/24 via 10.1.0.2 table 100
		ip rule add from 10.0.0.1 lookup 100`)
	p, err := in(t, ns, Options{}).Path(netip.MustParseAddr("192.0.2.7"))
	if err != nil || p.Src.String() != "10.0.0.1" || p.Gateway.String() != "10.1.0.2" || p.Iface != "eth1" {
		t.Errorf("%+v, %v", p, err)
	}
	p, err = in(t, ns, Options{From: netip.MustParseAddr("10.0.0.77")}).Path(netip.MustParseAddr("192.0.2.7"))
	if err != nil || p.Src.String() != "10.0.0.77" || p.Gateway.String() != "10.0.0.2" {
		t.Errorf("from 10.0.0.77: %+v, %v", p, err)
	}
}

// The kinds of link, own addresses, and what has no path.
func TestKindsOfPath(t *testing.T) {
	ns := crossroads(t)
	ns.Script("ip route add local 10.9.0.0/16 dev lo")
	table := in(t, ns, Options{})
	for _, c := range []struct {
		dst  string
		want Kind
		is   func(Path) bool
	}{
		{"10.0.0.9", Ethernet, func(p Path) bool { return len(p.HW) == 6 && p.MTU == 1500 && !p.Local }},
		{"10.2.0.2", Bare, func(p Path) bool { return p.HW == nil && p.Iface == "tun0" }},
		{"127.0.0.9", Loopback, func(p Path) bool { return p.Local && p.MTU == 65536 }},
		{"10.9.7.7", Loopback, func(p Path) bool { return p.Local && p.Src.String() == "10.9.7.7" }},
		{"10.9.7.8", Loopback, func(p Path) bool { return p.Local && p.Src.String() == "10.9.7.8" }},
		{"::ffff:10.0.0.9", Ethernet, func(p Path) bool { return p.Src.Is4() }},
		{"fe80::7%eth1", Ethernet, func(p Path) bool { return p.Iface == "eth1" && p.Src.IsLinkLocalUnicast() }},
		{"2001:db8::1", Loopback, func(p Path) bool { return p.Local }},
	} {
		p, err := table.Path(netip.MustParseAddr(c.dst))
		if err != nil || p.Link != c.want || !c.is(p) {
			t.Errorf("%s: %+v, %v", c.dst, p, err)
		}
	}
	for dst, want := range map[string]error{
		"10.0.0.255": ErrNotUnicast, "255.255.255.255": ErrNotUnicast, "224.0.0.1": ErrNotUnicast, "0.0.0.0": ErrNotUnicast,
		"ff02::1%eth0": ErrNotUnicast, "fe80::7": ErrZone, "fe80::7%eth9": ErrLinkGone, "8.8.8.8": ErrNoRoute, "2600::1": ErrNoRoute,
	} {
		var e *Error
		if p, err := table.Path(netip.MustParseAddr(dst)); !errors.Is(err, want) || !errors.As(err, &e) {
			t.Errorf("%s: %+v, %v; want %v", dst, p, err, want)
		}
	}
}

// A source or interface that is not there is refused when the table is opened.
func TestRefusesStrangeOptions(t *testing.T) {
	ns := crossroads(t)
	for _, c := range []struct {
		o    Options
		want error
	}{
		{Options{Iface: "eth9"}, ErrLinkGone},
		{Options{From: netip.MustParseAddr("192.0.2.1")}, ErrNotOurs},
		{Options{From: netip.MustParseAddr("10.0.0.77")}, nil},
		{Options{From: netip.MustParseAddr("10.1.0.1"), Iface: "eth0"}, nil},
		{Options{From: netip.MustParseAddr("fd00:1::1")}, nil},
	} {
		ns.Do(func() {
			table, err := Open(c.o)
			if !errors.Is(err, c.want) {
				t.Errorf("%+v: %v, want %v", c.o, err, c.want)
			}
			if err == nil {
				_ = table.Close()
			}
		})
	}
	table := in(t, ns, Options{From: netip.MustParseAddr("10.0.0.77")})
	if _, err := table.Path(netip.MustParseAddr("2001:db8::2")); !errors.Is(err, ErrFamily) {
		t.Errorf("IPv6 from IPv4: %v", err)
	}
}

// A link that goes, a lost carrier, and routes that go or move are told.
func TestTellsChanges(t *testing.T) {
	ns, far := nettest.New(t), nettest.New(t)
	nettest.Veth(t, ns, far, "eth0=10.0.0.1/24", "eth0=10.0.0.2/24")
	ns.Script("ip route add 192.0.2.0/24 via 10.0.0.2; ip link add br0 type bridge; ip link set br0 up")
	table := in(t, ns, Options{})
	dst := netip.MustParseAddr("192.0.2.9")
	p, err := table.Path(dst)
	if err != nil {
		t.Fatal(err)
	}
	expect := func(after string, down, check error) {
		t.Helper()
		// Carrier changes reach us through the kernel's link watch, up to a second later.
		for range 300 {
			if errors.Is(table.Down(p.Index), down) && errors.Is(table.Check(dst, p), check) {
				return
			}
			time.Sleep(10 * time.Millisecond)
		}
		t.Errorf("after %s: Down says %v, Check %v; want %v, %v", after, table.Down(p.Index), table.Check(dst, p), down, check)
	}
	expect("nothing", nil, nil)
	ns.Script("ip route add 198.51.100.0/24 via 10.0.0.2")
	expect("another route", nil, nil)
	if _, err := table.Path(netip.MustParseAddr("198.51.100.1")); err != nil {
		t.Errorf("a route that was announced: %v", err)
	}
	ns.Script("ip route change 192.0.2.0/24 via 10.0.0.3")
	expect("another gateway", nil, ErrMoved)
	ns.Script("ip route del 192.0.2.0/24")
	expect("the route's end", nil, ErrNoRoute)
	ns.Script("ip route add 192.0.2.0/24 via 10.0.0.2")
	expect("the route's return", nil, nil)
	far.Script("ip link set eth0 down")
	expect("the peer going down", ErrNoCarrier, ErrNoCarrier)
	far.Script("ip link set eth0 up")
	expect("the peer coming up", nil, nil)
	ns.Script("ip link set eth0 down")
	expect("going down", ErrLinkDown, ErrLinkDown)
	ns.Script("ip link del eth0")
	expect("its end", ErrLinkGone, ErrLinkGone)
}

// 65,536 destinations in few cells ask the kernel few times.
func TestManyDestinationsAreCheap(t *testing.T) {
	ns := crossroads(t)
	ns.Script("ip route add 172.16.0.0/16 via 10.0.0.2; ip route add 172.16.77.0/24 via 10.1.0.2")
	table := in(t, ns, Options{})
	a := netip.MustParseAddr("172.16.0.0")
	begun, second := time.Now(), 0
	for range 65_536 {
		p, err := table.Path(a)
		if err != nil {
			t.Fatal(a, err)
		}
		if p.Iface == "eth1" {
			second++
		}
		a = a.Next()
	}
	if second != 256 || len(table.cells) > 3 {
		t.Errorf("%d by eth1, %d cells", second, len(table.cells))
	}
	t.Logf("65,536 paths in %v", time.Since(begun))
	if n := testing.AllocsPerRun(100, func() { _, _ = table.Path(a.Prev()) }); n > 0 {
		t.Errorf("a known cell costs %v allocations", n)
	}
}
