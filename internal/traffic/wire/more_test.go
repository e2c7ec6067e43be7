package wire_test

import (
	"testing"

	"github.com/portreeve/portreeve/internal/traffic/wire"
	"github.com/portreeve/portreeve/internal/traffic/wire/wiretest"
)

// A packet that does not tell its length (segmentation offload) is as long as
// it was on the wire, however little was stored.
func TestOffloadedLength(t *testing.T) {
	const payload, stored = 9000, 100
	four, six := i4, i6
	four.Length, six.Length = -1, -1
	for version, ip := range map[uint32]wiretest.Layer{20: four, 40: six} {
		frame := wiretest.Frame(wiretest.Ethernet{}, ip, tcp, wiretest.Bytes(make([]byte, payload)))
		var d wire.Decoder
		var p wire.Packet
		d.Decode(wire.LinkEthernet, frame[:stored], uint32(len(frame)), &p)
		if p.IPLen != version+20+payload || p.PayloadLen != payload || p.DstPort != 443 || p.Problem != wire.NoProblem {
			t.Errorf("header of %d: %d, payload %d, %v", version, p.IPLen, p.PayloadLen, p.Problem)
		}
		if len(p.Payload) != stored-14-int(version)-20 {
			t.Errorf("header of %d: %d of the payload", version, len(p.Payload))
		}
	}
}

func TestJumbogram(t *testing.T) {
	const payload = 70000
	ip := i6
	ip.Length = -1
	length := 8 + 20 + payload
	option := []byte{0xc2, 4, byte(length >> 24), byte(length >> 16), byte(length >> 8), byte(length)}
	p := decode(wiretest.Ethernet{}, ip, wiretest.Extension{Proto: 0, Body: option}, tcp, wiretest.Bytes(make([]byte, payload)), wiretest.Bytes("trailer"))
	if p.IPLen != uint32(40+length) || p.PayloadLen != payload || p.DstPort != 443 {
		t.Errorf("%d, payload %d, %s", p.IPLen, p.PayloadLen, brief(p))
	}
}

func TestManyTags(t *testing.T) {
	for _, c := range []struct {
		tags int
		want string
	}{{0, inside4 + tcpPorts}, {10, inside4 + tcpPorts}, {16, inside4 + tcpPorts}, {17, "undecoded (too many headers)"}} {
		layers := stack{wiretest.Ethernet{}}
		for i := range c.tags {
			layers = append(layers, wiretest.VLAN{ID: uint16(100 + i), Priority: 7})
		}
		p := decode(append(layers, i4, tcp)...)
		if brief(p) != c.want || c.tags == 10 && (p.VLANCount != 10 || p.VLANs != [2]uint16{100, 101}) {
			t.Errorf("%d tags: %s, %d, %v", c.tags, brief(p), p.VLANCount, p.VLANs)
		}
	}
}

func TestAddVLAN(t *testing.T) {
	p := decode(wiretest.Ethernet{}, wiretest.VLAN{ID: 7}, i4, tcp)
	p.AddVLAN(0xe000 | 5)
	if p.VLANs != [2]uint16{5, 7} || p.VLANCount != 2 {
		t.Errorf("%v, %d", p.VLANs, p.VLANCount)
	}
	for range 300 {
		p.AddVLAN(1)
	}
	if p.VLANCount != 255 {
		t.Errorf("%d tags", p.VLANCount)
	}
}

// Sixteen tunnels are entered; the packet in the seventeenth is not.
func TestManyTunnels(t *testing.T) {
	for _, c := range []struct {
		tunnels int
		problem wire.Problem
		depth   uint8
		proto   uint8
	}{{15, 0, 15, 6}, {16, 0, 16, 6}, {17, wire.TooDeep, 16, 47}, {300, wire.TooDeep, 16, 47}} {
		layers := stack{wiretest.Ethernet{}}
		for range c.tunnels {
			layers = append(layers, o4, wiretest.GRE{})
		}
		p := decode(append(layers, i4, tcp)...)
		if p.Problem != c.problem || p.Depth != c.depth || p.Proto != c.proto || wire.Addr(p.OuterSrc) != o4.Src {
			t.Errorf("%d tunnels: %s, depth %d", c.tunnels, brief(p), p.Depth)
		}
	}
}

