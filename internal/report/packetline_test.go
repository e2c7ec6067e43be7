package report

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/portreeve/portreeve/internal/traffic/capture"
	"github.com/portreeve/portreeve/internal/traffic/wire"
	"github.com/portreeve/portreeve/internal/traffic/wire/wiretest"
)

type framed struct {
	c capture.Packet
	p wire.Packet
}

func frameOf(stored int, layers ...wiretest.Layer) framed {
	d := wiretest.Frame(layers...)
	f := framed{c: capture.Packet{Data: d, Wire: uint32(len(d)), Time: 1e18 + 123456789, Link: wire.LinkEthernet}}
	if stored > 0 {
		f.c.Data = d[:stored]
	}
	new(wire.Decoder).Decode(f.c.Link, f.c.Data, f.c.Wire, &f.p)
	return f
}

// pagePackets are packets of every kind that a line tells apart.
func pagePackets() []framed {
	a, b := netip.MustParseAddr("10.0.0.1"), netip.MustParseAddr("192.168.100.200")
	c, d := netip.MustParseAddr("2001:db8:1234:5678:9abc:def0:1111:2222"), netip.MustParseAddr("fe80::1")
	eth := wiretest.Ethernet{Src: [6]byte{2, 0, 0, 0, 0, 0xa}, Dst: [6]byte{2, 0, 0, 0, 0, 0xb}}
	v4, v6 := wiretest.IPv4{Src: a, Dst: b}, wiretest.IPv6{Src: c, Dst: d}
	tcp := func(flags uint16) wiretest.TCP {
		return wiretest.TCP{SrcPort: 40000, DstPort: 443, Flags: flags, Seq: 4294967295, Ack: 1, Window: 65535}
	}
	udp := wiretest.UDP{SrcPort: 5353, DstPort: 53}
	quoted := wiretest.Bytes(wiretest.Frame(wiretest.IPv4{Src: b, Dst: a}, udp, wiretest.Bytes("12345678")))
	tagged := frameOf(0, eth, wiretest.VLAN{ID: 7}, wiretest.VLAN{ID: 8}, v4, tcp(wiretest.SYN))
	tagged.p.AddVLAN(0xe009)
	return []framed{
		frameOf(0, eth, v4, tcp(wiretest.SYN)),
		frameOf(0, eth, v4, tcp(0x1ff), wiretest.Bytes("hello")),
		frameOf(0, eth, v6, tcp(0)),
		frameOf(0, eth, v4, udp, wiretest.Bytes("hello")),
		frameOf(0, eth, v6, udp),
		frameOf(0, eth, v4, wiretest.UDPLite{SrcPort: 1, DstPort: 65535}),
		frameOf(0, eth, v4, wiretest.SCTP{SrcPort: 1, DstPort: 2, Chunk: 1}),
		frameOf(0, eth, v4, wiretest.DCCP{SrcPort: 1, DstPort: 2}),
		frameOf(0, eth, v4, wiretest.ICMP{Type: 8, ID: 7}),
		frameOf(0, eth, v4, wiretest.ICMP{Type: 3, Code: 3}, quoted),
		frameOf(0, eth, v6, wiretest.ICMPv6{Type: 128}),
		frameOf(0, eth, v4, wiretest.Other{Proto: 89}, wiretest.Bytes("12345678")),
		frameOf(0, eth, wiretest.IPv4{Src: a, Dst: b, More: true, ID: 77}, udp, wiretest.Bytes("12345678")),
		frameOf(0, eth, wiretest.IPv4{Src: a, Dst: b, FragOffset: 1480, ID: 77, Proto: 17}, wiretest.Bytes("12345678")),
		frameOf(0, eth, v4, wiretest.GRE{}, wiretest.IPv4{Src: b, Dst: a}, tcp(wiretest.SYN|wiretest.ACK)),
		frameOf(0, eth, v4, wiretest.UDP{SrcPort: 9, DstPort: 4789}, wiretest.VXLAN{VNI: 5}, eth, v6, tcp(wiretest.RST)),
		frameOf(0, eth, wiretest.MPLS{Label: 9}, v4, udp),
		tagged,
		frameOf(0, eth, wiretest.ARP{}),
		frameOf(0, wiretest.Ethernet{Type: 0x88cc}, wiretest.Bytes("lldp")),
		frameOf(0, wiretest.Ethernet{Type: 0xabcd}, wiretest.Bytes("what")),
		frameOf(20, eth, v4, tcp(wiretest.SYN)),
		frameOf(40, eth, v4, tcp(wiretest.SYN)),
		frameOf(60, eth, v4, udp, wiretest.Bytes(strings.Repeat("x", 1000))),
		frameOf(0, wiretest.Bytes("short")),
	}
}

