package wire_test

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"github.com/portreeve/portreeve/internal/traffic/wire"
	"github.com/portreeve/portreeve/internal/traffic/wire/wiretest"
)

type stack = []wiretest.Layer

// The addresses and ports of the cases: o for what carries, i for inside.
var (
	o4 = wiretest.IPv4{Src: netip.MustParseAddr("10.0.0.1"), Dst: netip.MustParseAddr("10.0.0.2")}
	i4 = wiretest.IPv4{Src: netip.MustParseAddr("192.168.1.1"), Dst: netip.MustParseAddr("192.168.1.2")}
	i6 = wiretest.IPv6{Src: netip.MustParseAddr("2001:db8::1"), Dst: netip.MustParseAddr("2001:db8::2")}

	// An address of Teredo's.
	peer6   = wiretest.IPv6{Src: netip.MustParseAddr("2001::9"), Dst: i6.Dst}
	bubble6 = wiretest.IPv6{Src: peer6.Src, Dst: i6.Dst, Length: -1}

	tcp = wiretest.TCP{SrcPort: 40000, DstPort: 443, Flags: wiretest.SYN}
)

const (
	outside  = "10.0.0.1 > 10.0.0.2"
	inside4  = "192.168.1.1 > 192.168.1.2"
	inside6  = "2001:db8::1 > 2001:db8::2"
	tcpPorts = " 6 40000-443"
)

func udpTo(port uint16) wiretest.UDP { return wiretest.UDP{SrcPort: 50000, DstPort: port} }

func proto(ip wiretest.IPv4, n uint8) wiretest.IPv4 { ip.Proto = n; return ip }

// brief tells of a Packet what the cases are about.
func brief(p *wire.Packet) string {
	if p.Kind != wire.KindIP {
		return strings.TrimSpace([]string{"undecoded ", "", "other "}[p.Kind] + problem(p))
	}
	out := fmt.Sprintf("%s > %s %d", wire.Addr(p.Src), wire.Addr(p.Dst), p.Proto)
	if p.HasPorts {
		out += fmt.Sprintf(" %d-%d", p.SrcPort, p.DstPort)
	}
	if p.Depth > 0 {
		out += " in"
	}
	for _, t := range p.Tunnels[:min(int(p.Depth), len(p.Tunnels))] {
		out += " " + t.String()
	}
	return strings.TrimSpace(out + " " + problem(p))
}

func problem(p *wire.Packet) string {
	if p.Problem == wire.NoProblem {
		return ""
	}
	return "(" + p.Problem.String() + ")"
}