// The first fragment of a tunnel's packet is entered, though what it carries
// ends in the next one; later fragments cannot be.
func TestFragmentedTunnel(t *testing.T) {
	inner := wiretest.Frame(wiretest.GRE{}, i4, tcp, wiretest.Bytes(make([]byte, 2000)))
	first := wiretest.IPv4{Src: o4.Src, Dst: o4.Dst, Proto: 47, ID: 77, More: true}
	p := decode(wiretest.Ethernet{}, first, wiretest.Bytes(inner[:1480]))
	if p.CarrierVersion != 4 || p.CarrierProto != 47 || p.CarrierID != 77 || wire.Addr(p.OuterSrc) != o4.Src {
		t.Errorf("whose fragments hold the rest is not told: %+v", p)
	}
	if brief(p) != inside4+tcpPorts+" in gre" || p.IPLen != 2040 || p.IsFragment {
		t.Errorf("%s, %d", brief(p), p.IPLen)
	}
	later := wiretest.IPv4{Src: o4.Src, Dst: o4.Dst, Proto: 47, FragOffset: 1480}
	p = decode(wiretest.Ethernet{}, later, wiretest.Bytes(inner[1480:]))
	if brief(p) != outside+" 47" || !p.IsFragment || p.FragOffset != 1480 || p.PayloadLen != uint32(len(inner)-1480) {
		t.Errorf("%s, %+v", brief(p), p)
	}
}

// An error quotes what its sender sent: of a tunnel's packet the outermost.
func TestQuote(t *testing.T) {
	quoted := wiretest.Bytes(wiretest.Frame(o4, udpTo(4789), wiretest.VXLAN{}, wiretest.Ethernet{}, i4, tcp))
	p := decode(wiretest.Ethernet{}, i4, wiretest.ICMP{Type: 3, Code: 3}, quoted)
	if q := p.Quote; !p.HasQuote || q.Proto != 17 || q.DstPort != 4789 || wire.Addr(q.Src) != o4.Src {
		t.Errorf("%+v", q)
	}
	fragment := wiretest.IPv4{Src: o4.Src, Dst: o4.Dst, Proto: 17, FragOffset: 1480}
	p = decode(wiretest.Ethernet{}, i4, wiretest.ICMP{Type: 11}, fragment, wiretest.Bytes("12345678"))
	if q := p.Quote; !p.HasQuote || q.HasPorts || wire.Addr(q.Dst) != o4.Dst {
		t.Errorf("fragment: %+v", q)
	}
	p = decode(wiretest.Ethernet{}, i6, wiretest.ICMPv6{Type: 1}, i6, wiretest.Fragment{Offset: 8}, wiretest.Bytes("12345678"))
	if q := p.Quote; !p.HasQuote || q.HasPorts {
		t.Errorf("IPv6 fragment: %+v", q)
	}
	for n := range len(quoted) {
		p = decode(wiretest.Ethernet{}, i4, wiretest.ICMP{Type: 3, Code: 3}, quoted[:n])
		if p.HasQuote != (n >= 20) || p.Quote.HasPorts != (n >= 24) {
			t.Errorf("%d bytes: %+v", n, p.Quote)
		}
	}
}

// Address family numbers of every system, in either byte order.
func TestFamilies(t *testing.T) {
	for _, six := range []uint32{10, 23, 24, 26, 28, 30} {
		for _, big := range []bool{false, true} {
			if got := brief(decode(wiretest.Null{Six: six, Big: big}, i6, tcp)); got != inside6+tcpPorts {
				t.Errorf("family %d, big %v: %s", six, big, got)
			}
		}
	}
	if got := brief(decode(wiretest.Null{}, wiretest.ARP{})); got != "other" {
		t.Errorf("OSI: %s", got)
	}
}

// Many extension headers are stepped over, endless ones are not.
func TestManyExtensions(t *testing.T) {
	for n, want := range map[int]string{64: inside6 + tcpPorts, 65: inside6 + " 60 (too many headers)"} {
		layers := stack{wiretest.Ethernet{}, i6}
		for range n {
			layers = append(layers, wiretest.Extension{Proto: 60})
		}
		if got := brief(decode(append(layers, tcp)...)); got != want {
			t.Errorf("%d extensions: %s", n, got)
		}
	}
}

func TestNames(t *testing.T) {
	seen := map[string]bool{}
	for i := range 16 {
		name := wire.Tunnel(i).String()
		if seen[name] || name == "" {
			t.Errorf("tunnel %d: %q", i, name)
		}
		seen[name] = true
	}
	for i := range 11 {
		name := wire.Problem(i).String()
		if seen[name] && i > 0 || name == "" {
			t.Errorf("problem %d: %q", i, name)
		}
		seen[name] = true
	}
	if wire.NSH.String() != "nsh" || wire.SixInFour.String() != "6in4" || wire.Tunnel(99).String() != "tunnel 99" {
		t.Error(wire.NSH, wire.SixInFour, wire.Tunnel(99))
	}
	if wire.LinkLinuxSLL2.String() != "LINUX_SLL2" || wire.LinkType(189).String() != "189" || wire.LinkPKTAP.String() != "PKTAP" {
		t.Error(wire.LinkLinuxSLL2, wire.LinkType(189), wire.LinkPKTAP)
	}
}
