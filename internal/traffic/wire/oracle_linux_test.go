package wire_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/portreeve/portreeve/internal/nettest"
	"github.com/portreeve/portreeve/internal/traffic/wire"
	"github.com/portreeve/portreeve/internal/traffic/wire/wiretest"
	"pgregory.net/rapid"
)

// told is what tshark and Decode are compared by.
type told struct {
	src, dst         netip.Addr
	proto            int
	srcPort, dstPort int // -1: none
}

func (a told) String() string {
	return fmt.Sprintf("%d %s:%d > %s:%d", a.proto, a.src, a.srcPort, a.dst, a.dstPort)
}

// decoded is what Decode tells of a frame.
func decoded(p *wire.Packet) told {
	if p.Kind != wire.KindIP {
		return told{}
	}
	a := told{wire.Addr(p.Src), wire.Addr(p.Dst), int(p.Proto), -1, -1}
	if p.HasPorts {
		a.srcPort, a.dstPort = int(p.SrcPort), int(p.DstPort)
	}
	return a
}

// The fields that tshark is asked for, every occurrence of each.
var fields = []string{
	"frame.protocols", "ip.src", "ip.dst", "ip.proto", "ipv6.src", "ipv6.dst", "ipv6.nxt",
	"tcp.srcport", "tcp.dstport", "udp.srcport", "udp.dstport", "sctp.srcport", "sctp.dstport",
	"dccp.srcport", "dccp.dstport", "ipv6.fraghdr.nxt", "ah.next_header",
}

// asked lets tshark dissect frames, without joining fragments or segments and
// without guesses, and gives its answer for each.
func asked(t *testing.T, frames []frame) []map[string][]string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "all.pcapng")
	if err := os.WriteFile(path, nextGenFile(frames), 0o600); err != nil {
		t.Fatal(err)
	}
	args := []string{"-n", "-r", path, "-T", "fields", "-E", "separator=/t", "-E", "occurrence=a", "-E", "aggregator= "}
	args = append(args, "-o", "ip.defragment:FALSE", "-o", "ipv6.defragment:FALSE", "-o", "tcp.desegment_tcp_streams:FALSE")
	args = append(args, "--enable-heuristic", "teredo_udp")
	for _, f := range fields {
		args = append(args, "-e", f)
	}
	var stderr bytes.Buffer
	cmd := exec.Command(nettest.Need(t, "tshark"), args...)
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("tshark: %v\n%s", err, stderr.String())
	}
	lines := strings.Split(strings.TrimSuffix(string(out), "\n"), "\n")
	if len(lines) != len(frames) {
		t.Fatalf("tshark tells of %d frames of %d\n%s", len(lines), len(frames), stderr.String())
	}
	answers := make([]map[string][]string, len(lines))
	for i, line := range lines {
		answers[i] = map[string][]string{}
		for k, v := range strings.Split(line, "\t") {
			answers[i][fields[k]] = strings.Fields(v)
		}
	}
	return answers
}

// nextGenFile writes a pcapng file with one interface for each link type.
func nextGenFile(frames []frame) []byte {
	le := binary.LittleEndian
	block := func(out []byte, kind uint32, body []byte) []byte {
		body = append(body, make([]byte, -len(body)&3)...)
		out = le.AppendUint32(out, kind)
		out = le.AppendUint32(out, uint32(len(body)+12))
		out = append(out, body...)
		return le.AppendUint32(out, uint32(len(body)+12))
	}
	section := le.AppendUint32(nil, 0x1a2b3c4d)
	section = le.AppendUint32(section, 1)
	section = le.AppendUint64(section, 1<<64-1)
	out := block(nil, 0x0a0d0d0a, section)
	ifaces := map[wire.LinkType]uint32{}
	for _, f := range frames {
		if _, ok := ifaces[f.link]; !ok {
			ifaces[f.link] = uint32(len(ifaces))
			out = block(out, 1, le.AppendUint32(le.AppendUint32(nil, uint32(f.link)), 0))
		}
		b := le.AppendUint32(nil, ifaces[f.link])
		b = append(b, 0, 0, 0, 0, 0, 0, 0, 0)
		b = le.AppendUint32(b, uint32(len(f.data)))
		b = le.AppendUint32(b, f.wire)
		out = block(out, 6, append(b, f.data...))
	}
	return out
}