// The lines and JSON of packets as people see them.
func TestPacketLines(t *testing.T) {
	for _, verbose := range []bool{false, true} {
		l := PacketLines{Verbose: verbose, Zone: time.UTC}
		var page []byte
		for _, f := range pagePackets() {
			page = l.Append(page, &f.c, &f.p)
		}
		name := "packets"
		if verbose {
			name = "packets-v"
		}
		golden(t, name, string(page))
		checkPage(t, string(page), 1<<20)
	}
	var lines []byte
	for _, f := range pagePackets() {
		lines = AppendPacketJSON(lines, &f.c, &f.p)
	}
	golden(t, "packets-json", string(lines))
}

// A packet's JSON says what encoding/json says of its fields.
func TestPacketJSON(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		one := wiretest.Any(t)
		data := wiretest.Frame(one.Layers...)
		stored := rapid.IntRange(0, len(data)).Draw(t, "stored")
		f := framed{c: capture.Packet{Data: data[:stored], Wire: uint32(len(data)), Time: rapid.Int64().Draw(t, "time"), Link: one.Link}}
		new(wire.Decoder).Decode(f.c.Link, f.c.Data, f.c.Wire, &f.p)
		sameJSON(t, AppendPacketJSON(nil, &f.c, &f.p), packetTwin(&f.c, &f.p))
	})
}

func packetTwin(c *capture.Packet, p *wire.Packet) object {
	o := object{"time": momentOf(c.Time), "bytes": c.Wire, "stored": len(c.Data)}
	if p.VLANCount > 0 {
		o["vlan"] = p.VLANs[0]
	}
	if p.Problem != wire.NoProblem {
		o["problem"] = p.Problem.String()
	}
	if p.Kind == wire.KindOther {
		o["other"] = string(appendOther(nil, p)) // its words are in the golden file
	}
	if p.Kind != wire.KindIP {
		return o
	}
	o["proto"], o["src"], o["dst"], o["payload"], o["ttl"] = protoOf(p.Proto), ipOf(p.Src), ipOf(p.Dst), p.PayloadLen, p.TTL
	if p.HasPorts {
		o["src_port"], o["dst_port"] = p.SrcPort, p.DstPort
	}
	if p.HasTCP && p.Proto == 6 {
		o["flags"], o["seq"], o["ack"], o["window"] = flagTwin(p.Flags), p.Seq, p.Ack, p.Window
	}
	if p.HasICMP {
		o["type"], o["code"] = p.ICMPType, p.ICMPCode
	}
	if p.IsFragment {
		o["fragment_offset"] = p.FragOffset
	}
	if p.Depth > 0 {
		o["tunnels"] = tunnelNames(p.Tunnels[:min(6, p.Depth)])
	}
	return o
}

func flagTwin(flags uint16) (out string) {
	for i, letter := range "FSRP.UEWe" {
		if flags>>i&1 == 1 {
			out += string(letter)
		}
	}
	if out == "" {
		return "none"
	}
	return out
}

func TestPacketLinesAllocateNothing(t *testing.T) {
	packets := pagePackets()
	l := PacketLines{Verbose: true}
	buf := make([]byte, 0, 4<<10)
	for i, f := range packets {
		if n := testing.AllocsPerRun(50, func() {
			f.c.Time += 1e9 // another second each time
			buf = l.Append(buf[:0], &f.c, &f.p)
			buf = AppendPacketJSON(buf[:0], &f.c, &f.p)
		}); n > 0 {
			t.Errorf("%.0f allocations for packet %d: %s", n, i, l.Append(nil, &f.c, &f.p))
		}
	}
}

// The times of a line are those of its zone, whatever second comes after
// which.
func TestTimeOfDay(t *testing.T) {
	l := PacketLines{Zone: time.FixedZone("x", -(3*3600 + 1800))}
	rapid.Check(t, func(t *rapid.T) {
		ns := rapid.OneOf(rapid.Int64(), rapid.Int64Range(-3e9, 3e9)).Draw(t, "ns")
		if got, want := string(l.appendTime(nil, ns)), time.Unix(0, ns).In(l.Zone).Format("15:04:05.000000"); got != want {
			t.Fatalf("%d: %s, want %s", ns, got, want)
		}
	})
}
