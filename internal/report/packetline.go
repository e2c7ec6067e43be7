package report

import (
	"net/netip"
	"strconv"
	"time"

	"github.com/portreeve/portreeve/internal/traffic/capture"
	"github.com/portreeve/portreeve/internal/traffic/wire"
)

// PacketLines writes packets as lines of text: time of day, protocol, who to
// whom, how much, in the manner of tcpdump -nq. It is fast enough to keep up
// with a disk: nothing is allocated per line.
type PacketLines struct {
	// Verbose adds header fields, the frame's addresses and its length.
	Verbose bool
	// Zone is the time of day's; nil: local.
	Zone *time.Location

	second int64 // whose text day holds
	known  bool
	day    [8]byte
}

// Append adds the line of one packet, newline included.
func (l *PacketLines) Append(dst []byte, c *capture.Packet, p *wire.Packet) []byte {
	dst = append(l.appendTime(dst, c.Time), ' ')
	if l.Verbose {
		dst = appendFrame(dst, p)
	}
	switch p.Kind {
	case wire.KindIP:
		dst = l.appendIP(dst, p)
	case wire.KindOther:
		dst = appendOther(dst, p)
	default:
		dst = append(dst, "undecoded ("...)
		dst = append(append(dst, p.Problem.String()...), ')')
	}
	if l.Verbose || p.Kind != wire.KindIP {
		dst = append(dst, " frame "...)
		dst = strconv.AppendUint(dst, uint64(c.Wire), 10)
		if c.Truncated() {
			dst = append(dst, " stored "...)
			dst = strconv.AppendUint(dst, uint64(len(c.Data)), 10)
		}
	}
	return append(dst, '\n')
}

// appendTime writes HH:MM:SS.micros. The seconds' text is kept: a second has
// many packets.
func (l *PacketLines) appendTime(dst []byte, ns int64) []byte {
	sec, frac := ns/1e9, ns%1e9
	if frac < 0 {
		sec, frac = sec-1, frac+1e9
	}
	if !l.known || sec != l.second {
		t := time.Unix(sec, 0)
		if l.Zone != nil {
			t = t.In(l.Zone)
		}
		t.AppendFormat(l.day[:0], time.TimeOnly)
		l.second, l.known = sec, true
	}
	dst = append(append(dst, l.day[:]...), '.')
	return appendDigits(dst, uint64(frac/1e3), 6)
}

// appendDigits writes n digits, zeros first.
func appendDigits(dst []byte, v uint64, n int) []byte {
	for range n {
		dst = append(dst, '0')
	}
	for i := len(dst) - 1; v > 0; i-- {
		dst[i] = byte('0' + v%10)
		v /= 10
	}
	return dst
}

func (l *PacketLines) appendIP(dst []byte, p *wire.Packet) []byte {
	dst = append(appendProto(dst, p.Proto), ' ')
	dst = appendPacketEnd(dst, p.Src, p.SrcPort, p.HasPorts)
	dst = append(dst, " > "...)
	dst = appendPacketEnd(dst, p.Dst, p.DstPort, p.HasPorts)
	dst = append(dst, ':')
	dst = appendTransport(dst, p)
	dst = append(dst, " len "...)
	dst = strconv.AppendUint(dst, uint64(p.PayloadLen), 10)
	if l.Verbose {
		dst = appendDetails(dst, p)
	}
	if p.Depth > 0 {
		dst = appendTunnels(dst, p)
	}
	if p.Problem != wire.NoProblem {
		dst = append(append(append(dst, " ("...), p.Problem.String()...), ')')
	}
	return dst
}

func appendTransport(dst []byte, p *wire.Packet) []byte {
	switch {
	case p.HasTCP && p.Proto == protoTCP:
		dst = append(dst, " ["...)
		dst = append(appendTCPFlags(dst, p.Flags), ']')
	case p.HasICMP:
		dst = append(dst, " type "...)
		dst = strconv.AppendUint(dst, uint64(p.ICMPType), 10)
		dst = append(dst, " code "...)
		dst = strconv.AppendUint(dst, uint64(p.ICMPCode), 10)
		if p.HasQuote {
			dst = appendQuote(dst, p)
		}
	case p.IsFragment && p.FragOffset > 0:
		dst = append(dst, " fragment at "...)
		dst = strconv.AppendUint(dst, uint64(p.FragOffset), 10)
	}
	return dst
}

// appendQuote tells whose packet an ICMP error speaks of.
func appendQuote(dst []byte, p *wire.Packet) []byte {
	q := &p.Quote
	dst = append(dst, " about "...)
	dst = append(appendProto(dst, q.Proto), ' ')
	dst = appendPacketEnd(dst, q.Src, q.SrcPort, q.HasPorts)
	dst = append(dst, " > "...)
	return appendPacketEnd(dst, q.Dst, q.DstPort, q.HasPorts)
}

// TCP flags in the order in which tcpdump shows them (RFC 9293, 3168, 9768).
var tcpFlagLetters = [...]struct {
	bit    uint16
	letter byte
}{{0x01, 'F'}, {0x02, 'S'}, {0x04, 'R'}, {0x08, 'P'}, {0x10, '.'}, {0x20, 'U'}, {0x40, 'E'}, {0x80, 'W'}, {0x100, 'e'}}

func appendTCPFlags(dst []byte, flags uint16) []byte {
	if flags&0x1ff == 0 {
		return append(dst, "none"...)
	}
	for _, f := range tcpFlagLetters {
		if flags&f.bit != 0 {
			dst = append(dst, f.letter)
		}
	}
	return dst
}

