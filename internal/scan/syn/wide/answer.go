package wide

import (
	"encoding/binary"
	"net/netip"

	"github.com/portreeve/portreeve/internal/exposure"
	"github.com/portreeve/portreeve/internal/scan/unreach"
)

// code is what an answer says; order is strength for those of one probe.
type code uint8

const (
	nothing code = iota
	notPermitted
	refused                   // by ICMP; the reason follows from refusedFirst on
	hostUnreach = refused + 1 // reasons[1]
	reset       = code(64)
	synAck      = code(65)
)

// reasons are the ICMP refusals, in nmap's words.
var reasons = [...]string{"port-unreach", "host-unreach", "net-unreach", "proto-unreach",
	"admin-prohibited", "host-prohibited", "net-prohibited", "no-route", "beyond-scope", "reject-route", "dest-unreach"}

// refusal is the code of an ICMP destination-unreachable message.
func refusal(v6 bool, kind, sub byte) (code, bool) {
	reason, ok := unreach.Reason(v6, kind, sub)
	if !ok {
		return nothing, false
	}
	for i, r := range reasons {
		if r == reason {
			return refused + code(i), true
		}
	}
	return refused + code(len(reasons)-1), true
}

// meaning is the state and reason of an answer.
func (c code) meaning() (exposure.PortStateName, string) {
	switch {
	case c == synAck:
		return exposure.Open, "syn-ack"
	case c == reset:
		return exposure.Closed, "reset"
	case c == notPermitted:
		return exposure.Filtered, "not-permitted"
	case c >= refused && int(c-refused) < len(reasons):
		return exposure.Filtered, reasons[c-refused]
	}
	return exposure.Filtered, "no-response"
}

// heard is what one received packet says.
type heard struct {
	code   code
	target netip.Addr // who was asked
	port   uint16     // the port asked
	sport  uint16     // our port: the try
	seq    uint32     // our sequence number
	ttl    uint8      // of the answer; 0 for a refusal
}

// read reads a packet from its IP header on.
func read(b []byte) (heard, bool) {
	p, ok := readIP(b)
	if !ok {
		return heard{}, false
	}
	six := p.src.Is6()
	switch {
	case p.proto == protoTCP:
		return readTCP(p)
	case p.proto == 1 && !six, p.proto == 58 && six:
		return readRefusal(p, six)
	}
	return heard{}, false
}

// packet is an IP packet; payload may be cut.
type packet struct {
	src, dst   netip.Addr
	proto, ttl byte
	payload    []byte
}

func readIP(b []byte) (packet, bool) {
	if len(b) < ipv4Len {
		return packet{}, false
	}
	if b[0]>>4 == 6 {
		return readIPv6(b)
	}
	header := int(b[0]&0xf) * 4
	if b[0]>>4 != 4 || header < ipv4Len || header > len(b) || binary.BigEndian.Uint16(b[6:])&0x1fff != 0 {
		return packet{}, false
	}
	return packet{netip.AddrFrom4([4]byte(b[12:])), netip.AddrFrom4([4]byte(b[16:])), b[9], b[8], b[header:]}, true
}

// readIPv6 also skips extension headers (RFC 8200 section 4), few of them.
func readIPv6(b []byte) (packet, bool) {
	if len(b) < ipv6Len {
		return packet{}, false
	}
	p := packet{netip.AddrFrom16([16]byte(b[8:])), netip.AddrFrom16([16]byte(b[24:])), b[6], b[7], b[ipv6Len:]}
	for range 6 {
		n := 0
		switch p.proto {
		case 0, 43, 60: // hop-by-hop, routing, destination options
			if len(p.payload) < 8 {
				return packet{}, false
			}
			n = int(p.payload[1])*8 + 8
		case 44: // fragment: the first only
			if len(p.payload) < 8 || binary.BigEndian.Uint16(p.payload[2:])>>3 != 0 {
				return packet{}, false
			}
			n = 8
		default:
			return p, true
		}
		if n > len(p.payload) {
			return packet{}, false
		}
		p.proto, p.payload = p.payload[0], p.payload[n:]
	}
	return packet{}, false
}

func readTCP(p packet) (heard, bool) {
	b := p.payload
	if len(b) < 20 {
		return heard{}, false
	}
	h := heard{target: p.src, ttl: p.ttl, port: binary.BigEndian.Uint16(b), sport: binary.BigEndian.Uint16(b[2:]),
		seq: binary.BigEndian.Uint32(b[8:]) - 1}
	switch b[13] & (flagSYN | flagACK | flagRST) {
	case flagSYN | flagACK:
		h.code = synAck
	case flagRST | flagACK:
		h.code = reset
	default:
		return heard{}, false
	}
	return h, true
}

// readRefusal reads the probe that a destination-unreachable message quotes;
// at least 8 bytes of TCP must be there (RFC 792, RFC 4443).
func readRefusal(p packet, v6 bool) (heard, bool) {
	if len(p.payload) < 8 {
		return heard{}, false
	}
	what, ok := refusal(v6, p.payload[0], p.payload[1])
	if !ok {
		return heard{}, false
	}
	q, ok := readIP(p.payload[8:])
	if !ok || q.proto != protoTCP || len(q.payload) < 8 {
		return heard{}, false
	}
	return heard{code: what, target: q.dst, sport: binary.BigEndian.Uint16(q.payload),
		port: binary.BigEndian.Uint16(q.payload[2:]), seq: binary.BigEndian.Uint32(q.payload[4:])}, true
}