// innermost reads from tshark's answer what the innermost IP packet is, that
// which an ICMP error quotes left aside.
func innermost(answer map[string][]string) told {
	at := map[string]int{}
	a := told{}
	number := func(field string) int {
		n, err := strconv.Atoi(answer[field][at[field]])
		at[field]++
		if err != nil {
			panic(err)
		}
		return n
	}
	text := func(field string) string {
		s := answer[field][at[field]]
		at[field]++
		return s
	}
	for _, proto := range strings.Split(strings.Join(answer["frame.protocols"], ""), ":") {
		switch proto {
		case "ip":
			if at["ip.src"] < len(answer["ip.src"]) {
				a = told{netip.MustParseAddr(text("ip.src")), netip.MustParseAddr(text("ip.dst")), number("ip.proto"), -1, -1}
			}
		case "ipv6":
			if at["ipv6.src"] < len(answer["ipv6.src"]) {
				a = told{netip.MustParseAddr(text("ipv6.src")), netip.MustParseAddr(text("ipv6.dst")), number("ipv6.nxt"), -1, -1}
			}
		case "tcp", "udp", "sctp", "dccp", "udplite":
			a.proto = map[string]int{"tcp": 6, "udp": 17, "sctp": 132, "dccp": 33, "udplite": 136}[proto]
			if proto == "udplite" {
				proto = "udp"
			}
			if at[proto+".srcport"] < len(answer[proto+".srcport"]) {
				a.srcPort, a.dstPort = number(proto+".srcport"), number(proto+".dstport")
			}
		case "esp", "igmp", "rsvp", "ospf":
			a.proto = map[string]int{"esp": 50, "igmp": 2, "rsvp": 46, "ospf": 89}[proto]
		case "ipv6.fraghdr":
			a.proto = number("ipv6.fraghdr.nxt")
		case "ah":
			a.proto = number("ah.next_header")
		case "icmp", "icmpv6":
			a.proto = map[string]int{"icmp": 1, "icmpv6": 58}[proto]
			return a
		}
	}
	return a
}

func TestAgreesWithTshark(t *testing.T) {
	// Bubbles with a trailer (RFC 6081), which tshark takes for no Teredo.
	bubbles := map[string]bool{
		"zeek/tunnels/teredo_bubble_with_payload.pcap 3": true,
		"zeek/tunnels/teredo_bubble_with_payload.pcap 6": true,
	}
	frames := slices.DeleteFunc(captured(t), func(f frame) bool {
		return bubbles[fmt.Sprint(f.file, " ", f.no)]
	})
	answers := asked(t, frames)
	var d wire.Decoder
	var p wire.Packet
	for i, f := range frames {
		d.Decode(f.link, f.data, f.wire, &p)
		if got, want := decoded(&p), innermost(answers[i]); got != want {
			t.Errorf("%s %d (link %s): %v (%v, %v), tshark %v %s", f.file, f.no, f.link, got, p.Kind, p.Problem, want, answers[i]["frame.protocols"])
		}
	}
}

// Random frames of every link type and tunnel are for tshark what they are
// for Decode, so that the builder and the decoder do not err together.
func TestBuiltFramesAgreeWithTshark(t *testing.T) {
	const many = 1500
	any := rapid.Custom(wiretest.Any)
	var frames []frame
	for i := range many {
		c := any.Example(i)
		if beyondTshark(c.Layers) {
			continue
		}
		frames = append(frames, frame{"built", i, c.Link, c.Frame, uint32(len(c.Frame))})
	}
	answers := asked(t, frames)
	var d wire.Decoder
	var p wire.Packet
	for i, f := range frames {
		d.Decode(f.link, f.data, f.wire, &p)
		if got, want := decoded(&p), innermost(answers[i]); got != want {
			t.Errorf("%d (link %s): %v %v, tshark %v %s", f.no, f.link, got, p.Tunnels, want, answers[i]["frame.protocols"])
		}
	}
	if len(frames) < many/10 {
		t.Errorf("only %d frames compared", len(frames))
	}
}

