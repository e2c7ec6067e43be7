package syn

import (
	"encoding/binary"
	"net/netip"

	"github.com/portreeve/portreeve/internal/scan/inetsum"
)

// TCP header layout and flags (RFC 9293 section 3.1).
const (
	segmentLen = 24 // header with an MSS option
	flagSYN    = 0x02
	flagRST    = 0x04
	flagACK    = 0x10
	protoTCP   = 6
)

// template is a SYN from one address and port, ready but for the destination
// port, sequence number and checksum.
type template struct {
	bytes [segmentLen]byte
	sum   uint32 // ones' complement sum of pseudo header and template
}

// newTemplate prepares a SYN with window 64240 and, for what Ethernet
// carries, MSS 1460 or 1440.
func newTemplate(src, dst netip.Addr, sport uint16) template {
	var t template
	b := t.bytes[:]
	binary.BigEndian.PutUint16(b[0:], sport)
	b[12] = segmentLen / 4 << 4
	b[13] = flagSYN
	binary.BigEndian.PutUint16(b[14:], 64240)
	b[20], b[21] = 2, 4
	mss := uint16(1460)
	if src.Is6() {
		mss = 1440
	}
	binary.BigEndian.PutUint16(b[22:], mss)
	t.sum = inetsum.Add(pseudoSum(src, dst, segmentLen), b)
	return t
}

// put writes the segment for one probe into b (segmentLen bytes).
func (t *template) put(b []byte, dport uint16, seq uint32) {
	copy(b, t.bytes[:])
	binary.BigEndian.PutUint16(b[2:], dport)
	binary.BigEndian.PutUint32(b[4:], seq)
	sum := t.sum + uint32(dport) + seq>>16 + seq&0xffff
	binary.BigEndian.PutUint16(b[16:], ^inetsum.Fold(sum))
}

// pseudoSum sums the pseudo header (RFC 9293, RFC 8200 section 8.1).
func pseudoSum(src, dst netip.Addr, length int) uint32 {
	sum := uint32(protoTCP) + uint32(length)
	return inetsum.Add(inetsum.Add(sum, src.AsSlice()), dst.AsSlice())
}

// segment is the part of a received TCP header that matters here.
type segment struct {
	sport, dport uint16
	seq, ack     uint32
	flags        byte
}

func (s segment) isSYNACK() bool {
	return s.flags&(flagSYN|flagACK|flagRST) == flagSYN|flagACK
}

// decodeTCP reads a TCP header; ok is false for one that is cut.
func decodeTCP(b []byte) (segment, bool) {
	if len(b) < 20 {
		return segment{}, false
	}
	return segment{
		sport: binary.BigEndian.Uint16(b[0:]),
		dport: binary.BigEndian.Uint16(b[2:]),
		seq:   binary.BigEndian.Uint32(b[4:]),
		ack:   binary.BigEndian.Uint32(b[8:]),
		flags: b[13],
	}, true
}

// packet is an IP packet's addresses and payload.
type packet struct {
	src, dst netip.Addr
	proto    byte
	payload  []byte
}

// decodeIP reads an IPv4 or IPv6 header by its version. A fragment that is
// not the first, a header that is cut or an IPv6 extension header gives false.
func decodeIP(b []byte) (packet, bool) {
	if len(b) < 1 {
		return packet{}, false
	}
	switch b[0] >> 4 {
	case 4:
		return decodeIPv4(b)
	case 6:
		return decodeIPv6(b)
	}
	return packet{}, false
}

func decodeIPv4(b []byte) (packet, bool) {
	if len(b) < 20 {
		return packet{}, false
	}
	header := int(b[0]&0xf) * 4
	if header < 20 || header > len(b) || binary.BigEndian.Uint16(b[6:])&0x1fff != 0 {
		return packet{}, false
	}
	return packet{
		src:     netip.AddrFrom4([4]byte(b[12:16])),
		dst:     netip.AddrFrom4([4]byte(b[16:20])),
		proto:   b[9],
		payload: b[header:],
	}, true
}

func decodeIPv6(b []byte) (packet, bool) {
	if len(b) < 40 {
		return packet{}, false
	}
	return packet{
		src:     netip.AddrFrom16([16]byte(b[8:24])),
		dst:     netip.AddrFrom16([16]byte(b[24:40])),
		proto:   b[6],
		payload: b[40:],
	}, true
}

// quoted is the probe that an ICMP error quotes.
type quoted struct {
	dst          netip.Addr
	sport, dport uint16
	seq          uint32
}

// decodeQuote reads the packet that an ICMP destination-unreachable message
// quotes after its 8-byte header; at least 8 bytes of TCP must be there.
func decodeQuote(icmp []byte) (quoted, bool) {
	if len(icmp) < 8 {
		return quoted{}, false
	}
	p, ok := decodeIP(icmp[8:])
	if !ok || p.proto != protoTCP || len(p.payload) < 8 {
		return quoted{}, false
	}
	return quoted{
		dst:   p.dst,
		sport: binary.BigEndian.Uint16(p.payload[0:]),
		dport: binary.BigEndian.Uint16(p.payload[2:]),
		seq:   binary.BigEndian.Uint32(p.payload[4:]),
	}, true
}
