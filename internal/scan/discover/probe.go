package discover

import (
	"encoding/binary"
	"hash/maphash"
	"net/netip"

	"github.com/portreeve/portreeve/internal/scan/inetsum"
	"github.com/portreeve/portreeve/internal/scan/unreach"
)

// Kinds of probe, in the order of asking.
const (
	kindEcho = iota
	kindSYN
	kindACK
	kindStamp // IPv4 only
)

// kinds is how many there are for a family.
func kinds(is4 bool) int {
	if is4 {
		return 4
	}
	return 3
}

// Protocol numbers, ICMP types (RFC 792, RFC 4443) and TCP flags (RFC 9293).
const (
	protoICMP     = 1
	protoTCP      = 6
	protoICMP6    = 58
	echoRequest   = 8
	echoReply     = 0
	stampRequest  = 13
	stampReply    = 14
	unreachable   = 3
	echoRequest6  = 128
	echoReply6    = 129
	unreachable6  = 1
	flagSYN       = 0x02
	flagRST       = 0x04
	flagACK       = 0x10
	head4, head6  = 20, 40
	longestPacket = 128
)

// greeting goes with every echo request.
const greeting = "portreeve scan: is this host up?"

// tokens makes the numbers by which answers are known.
type tokens struct{ seed maphash.Seed }

func newTokens() tokens { return tokens{maphash.MakeSeed()} }

// of is the token of a kind of probe to an address (without zone).
func (t tokens) of(addr netip.Addr, kind int) uint32 {
	return uint32(maphash.Comparable(t.seed, struct {
		addr netip.Addr
		kind int
	}{addr, kind}))
}

// putProbe writes an IP packet with a probe into b.
func putProbe(b []byte, kind int, src, dst netip.Addr, port uint16, token uint32) []byte {
	head := head6
	if dst.Is4() {
		head = head4
	}
	payload := putPayload(b[head:], kind, dst.Is4(), port, token)
	b = b[:head+len(payload)]
	proto, at := byte(protoTCP), 16 // and the checksum's place
	switch {
	case kind == kindSYN || kind == kindACK:
	case dst.Is4():
		proto, at = protoICMP, 2
	default:
		proto, at = protoICMP6, 2
	}
	putHead(b, proto, src, dst)
	sum := uint32(0)
	if proto != protoICMP { // ICMP for IPv4 has no pseudo header
		sum = inetsum.Add(inetsum.Add(uint32(proto)+uint32(len(payload)), src.AsSlice()), dst.AsSlice())
	}
	binary.BigEndian.PutUint16(payload[at:], ^inetsum.Fold(inetsum.Add(sum, payload)))
	return b
}

func putPayload(b []byte, kind int, is4 bool, port uint16, token uint32) []byte {
	switch kind {
	case kindSYN, kindACK:
		return putTCP(b, kind, is4, port, token)
	case kindStamp: // RFC 792: type, code, checksum, identifier, sequence, three times
		b = b[:20]
		clear(b)
		b[0] = stampRequest
	default:
		b = putEcho(b, is4, token)
	}
	binary.BigEndian.PutUint32(b[4:], token)
	return b
}

// putEcho writes an echo request with the token in its data, but for what the
// kernel writes itself for a ping socket: identifier and checksum.
func putEcho(b []byte, is4 bool, token uint32) []byte {
	b = b[:12+len(greeting)]
	clear(b)
	b[0] = echoRequest6
	if is4 {
		b[0] = echoRequest
	}
	binary.BigEndian.PutUint16(b[6:], uint16(token))
	binary.BigEndian.PutUint32(b[8:], token)
	copy(b[12:], greeting)
	return b
}

// putTCP writes a segment whose sequence number and, for an ACK, whose
// acknowledgment number is the token.
func putTCP(b []byte, kind int, is4 bool, port uint16, token uint32) []byte {
	length, dport, flags := 24, uint16(portSYN), byte(flagSYN)
	if kind == kindACK {
		length, dport, flags = 20, portACK, flagACK
	}
	b = b[:length]
	clear(b)
	binary.BigEndian.PutUint16(b[0:], port)
	binary.BigEndian.PutUint16(b[2:], dport)
	binary.BigEndian.PutUint32(b[4:], token)
	b[12], b[13] = byte(length/4)<<4, flags
	binary.BigEndian.PutUint16(b[14:], 64240)
	if kind == kindACK {
		binary.BigEndian.PutUint32(b[8:], token)
		return b
	}
	mss := uint16(1440) // what Ethernet carries
	if is4 {
		mss = 1460
	}
	b[20], b[21] = 2, 4
	binary.BigEndian.PutUint16(b[22:], mss)
	return b
}