func TestCases(t *testing.T) {
	broken := wiretest.Bytes{0x42, 0, 0, 40}
	ethernet := wiretest.Ethernet{}
	cases := []struct {
		name   string
		layers stack
		want   string
	}{
		{"ARP", stack{ethernet, wiretest.ARP{}}, "other"},
		{"spanning tree", stack{wiretest.Ethernet{LLC: true}, wiretest.Bytes{0x42, 0x42, 3, 0, 0}}, "other"},
		{"tag, then LLC", stack{ethernet, wiretest.VLAN{Type: 60}, wiretest.SNAP{}, i4, tcp}, inside4 + tcpPorts},
		{"IP by its service access point", stack{wiretest.Ethernet{LLC: true}, wiretest.Bytes{6, 6, 3}, i4, tcp}, inside4 + tcpPorts},
		{"LLDP", stack{wiretest.Ethernet{Type: 0x88cc}, wiretest.Bytes{2, 7, 4}}, "other"},
		{"version 6 where 4 is said", stack{wiretest.Ethernet{Type: 0x0800}, i6, tcp}, "undecoded (bad IP header)"},
		{"total length below the header's", stack{ethernet, wiretest.IPv4{Length: 12}, tcp}, "undecoded (bad IP length)"},
		{"longer than the frame", stack{ethernet, longer(i4), tcp}, inside4 + tcpPorts + " (bad IP length)"},
		{"ESP", stack{ethernet, wiretest.IPv6{Src: i6.Src, Dst: i6.Dst, Next: 50}, wiretest.Bytes("cipher text")}, inside6 + " 50"},
		{"AH in IPv4", stack{ethernet, i4, wiretest.AH{ICV: make([]byte, 12)}, tcp}, inside4 + tcpPorts},
		{"AH that is too long", stack{ethernet, proto(i4, 51), wiretest.Bytes{6, 9, 0, 0, 0, 0, 0, 1}}, inside4 + " 51 (bad extension header)"},
		{"mobility message", stack{ethernet, i6, wiretest.Extension{Proto: 135, Body: []byte{0, 0, 1}}}, inside6 + " 135"},
		{"nothing follows", stack{ethernet, i6}, inside6 + " 59"},
		{"no length, padding only", stack{wiretest.Ethernet{Min: 60}, wiretest.IPv6{Src: i6.Src, Dst: i6.Dst, Next: 6}}, inside6 + " 6 (ends inside a header)"},
		{"TCP header length below 20", stack{ethernet, proto(i4, 6), wiretest.Bytes(wiretest.Frame(tcp)[:12]), wiretest.Bytes{0x10, 2, 0, 0, 0, 0, 0, 0}}, inside4 + tcpPorts + " (bad transport header)"},
		{"UDP length beyond the packet", stack{ethernet, i4, wiretest.UDP{SrcPort: 1, DstPort: 2, Length: 99}}, inside4 + " 17 1-2 (bad transport header)"},

		{"MACsec, signed only", stack{ethernet, wiretest.Tag{Type: 0x88e5, Body: make([]byte, 6)}, i4, tcp}, inside4 + tcpPorts},
		{"MACsec with SCI", stack{ethernet, wiretest.Tag{Type: 0x88e5, Body: append([]byte{0x20}, make([]byte, 13)...)}, i4, tcp}, inside4 + tcpPorts},
		{"MACsec, encrypted", stack{ethernet, wiretest.Tag{Type: 0x88e5, Body: append([]byte{0x2c}, make([]byte, 13)...)}, i4, tcp}, "other"},
		{"Cisco metadata", stack{ethernet, wiretest.Tag{Type: 0x8909, Body: make([]byte, 6)}, i4, tcp}, inside4 + tcpPorts},
		{"VN-Tag", stack{ethernet, wiretest.Tag{Type: 0x8926, Body: make([]byte, 4)}, i4, tcp}, inside4 + tcpPorts},
		{"802.1BR", stack{ethernet, wiretest.Tag{Type: 0x893f, Body: make([]byte, 6)}, i4, tcp}, inside4 + tcpPorts},
		{"802.1CB", stack{ethernet, wiretest.Tag{Type: 0xf1c1, Body: make([]byte, 4)}, i4, tcp}, inside4 + tcpPorts},
		{"802.1ah", stack{ethernet, wiretest.VLAN{TPID: 0x88a8}, wiretest.Tag{Type: 0x88e7, Body: make([]byte, 16)}, wiretest.VLAN{ID: 3}, i4, tcp}, inside4 + tcpPorts},

		{"PPP control in PPPoE", stack{ethernet, wiretest.PPPoE{}, wiretest.PPP{}, wiretest.Bytes{1, 1, 0, 4}}, "other"},
		{"PPPoE discovery", stack{wiretest.Ethernet{Type: 0x8863}, wiretest.Bytes{0x11, 9, 0, 0, 0, 0}}, "other"},
		{"PPP link control", stack{wiretest.PPP{}, wiretest.Bytes{1, 1, 0, 4}}, "other"},
		{"PPP protocol that cannot be", stack{wiretest.Header{Link: wire.LinkPPP, Body: []byte{0, 0x20, 0x45}}}, "undecoded (bad link header)"},
		{"pseudowire without control word", stack{ethernet, wiretest.MPLS{}, wiretest.Ethernet{Dst: [6]byte{0x00, 0x1b}}, i4, tcp}, inside4 + tcpPorts + " in mpls"},
		{"pseudowire, address like IPv4", stack{ethernet, wiretest.MPLS{}, wiretest.Ethernet{Dst: [6]byte{0x45, 0x1b}}, i4, tcp}, inside4 + tcpPorts + " in mpls"},
		{"pseudowire, address like IPv6", stack{ethernet, wiretest.MPLS{}, wiretest.Ethernet{Dst: [6]byte{0x66, 0x1b, 0, 0, 0xff}}, i6, tcp}, inside6 + tcpPorts + " in mpls"},
		{"pseudowire's own control", stack{ethernet, wiretest.MPLS{}, wiretest.Bytes{0x10, 0, 0, 7}}, "other"},
		{"too many labels", stack{wiretest.Ethernet{Type: 0x8847}, wiretest.Bytes(make([]byte, 200))}, "undecoded (too many headers)"},

		{"ARP in VXLAN", stack{ethernet, o4, udpTo(4789), wiretest.VXLAN{}, ethernet, wiretest.ARP{}}, outside + " 17 50000-4789"},
		{"a DNS answer to VXLAN's port", stack{ethernet, o4, wiretest.UDP{SrcPort: 53, DstPort: 4789}, wiretest.Bytes("\xab\xcd\x81\x80\x00\x01\x00\x01\x00\x00\x00\x00\x07example\x03com\x00\x00\x01\x00\x01")}, outside + " 17 53-4789"},
		{"VXLAN with a group policy", stack{ethernet, o4, udpTo(4789), wiretest.VXLAN{Policy: true}, ethernet, i4, tcp}, inside4 + tcpPorts + " in vxlan"},
		{"VXLAN-GPE, all of it", stack{ethernet, o4, udpTo(4790), wiretest.VXLAN{GPE: true}, wiretest.NSH{}, ethernet, i4, tcp}, inside4 + tcpPorts + " in vxlan nsh"},
		{"VXLAN answered from its port", stack{ethernet, o4, wiretest.UDP{SrcPort: 4789, DstPort: 50000}, wiretest.VXLAN{}, ethernet, i4, tcp}, inside4 + tcpPorts + " in vxlan"},
		{"broken packet in GRE", stack{ethernet, o4, wiretest.GRE{Type: 0x0800}, broken, wiretest.Bytes(make([]byte, 40))}, outside + " 47 (unreadable inside a tunnel)"},
		{"no IP in GRE", stack{ethernet, o4, wiretest.GRE{Type: 0x00fe}, wiretest.Bytes(make([]byte, 40))}, outside + " 47"},
		{"GRE keepalive", stack{ethernet, o4, wiretest.GRE{}}, outside + " 47"},
		{"GRE with source routes", stack{ethernet, o4, wiretest.GRE{Checksum: true, Key: true, Sequence: true, Routes: [][]byte{{1, 2, 3, 4}, {5, 6, 7, 8}}}, i6, tcp}, inside6 + tcpPorts + " in gre"},
		{"GRE version 2", stack{ethernet, proto(o4, 47), wiretest.Bytes{0, 2, 8, 0}}, outside + " 47 (unreadable inside a tunnel)"},
		{"WCCP version 2", stack{ethernet, o4, wiretest.GRE{Type: 0x883e}, wiretest.Bytes{0, 0, 0, 0}, i4, tcp}, inside4 + tcpPorts + " in gre"},
		{"PPTP, encrypted", stack{ethernet, o4, wiretest.PPTP{}, wiretest.Bytes{0xfd, 0x90, 1, 2, 3}}, outside + " 47"},
		{"PPTP, acknowledgement alone", stack{ethernet, proto(o4, 47), wiretest.Bytes{0x20, 0x81, 0x88, 0x0b, 0, 0, 0, 7, 0, 0, 0, 1}}, outside + " 47"},
		{"GTP-U echo", stack{ethernet, o4, udpTo(2152), wiretest.Bytes{0x32, 1, 0, 4, 0, 0, 0, 0, 0, 1, 0, 0}}, outside + " 17 50000-2152"},
		{"GTP-U of another kind of session", stack{ethernet, o4, udpTo(2152), wiretest.GTPU{}, wiretest.Bytes{0xff, 3, 0, 0x21}}, outside + " 17 50000-2152"},
		{"L2TP control", stack{ethernet, o4, udpTo(1701), wiretest.Bytes{0xc8, 2, 0, 12, 0, 0, 0, 0, 0, 0, 0, 0}}, outside + " 17 50000-1701"},
		{"L2TP version 3", stack{ethernet, o4, wiretest.L2TPv3{}, ethernet, i4, tcp}, inside4 + tcpPorts + " in l2tp"},
		{"L2TP version 3, cookie and sublayer", stack{ethernet, o4, wiretest.L2TPv3{Between: []byte("cookie__sub_")}, ethernet, i6, tcp}, inside6 + tcpPorts + " in l2tp"},
		{"L2TP version 3 over UDP", stack{ethernet, o4, udpTo(1701), wiretest.L2TPv3{UDP: true, Between: []byte("cook")}, wiretest.Ethernet{Min: 60}, i4, tcp}, inside4 + tcpPorts + " in l2tp"},
		{"L2TP version 3 of no known frame", stack{ethernet, o4, wiretest.L2TPv3{}, wiretest.Bytes(make([]byte, 80))}, outside + " 115"},
		{"EtherIP of another version", stack{ethernet, proto(o4, 97), wiretest.Bytes(make([]byte, 80))}, outside + " 97 (unreadable inside a tunnel)"},
		{"Teredo's server, router solicitation", stack{ethernet, o4, udpTo(3544), wiretest.Teredo{Authentication: true}, i6, wiretest.ICMPv6{Type: 133}}, inside6 + " 58 in teredo"},
		{"no Teredo", stack{ethernet, o4, udpTo(3544), wiretest.Bytes("`hello, this is no IPv6 packet, though it begins like one")}, outside + " 17 50000-3544"},
		{"Teredo between peers", stack{ethernet, o4, udpTo(32900), peer6, tcp}, "2001::9 > 2001:db8::2" + tcpPorts + " in teredo"},
		{"Teredo's bubble, length 0", stack{ethernet, o4, udpTo(32900), bubble6, wiretest.Bytes("1234")}, "2001::9 > 2001:db8::2 59 in teredo"},
		{"IPv6 in UDP, no Teredo", stack{ethernet, o4, udpTo(32900), i6, tcp}, outside + " 17 50000-32900"},
		{"MPLS in UDP, not believed", stack{ethernet, o4, udpTo(6635), wiretest.Bytes("\x00\x01\x01\x40something that is neither a frame nor a packet")}, outside + " 17 50000-6635"},

		{"encrypted 802.11", stack{wiretest.WiFi{Protected: true}, wiretest.SNAP{}, i4, tcp}, "other"},
		{"802.11 beacon", stack{wiretest.Header{Link: wire.Link80211, Body: append([]byte{0x80}, make([]byte, 40)...)}}, "other"},
		{"802.11 without data", stack{wiretest.Header{Link: wire.Link80211, Body: append([]byte{0x48, 1}, make([]byte, 40)...)}}, "other"},
		{"unknown link type", stack{wiretest.Header{Link: 189, Body: make([]byte, 64)}, i4, tcp}, "undecoded (unknown link type)"},
		{"frame relay with direction", stack{wiretest.Header{Link: wire.LinkFRelayWithDir, Body: []byte{1, 0x18, 0x41, 3, 0xcc}}, i4, tcp}, inside4 + tcpPorts},
		{"PPP of pppd", stack{wiretest.Header{Link: wire.LinkPPPPPPD, Body: []byte{0, 3, 0, 0x21}}, i4, tcp}, inside4 + tcpPorts},
		{"Cisco HDLC with direction", stack{wiretest.Header{Link: wire.LinkCHDLCWithDir, Body: []byte{0, 0x0f, 0, 8, 0}}, i4, tcp}, inside4 + tcpPorts},
		{"MPLS as a link", stack{wiretest.MPLS{Label: 0}, i4, tcp}, inside4 + tcpPorts + " in mpls"},
		{"netANALYZER", stack{wiretest.Header{Link: wire.LinkNetAnalyzer, Body: make([]byte, 4)}, ethernet, i4, tcp}, inside4 + tcpPorts},
		{"netANALYZER with preamble", stack{wiretest.Header{Link: wire.LinkNetAnalyzerT, Body: make([]byte, 12)}, ethernet, i4, tcp}, inside4 + tcpPorts},
		{"PPI in PPI", stack{wiretest.PPI{}, wiretest.PPI{}, ethernet, i4, tcp}, "undecoded (bad link header)"},
		{"netlink in a cooked frame", stack{wiretest.SLL{ARPHRD: 824}, i4, tcp}, "other"},
		{"802.11 in a cooked frame", stack{wiretest.SLL2{ARPHRD: 803}, wiretest.Radiotap{}, wiretest.WiFi{}, wiretest.SNAP{}, i4, tcp}, inside4 + tcpPorts},
		{"LLC in a cooked frame", stack{wiretest.Header{Link: wire.LinkLinuxSLL, Body: append(make([]byte, 15), 4)}, wiretest.SNAP{}, i4, tcp}, inside4 + tcpPorts},
	}
	for _, c := range cases {
		if got := brief(decode(c.layers...)); got != c.want {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
}

func longer(ip wiretest.IPv4) wiretest.IPv4 { ip.Length = 1500; return ip }

func decode(layers ...wiretest.Layer) *wire.Packet {
	var d wire.Decoder
	var p wire.Packet
	frame := wiretest.Frame(layers...)
	d.Decode(wiretest.LinkOf(layers...), frame, uint32(len(frame)), &p)
	return &p
}