// beyondTshark tells stacks of which tshark 4.0 makes nothing (VXLAN on Linux'
// port, IP packets in ERSPAN, PPPoE in GRE and
// Cisco HDLC, a log of another byte order than
// the file), or a guess by hardware address (pseudowires), or that it reads to
// the last option, which is random here.
func beyondTshark(layers []wiretest.Layer) bool {
	for i, l := range layers {
		var next wiretest.Layer
		if i+1 < len(layers) {
			next = layers[i+1]
		}
		_, pppoe := next.(wiretest.PPPoE)
		_, frame := next.(wiretest.Ethernet)
		beyond := false
		switch l := l.(type) {
		case wiretest.Extension:
			beyond = len(l.Body) > 0 && string(l.Body) != "\x04\x01\x03" || l.Proto >= 135
		case wiretest.ControlWord:
			beyond = true
		case wiretest.UDP:
			beyond = l.DstPort == 8472
		case wiretest.ERSPAN:
			beyond = l.Type == 3 && !frame
		case wiretest.IPv4:
			beyond = len(l.Options) > 0
		case wiretest.GRE, wiretest.CHDLC:
			beyond = pppoe
		case wiretest.NFLog:
			beyond = l.Big
		}
		if beyond {
			return true
		}
	}
	return false
}

// Rare link types that tshark knows lead to the packet that it finds.
func TestRareLinksAgreeWithTshark(t *testing.T) {
	eth := wiretest.Frame(wiretest.Ethernet{}, i4, tcp)
	ip4, ip6 := wiretest.Frame(i4, tcp), wiretest.Frame(i6, tcp)
	with := func(link wire.LinkType, head string, rest []byte) frame {
		data := append([]byte(head), rest...)
		return frame{link.String(), 0, link, data, uint32(len(data))}
	}
	frames := []frame{
		with(wire.LinkFrameRelay, "\x18\x41\x03\xcc", ip4), with(wire.LinkFrameRelay, "\x18\x41\x03\x8e", ip6),
		with(wire.LinkFrameRelay, "\x18\x41\x03\x00\x80\x00\x00\x00\x08\x00", ip4),
		with(wire.LinkATMRFC1483, "\xaa\xaa\x03\x00\x00\x00\x08\x00", ip4),
		with(wire.LinkATMRFC1483, "\xaa\xaa\x03\x00\x80\xc2\x00\x07\x00\x00", eth),
		with(wire.LinkPPPWithDir, "\x01\xff\x03\x00\x57", ip6),
		with(wire.LinkPPPHDLC, "\x0f\x00\x86\xdd", ip6),
		with(wire.LinkPPPEther, "\x11\x00\x00\x07\x00\x2a\x00\x21", ip4),
		with(wire.LinkIPoIB, strings.Repeat("\x00", 40)+"\x08\x00\x00\x00", ip4),
		with(wire.LinkIPv4, "", ip4), with(wire.LinkIPv6, "", ip6), with(wire.LinkRaw, "", ip6),
		with(wire.LinkLoop, "\x00\x00\x00\x02", ip4), with(wire.LinkLoop, "\x00\x00\x00\x18", ip6),
		with(wire.LinkPPI, "\x00\x00\x14\x00\x69\x00\x00\x00\x02\x00\x08\x00\x00\x00\x00\x00\x00\x00\x00\x00", wiretest.Frame(wiretest.WiFi{QoS: true, HT: true}, wiretest.SNAP{}, i4, tcp)),
		with(wire.LinkPFLog, string(wiretest.Frame(wiretest.PFLog{}, i6))[:64], ip6),
	}
	answers := asked(t, frames)
	for i, f := range frames {
		var d wire.Decoder
		var p wire.Packet
		d.Decode(f.link, f.data, f.wire, &p)
		want := innermost(answers[i])
		if got := decoded(&p); got != want || got.dstPort != 443 {
			t.Errorf("%d %s: %v %v, tshark %v %s", i, f.link, got, p.Problem, want, answers[i]["frame.protocols"])
		}
	}
}