// putHead writes the IP header, hop limit 64.
func putHead(b []byte, proto byte, src, dst netip.Addr) {
	if dst.Is4() {
		clear(b[:head4])
		b[0], b[6], b[8], b[9] = 0x45, 0x40, 64, proto // don't fragment
		binary.BigEndian.PutUint16(b[2:], uint16(len(b)))
		copy(b[12:16], src.AsSlice())
		copy(b[16:20], dst.AsSlice())
		binary.BigEndian.PutUint16(b[10:], ^inetsum.Fold(inetsum.Add(0, b[:head4])))
		return
	}
	clear(b[:head6])
	b[0], b[6], b[7] = 0x60, proto, 64
	binary.BigEndian.PutUint16(b[4:], uint16(len(b)-head6))
	copy(b[8:24], src.AsSlice())
	copy(b[24:40], dst.AsSlice())
}

// heard is an answer: who answered which kind of probe, with what token.
type heard struct {
	from   netip.Addr
	kind   int
	token  uint32
	reason string
	ttl    uint8
}

// datagram is an IP packet, taken apart.
type datagram struct {
	src, dst netip.Addr
	proto    byte
	ttl      byte
	payload  []byte
}

// decodeIP reads a header; ok is false for one that is cut, for a fragment
// that is not the first and for IPv6 extension headers.
func decodeIP(b []byte) (p datagram, ok bool) {
	switch {
	case len(b) >= head4 && b[0]>>4 == 4:
		head := int(b[0]&0xf) * 4
		if head < head4 || head > len(b) || binary.BigEndian.Uint16(b[6:])&0x1fff != 0 {
			return p, false
		}
		return datagram{netip.AddrFrom4([4]byte(b[12:16])), netip.AddrFrom4([4]byte(b[16:20])), b[9], b[8], b[head:]}, true
	case len(b) >= head6 && b[0]>>4 == 6:
		return datagram{netip.AddrFrom16([16]byte(b[8:24])), netip.AddrFrom16([16]byte(b[24:40])), b[6], b[7], b[head6:]}, true
	}
	return p, false
}

// decode reads an IP packet that may be an answer to a probe from port.
func decode(b []byte, port uint16) (heard, bool) {
	p, ok := decodeIP(b)
	if !ok || len(p.payload) < 8 {
		return heard{}, false
	}
	h := heard{from: p.src, ttl: p.ttl}
	switch {
	case p.proto == protoTCP:
		ok = h.segment(p.payload, port)
	case p.proto == protoICMP && p.src.Is4():
		ok = h.icmp(p.payload, echoReply, stampReply, unreachable)
	case p.proto == protoICMP6 && p.src.Is6():
		ok = h.icmp(p.payload, echoReply6, -1, unreachable6)
	default:
		ok = false
	}
	return h, ok
}

// segment takes a SYN-ACK or RST to the SYN, or a RST to the ACK (RFC 9293
// section 3.5.2: its sequence number is the acknowledgment number it answers).
func (h *heard) segment(b []byte, port uint16) bool {
	if len(b) < 20 || binary.BigEndian.Uint16(b[2:]) != port {
		return false
	}
	flags := b[13] & (flagSYN | flagACK | flagRST)
	h.reason = reasonReset
	switch from := binary.BigEndian.Uint16(b); {
	case from == portSYN && (flags == flagSYN|flagACK || flags == flagRST|flagACK):
		h.kind, h.token = kindSYN, binary.BigEndian.Uint32(b[8:])-1
		if flags&flagRST == 0 {
			h.reason = reasonSYNACK
		}
		return true
	case from == portACK && flags&flagRST != 0:
		h.kind, h.token = kindACK, binary.BigEndian.Uint32(b[4:])
		return true
	}
	return false
}

// icmp takes a reply, or an error that comes from the target itself.
func (h *heard) icmp(b []byte, echo, stamp, unreach int) bool {
	h.token = binary.BigEndian.Uint32(b[4:])
	switch int(b[0]) {
	case echo:
		h.kind, h.reason = kindEcho, reasonEcho
	case stamp:
		h.kind, h.reason = kindStamp, reasonTimestamp
	case unreach:
		return h.refusal(b)
	default:
		return false
	}
	return true
}

// refusal takes a destination-unreachable message. Of every kind of probe the
// token is in the bytes 4 to 8, which any host quotes (RFC 792).
func (h *heard) refusal(b []byte) (ok bool) {
	if h.reason, ok = unreach.Reason(h.from.Is6(), b[0], b[1]); !ok {
		return false
	}
	q, ok := decodeIP(b[8:])
	if !ok || q.dst != h.from || len(q.payload) < 8 {
		return false
	}
	h.token = binary.BigEndian.Uint32(q.payload[4:])
	h.kind, ok = quotedKind(q)
	return ok
}

func quotedKind(q datagram) (kind int, ok bool) {
	switch q.proto {
	case protoTCP:
		switch binary.BigEndian.Uint16(q.payload[2:]) {
		case portSYN:
			return kindSYN, true
		case portACK:
			return kindACK, true
		}
		return 0, false
	case protoICMP:
		if q.payload[0] == stampRequest {
			return kindStamp, true
		}
		return kindEcho, q.payload[0] == echoRequest
	}
	return kindEcho, q.proto == protoICMP6 && q.payload[0] == echoRequest6
}
