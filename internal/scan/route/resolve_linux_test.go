package route

import (
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/portreeve/portreeve/internal/nettest"
)

// lan is a scanner and two stations on a bridge.
func lan(t *testing.T) (scanner *nettest.NS, stations [2]*nettest.NS) {
	nettest.Need(t, "ip")
	hub := nettest.New(t)
	scanner = nettest.New(t)
	hub.Script("ip link add br0 type bridge; ip link set br0 up")
	for i, ns := range []*nettest.NS{scanner, nettest.New(t), nettest.New(t)} {
		ns.Script("echo 0 >/proc/sys/net/ipv6/conf/default/accept_dad")
		nettest.Veth(t, ns, hub, fmt.Sprintf("eth0=10.5.0.%d/16", i+1), fmt.Sprintf("p%d=192.0.2.%d/32", i, i+1))
		hub.Run("ip", "link", "set", fmt.Sprintf("p%d", i), "master", "br0")
		ns.Script(fmt.Sprintf("ip addr add fd05::%d/64 dev eth0 nodad; ip addr add fe80::%d/64 dev eth0 nodad", i+1, i+1))
		if i > 0 {
			stations[i-1] = ns
		}
	}
	return scanner, stations
}

// wait waits until frames pass: carrier and addresses are there.
func wait(t *testing.T, ns *nettest.NS, to string) {
	t.Helper()
	for range 300 {
		out := ns.Run("ip", "-6", "addr", "show", "dev", "eth0")
		if !strings.Contains(out, "tentative") && strings.Contains(out, "fe80") && kernelNeighbours(t, ns, to)[netip.MustParseAddr(to)] != "" {
			ns.Run("ip", "neigh", "flush", "all")
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Fatal("the link does not come up")
}

// kernelNeighbours has the kernel resolve addresses, and reads its table.
func kernelNeighbours(t *testing.T, ns *nettest.NS, addrs ...string) map[netip.Addr]string {
	t.Helper()
	ns.Do(func() {
		for _, a := range addrs {
			if c, err := net.Dial("udp", net.JoinHostPort(a, "9")); err == nil {
				_, _ = c.Write([]byte("x"))
				_ = c.Close()
			}
		}
	})
	time.Sleep(20 * time.Millisecond)
	var table []struct {
		Dst    netip.Addr
		LLAddr string
	}
	if err := json.Unmarshal([]byte(ns.Run("ip", "-j", "neigh")), &table); err != nil {
		t.Fatal(err)
	}
	got := map[netip.Addr]string{}
	for _, n := range table {
		got[n.Dst] = n.LLAddr
	}
	return got
}

func parse(texts ...string) (out []netip.Addr) {
	for _, s := range texts {
		out = append(out, netip.MustParseAddr(s))
	}
	return out
}

// Both families resolve to what the kernel itself finds, without a trace in
// its table; nobody stays unknown within a second.
func TestResolvesAsTheKernelDoes(t *testing.T) {
	scanner, _ := lan(t)
	wait(t, scanner, "10.5.0.2")
	table := in(t, scanner, Options{})
	for _, hops := range [][]netip.Addr{
		parse("10.5.0.2", "10.5.0.3", "10.5.0.9"),
		parse("fd05::2", "fd05::3", "fd05::9"),
		parse("fe80::2%eth0", "fe80::3%eth0"),
	} {
		p, err := table.Path(hops[0])
		if err != nil {
			t.Fatal(err)
		}
		begun := time.Now()
		var got map[netip.Addr]net.HardwareAddr
		scanner.Do(func() { got, err = Resolve(t.Context(), p, hops, ResolveOptions{}) })
		took := time.Since(begun)
		if err != nil || took > 1200*time.Millisecond {
			t.Errorf("%v, took %v", err, took)
		}
		if out := scanner.Run("ip", "neigh"); strings.Contains(out, "lladdr") {
			t.Errorf("the kernel's table grew: %s", out)
		}
		if len(got) != 2 {
			t.Errorf("%d resolved, want 2: %v", len(got), got)
		}
		for _, hop := range hops {
			kernel := kernelNeighbours(t, scanner, hop.String())[hop.WithZone("")]
			if got[hop].String() != kernel {
				t.Errorf("%s: %s, the kernel says %q", hop, got[hop], kernel)
			}
		}
		scanner.Run("ip", "neigh", "flush", "all")
	}
}

// What the kernel's table holds is not asked for.
func TestTakesTheKernelsWord(t *testing.T) {
	scanner, _ := lan(t)
	scanner.Script("ip neigh add 10.5.7.7 lladdr 02:00:00:00:07:07 dev eth0 nud permanent; ip neigh add 10.5.7.8 lladdr 02:00:00:00:07:08 dev eth0 nud failed || :")
	p, err := in(t, scanner, Options{}).Path(netip.MustParseAddr("10.5.7.7"))
	if err != nil {
		t.Fatal(err)
	}
	begun := time.Now()
	scanner.Do(func() {
		got, err := Resolve(t.Context(), p, parse("10.5.7.7"), ResolveOptions{})
		if err != nil || got[netip.MustParseAddr("10.5.7.7")].String() != "02:00:00:00:07:07" || time.Since(begun) > askGap {
			t.Errorf("%v, %v", got, err)
		}
	})
}

// An IPv6 gateway of IPv4 destinations (RFC 8950) is asked from a link-local
// address.
func TestResolvesIPv6GatewayOfIPv4(t *testing.T) {
	scanner, _ := lan(t)
	wait(t, scanner, "10.5.0.2")
	scanner.Script("ip route add 198.51.100.0/24 via inet6 fe80::3 dev eth0")
	dst := netip.MustParseAddr("198.51.100.9")
	p, err := in(t, scanner, Options{}).Path(dst)
	hop := p.NextHop(dst)
	if err != nil || hop.String() != "fe80::3%eth0" || !p.Src.Is4() {
		t.Fatalf("%+v, %v", p, err)
	}
	scanner.Do(func() {
		got, err := Resolve(t.Context(), p, []netip.Addr{hop}, ResolveOptions{})
		if err != nil || len(got[hop]) != 6 {
			t.Errorf("%v, %v", got, err)
		}
	})
}

// Without CAP_NET_RAW the kernel's table is all there is, and it is said.
func TestResolveWithoutPrivilege(t *testing.T) {
	scanner, _ := lan(t)
	scanner.Script("ip neigh add 10.5.7.7 lladdr 02:00:00:00:07:07 dev eth0 nud permanent")
	p, err := in(t, scanner, Options{}).Path(netip.MustParseAddr("10.5.7.7"))
	if err != nil {
		t.Fatal(err)
	}
	scanner.Do(func() { // on a thread that ends with this
		header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
		var none [2]unix.CapUserData
		if err := unix.Capset(&header, &none[0]); err != nil {
			t.Error(err)
		}
		got, err := Resolve(t.Context(), p, parse("10.5.7.7", "10.5.0.2"), ResolveOptions{})
		if !errors.Is(err, os.ErrPermission) || len(got) != 1 {
			t.Errorf("%v, %v", got, err)
		}
	})
}

// 65,536 addresses on one link: all that answer are resolved, once each, and
// the kernel's table does not grow.
func TestResolvesALargeLink(t *testing.T) {
	scanner, stations := lan(t)
	wait(t, scanner, "10.5.0.2")
	stations[0].Script("ip route add local 10.5.64.0/18 dev lo")
	var hops []netip.Addr
	for i := range 1 << 16 {
		hops = append(hops, netip.AddrFrom4([4]byte{10, 5, byte(i >> 8), byte(i)}))
	}
	p, err := in(t, scanner, Options{}).Path(hops[77])
	if err != nil {
		t.Fatal(err)
	}
	begun := time.Now()
	var got map[netip.Addr]net.HardwareAddr
	scanner.Do(func() { got, err = Resolve(t.Context(), p, hops, ResolveOptions{Rate: 50_000}) })
	if want := 1<<14 + 2; err != nil || len(got) != want { // a /18 and the two stations
		t.Errorf("%d of %d resolved, %v", len(got), want, err)
	}
	if n := strings.Count(scanner.Run("ip", "neigh"), "\n"); n > 10 {
		t.Errorf("%d entries in the kernel's table", n)
	}
	t.Logf("65,536 addresses in %v", time.Since(begun))
}