func appendDetails(dst []byte, p *wire.Packet) []byte {
	if p.HasTCP && p.Proto == protoTCP {
		dst = appendNumber(dst, " seq ", uint64(p.Seq))
		dst = appendNumber(dst, " ack ", uint64(p.Ack))
		dst = appendNumber(dst, " win ", uint64(p.Window))
	}
	dst = appendNumber(dst, " ttl ", uint64(p.TTL))
	if p.TOS != 0 {
		dst = appendNumber(dst, " tos ", uint64(p.TOS))
	}
	if p.ID != 0 {
		dst = appendNumber(dst, " id ", uint64(p.ID))
	}
	if p.MoreFragments {
		dst = append(dst, " more-fragments"...)
	}
	return appendNumber(dst, " ip-length ", uint64(p.IPLen))
}

func appendNumber(dst []byte, name string, v uint64) []byte {
	return strconv.AppendUint(append(dst, name...), v, 10)
}

func appendTunnels(dst []byte, p *wire.Packet) []byte {
	dst = append(dst, " in "...)
	for i, t := range p.Tunnels[:min(int(p.Depth), len(p.Tunnels))] {
		if i > 0 {
			dst = append(dst, '/')
		}
		dst = append(dst, t.String()...)
	}
	if p.OuterSrc == ([16]byte{}) || p.OuterSrc == p.Src && p.OuterDst == p.Dst {
		return dst
	}
	dst = appendIPAddr(append(dst, " of "...), p.OuterSrc)
	return appendIPAddr(append(dst, " > "...), p.OuterDst)
}

// appendFrame writes the link addresses and VLAN tags.
func appendFrame(dst []byte, p *wire.Packet) []byte {
	if p.HasMAC {
		dst = append(appendMAC(dst, p.SrcMAC), " > "...)
		dst = append(appendMAC(dst, p.DstMAC), ' ')
	}
	for _, v := range p.VLANs[:min(int(p.VLANCount), len(p.VLANs))] {
		dst = append(appendNumber(dst, "vlan ", uint64(v&0xfff)), ' ')
	}
	return dst
}

func appendMAC(dst []byte, mac [6]byte) []byte {
	for i, b := range mac {
		if i > 0 {
			dst = append(dst, ':')
		}
		dst = append(dst, hexDigits[b>>4], hexDigits[b&15])
	}
	return dst
}

func appendOther(dst []byte, p *wire.Packet) []byte {
	if name, ok := etherTypeName(p.EtherType); ok {
		return append(dst, name...)
	}
	if p.EtherType == 0 {
		return append(dst, "no ip"...)
	}
	dst = append(dst, "ethertype 0x"...)
	for shift := 12; shift >= 0; shift -= 4 {
		dst = append(dst, hexDigits[p.EtherType>>shift&15])
	}
	return dst
}

// etherTypeName names the link protocols that a network has anyway (IEEE 802
// numbers of IANA).
func etherTypeName(t uint16) (string, bool) {
	switch t {
	case 0x0806:
		return "arp", true
	case 0x8035:
		return "rarp", true
	case 0x88cc:
		return "lldp", true
	case 0x888e:
		return "eapol", true
	case 0x8809:
		return "slow protocols (lacp)", true
	case 0x8863:
		return "pppoe discovery", true
	case 0x88f7:
		return "ptp", true
	}
	return "", false
}

const (
	protoICMP   = 1
	protoTCP    = 6
	protoUDP    = 17
	protoDCCP   = 33
	protoICMPv6 = 58
	protoSCTP   = 132
	protoUDPL   = 136
)

// appendProto writes a protocol as the command contract has it.
func appendProto(dst []byte, proto uint8) []byte {
	switch proto {
	case protoTCP:
		return append(dst, "tcp"...)
	case protoUDP:
		return append(dst, "udp"...)
	case protoICMP:
		return append(dst, "icmp"...)
	case protoICMPv6:
		return append(dst, "icmp6"...)
	case protoSCTP:
		return append(dst, "sctp"...)
	case protoDCCP:
		return append(dst, "dccp"...)
	case protoUDPL:
		return append(dst, "udplite"...)
	}
	return strconv.AppendUint(dst, uint64(proto), 10)
}

func appendPacketEnd(dst []byte, addr [16]byte, port uint16, has bool) []byte {
	if !has {
		return appendIPAddr(dst, addr)
	}
	if isIPv4(addr) {
		dst = appendIPAddr(dst, addr)
	} else {
		dst = append(appendIPAddr(append(dst, '['), addr), ']')
	}
	return strconv.AppendUint(append(dst, ':'), uint64(port), 10)
}

func isIPv4(a [16]byte) bool {
	return [12]byte(a[:12]) == [12]byte{10: 0xff, 11: 0xff}
}

// appendIPAddr writes an address as netip does, IPv4 without a detour.
func appendIPAddr(dst []byte, a [16]byte) []byte {
	if !isIPv4(a) {
		return netip.AddrFrom16(a).AppendTo(dst)
	}
	for i, b := range a[12:] {
		if i > 0 {
			dst = append(dst, '.')
		}
		dst = appendByte(dst, b)
	}
	return dst
}

func appendByte(dst []byte, b byte) []byte {
	if b >= 100 {
		dst = append(dst, '0'+b/100, '0'+b/10%10, '0'+b%10)
		return dst
	}
	if b >= 10 {
		return append(dst, '0'+b/10, '0'+b%10)
	}
	return append(dst, '0'+b)
}
