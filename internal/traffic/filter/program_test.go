package filter

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/bpf"

	"github.com/portreeve/portreeve/internal/traffic/wire"
)

func mustCompile(t testing.TB, expr string, o Options) *Program {
	t.Helper()
	p, err := Compile(expr, o)
	if err != nil {
		t.Fatalf("%q: %v", expr, err)
	}
	return p
}

func isNever(err error) bool {
	var e *Error
	return errors.As(err, &e) && e.Never
}

func TestMatchDoesNotAllocate(t *testing.T) {
	p := mustCompile(t, "vlan and (tcp port 80 or udp port 53) or ip[ip[0] & 15] = 3", Options{Link: linkEthernet, VLANMeta: true})
	ps := packets(linkEthernet, 5, 50)
	n := testing.AllocsPerRun(100, func() {
		for _, q := range ps {
			p.Match(q.data, q.wire, q.meta)
		}
	})
	if n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// TestReturnsSnapLen: a match returns how much is to be kept.
func TestReturnsSnapLen(t *testing.T) {
	for _, want := range []uint32{0, 96, 65535} {
		p := mustCompile(t, "", Options{Link: linkEthernet, SnapLen: want})
		if want == 0 {
			want = DefaultSnapLen
		}
		got := p.Instructions()
		if len(got) != 1 || got[0] != (bpf.RawInstruction{Op: 6, K: want}) {
			t.Errorf("%v, not a return of %d", got, want)
		}
	}
}

// madeFor are 300 TCP packets from the addresses of TestFarJumps.
func madeFor() []packet {
	var out []packet
	for i := range 300 {
		b := join(make([]byte, 12), u16(0x800), []byte{0x45, 0, 0, 40, 0, 0, 0, 0, 64, 6, 0, 0, 198, 51, byte(i / 200), byte(i % 200), 10, 0, 0, 1},
			u16(1024+i), u16(79+i%3), make([]byte, 16))
		out = append(out, packet{data: b, wire: uint32(len(b))})
	}
	return out
}

// TestLimits: what is too large is refused, soon and in words.
func TestLimits(t *testing.T) {
	deep := strings.Repeat("(", 30000) + "tcp" + strings.Repeat(")", 30000)
	var many, ports []string
	for i := range 3000 {
		many = append(many, fmt.Sprintf("host 10.1.%d.%d", i/250, i%250))
		ports = append(ports, fmt.Sprintf("%d", i))
	}
	shift := "1"
	for range 40 {
		shift = "ip[0] << (" + shift + " + ip[1])"
	}
	cases := map[string]string{
		"deep": deep, "nots": strings.Repeat("not ", 10000) + "tcp", "minus": strings.Repeat("-", 10000) + "1 = 1",
		"hosts": strings.Join(many, " or "), "ports": "port " + strings.Join(ports, " or "), "powers": strings.Repeat("1^", 10000) + "1 = 1",
		"shifts": shift + " = 1", "long": strings.Repeat("tcp or ", 10000) + "tcp", "nested index": strings.Repeat("ip[", 5000) + "1" + strings.Repeat("]", 5000) + " = 1",
		"geneves": strings.Repeat("geneve and ", 50) + "ip", "chains": strings.Repeat("protochain 6 and ", 200) + "ip",
	}
	for name, expr := range cases {
		start := time.Now()
		_, err := Compile(expr, Options{Link: linkEthernet, VLANMeta: true})
		var e *Error
		if err == nil || !errors.As(err, &e) {
			t.Errorf("%s: not refused", name)
			continue
		}
		if took := time.Since(start); took > 5*time.Second {
			t.Errorf("%s: refused after %v", name, took)
		}
		if mark := e.Mark(); len(mark) > 2000 {
			t.Errorf("%s: the mark is %d bytes long", name, len(mark))
		}
	}
}

// TestManyAddresses: what administrators paste in does fit.
func TestManyAddresses(t *testing.T) {
	var hosts []string
	for i := range 500 {
		hosts = append(hosts, fmt.Sprintf("ip host 10.1.%d.%d", i/250, i%250))
	}
	p := mustCompile(t, strings.Join(hosts, " or "), Options{Link: linkEthernet})
	if len(p.raw) > 2020 {
		t.Errorf("%d instructions for %d addresses", len(p.raw), len(hosts))
	}
}

// TestLongForFiles: what no kernel takes may still be run on a file.
func TestLongForFiles(t *testing.T) {
	var hosts []string
	for i := range 2000 {
		hosts = append(hosts, fmt.Sprintf("host 198.51.%d.%d", i/250, i%250))
	}
	expr := strings.Join(hosts, " or ")
	if _, err := Compile(expr, Options{Link: linkEthernet}); err == nil {
		t.Fatal("the program is short: the test says nothing")
	}
	p := mustCompile(t, expr, Options{Link: linkEthernet, File: true})
	matched := 0
	for _, q := range append(packets(linkEthernet, 11, 300), madeFor()...) {
		got := p.Match(q.data, q.wire, q.meta)
		if got != (slow(p.raw, q.data, q.wire, q.meta) != 0) {
			t.Fatalf("% x: the machine says %v", q.data, got)
		}
		if got {
			matched++
		}
	}
	if matched != 300 {
		t.Errorf("%d packets match, not 300", matched)
	}
}

// TestNames: names go through Options and nowhere else.
func TestNames(t *testing.T) {
	o := testOptions(linkEthernet)
	o.Host = func(name string) ([]netip.Addr, error) {
		switch name {
		case "both":
			return []netip.Addr{netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("2001:db8::1")}, nil
		case "tcp", "router":
			return []netip.Addr{netip.MustParseAddr("::ffff:10.1.2.3")}, nil
		case "six":
			return []netip.Addr{netip.MustParseAddr("fe80::1%eth0")}, nil
		}
		return nil, errors.New("no such host")
	}
	o.Ether = func(name string) ([6]byte, error) {
		if name == "router" {
			return [6]byte{0, 0, 0x5e, 0, 0x53, 1}, nil
		}
		return [6]byte{}, errors.New("no such name")
	}
	same := map[string]string{
		"host both": "host 192.0.2.1 or host 2001:db8::1", "ip host both": "ip host 192.0.2.1", "ip6 host both": "ip6 host 2001:db8::1",
		"arp host both": "arp host 192.0.2.1", "src both": "src 192.0.2.1 or src 2001:db8::1", `host \tcp`: "host 10.1.2.3",
		"host router and not both": "host 10.1.2.3 and not (host 192.0.2.1 or host 2001:db8::1)", "host six": "host fe80::1",
		"ether host router": "ether host 00:00:5e:00:53:01", "gateway router": "ether host 00:00:5e:00:53:01 and not host 10.1.2.3",
		"host six and port http": "host fe80::1 and tcp port 80",
	}
	ps := packets(linkEthernet, 9, 1000)
	for expr, meaning := range same {
		a, b := mustCompile(t, expr, o), mustCompile(t, meaning, o)
		for _, p := range ps {
			if a.Match(p.data, p.wire, p.meta) != b.Match(p.data, p.wire, p.meta) {
				t.Errorf("%q is not %q on % x", expr, meaning, p.data)
				break
			}
		}
	}
	for _, expr := range []string{"host nosuch", "ip6 host router", "ip host six", "ether host nosuch", "gateway six", "net both", "port nosuch", "udp port http", "tcp gateway router"} {
		if _, err := Compile(expr, o); err == nil {
			t.Errorf("%q is not refused", expr)
		}
	}
	for _, expr := range []string{"host both", "port http", "ether host router", "gateway router"} {
		var e *Error
		if _, err := Compile(expr, Options{Link: linkEthernet}); !errors.As(err, &e) || e.Hint == "" {
			t.Errorf("%q without names: %v", expr, err)
		}
	}
}

// TestOnlyWhereKnown: what the packet's bytes do not tell is refused.
func TestOnlyWhereKnown(t *testing.T) {
	for _, expr := range []string{"inbound", "outbound", "ifindex 3"} {
		if _, err := Compile(expr, Options{Link: linkEthernet}); err == nil {
			t.Errorf("%q is not refused for a file", expr)
		}
		mustCompile(t, expr, Options{Link: linkSLL2})
	}
	if _, err := Compile("ip broadcast", Options{Link: linkEthernet}); err == nil {
		t.Error("ip broadcast without a netmask is not refused")
	}
	p := mustCompile(t, "ip broadcast", Options{Link: linkEthernet, Netmask: netip.MustParseAddr("255.255.255.0")})
	frame := func(last byte) []byte {
		return join(make([]byte, 12), u16(0x800), []byte{0x45, 0, 0, 20, 0, 0, 0, 0, 64, 6, 0, 0, 10, 0, 0, 1, 192, 0, 2, last})
	}
	for last, want := range map[byte]bool{0: true, 255: true, 1: false} {
		if p.Match(frame(last), 34, Meta{}) != want {
			t.Errorf("192.0.2.%d is %v", last, !want)
		}
	}
}

// TestBothByteOrders: a NULL header is in the order of the host that wrote it.
func TestBothByteOrders(t *testing.T) {
	ip4 := mustCompile(t, "ip", Options{Link: linkNull})
	ip6 := mustCompile(t, "ip6", Options{Link: linkNull})
	for _, c := range []struct {
		head     [4]byte
		is4, is6 bool
	}{
		{[4]byte{2}, true, false}, {[4]byte{0, 0, 0, 2}, true, false}, {[4]byte{24}, false, true}, {[4]byte{0, 0, 0, 30}, false, true},
		{[4]byte{28}, false, true}, {[4]byte{10}, false, true}, {[4]byte{7}, false, false},
	} {
		if ip4.Match(c.head[:], 4, Meta{}) != c.is4 || ip6.Match(c.head[:], 4, Meta{}) != c.is6 {
			t.Errorf("% x is read wrongly", c.head)
		}
	}
}

// TestNeverMatches: what cannot match is told apart from what is wrong.
func TestNeverMatches(t *testing.T) {
	for expr, link := range map[string]wire.LinkType{"arp": linkRaw, "ip6": linkIPv4, "tcp and udp": linkEthernet, "1 = 2": linkEthernet} {
		if _, err := Compile(expr, Options{Link: link}); !isNever(err) {
			t.Errorf("%q: %v", expr, err)
		}
	}
	if _, err := Compile("ether host 00:00:5e:00:53:01", Options{Link: linkRaw}); err == nil || isNever(err) {
		t.Errorf("ether on RAW: %v", err)
	}
	if _, err := Compile("tcp", Options{Link: 9999}); err == nil || isNever(err) {
		t.Errorf("an unknown link type: %v", err)
	}
	mustCompile(t, "link[0] = 1 and len > 5", Options{Link: 9999})
}

// TestProtochain: as tcpdump's, but for AH in IPv6, where tcpdump loses its
// place, and for chains longer than maxChain.
func TestProtochain(t *testing.T) {
	chain := func(headers ...byte) []byte {
		b := join(make([]byte, 12), u16(0x86dd), []byte{0x60, 0, 0, 0, 0, 0, headers[0], 64}, make([]byte, 32))
		for _, next := range headers[1:] {
			b = join(b, []byte{next, 0}, make([]byte, 6))
		}
		return join(b, make([]byte, 20))
	}
	tcp := mustCompile(t, "ip6 protochain 6", Options{Link: linkEthernet})
	for _, c := range []struct {
		headers []byte
		want    bool
	}{
		{[]byte{6}, true}, {[]byte{17}, false}, {[]byte{0, 6}, true}, {[]byte{0, 60, 43, 6}, true}, {[]byte{44, 17}, false},
		{[]byte{0, 0, 0, 0, 0, 0, 6}, true}, {[]byte{59, 6}, false}, {[]byte{50, 6}, false},
	} {
		b := chain(c.headers...)
		if got := tcp.Match(b, uint32(len(b)), Meta{}); got != c.want {
			t.Errorf("%v: %v", c.headers, got)
		}
	}
	ah := join(make([]byte, 12), u16(0x86dd), []byte{0x60, 0, 0, 0, 0, 0, 51, 64}, make([]byte, 32), []byte{6, 4}, make([]byte, 22), make([]byte, 20))
	if !tcp.Match(ah, uint32(len(ah)), Meta{}) {
		t.Error("TCP behind AH is not found")
	}
}
