package synack

import (
	"encoding/binary"
	"net/netip"

	"github.com/portreeve/portreeve/internal/scan/inetsum"
)

// TCP flags (RFC 9293 section 3.1; ECE and CWR: RFC 3168 section 6.1).
const (
	flagFIN = 0x01
	flagSYN = 0x02
	flagRST = 0x04
	flagACK = 0x10
	flagURG = 0x20
	flagECE = 0x40
	flagCWR = 0x80
)

const (
	protoTCP  = 6
	headerLen = 20 // TCP header without options
	synLen    = headerLen + 20
)

// MSS that a client behind Ethernet offers: 1500 less the headers.
const (
	OfferedMSS4 = 1460
	OfferedMSS6 = 1440
)

// syn is one SYN to be sent.
type syn struct {
	src, dst     netip.Addr
	sport, dport uint16
	seq, tsval   uint32
	ecn          bool
}

// bytes writes the segment: window 64240, options MSS, SACK permitted,
// timestamps, NOP, window scale 7.
func (s syn) bytes() []byte {
	b := make([]byte, synLen)
	binary.BigEndian.PutUint16(b[0:], s.sport)
	binary.BigEndian.PutUint16(b[2:], s.dport)
	binary.BigEndian.PutUint32(b[4:], s.seq)
	b[12] = synLen / 4 << 4
	b[13] = flagSYN
	if s.ecn {
		b[13] |= flagECE | flagCWR
	}
	binary.BigEndian.PutUint16(b[14:], 64240)
	copy(b[headerLen:], []byte{2, 4, 0, 0, 4, 2, 8, 10, 0, 0, 0, 0, 0, 0, 0, 0, 1, 3, 3, 7})
	mss := uint16(OfferedMSS4)
	if s.src.Is6() {
		mss = OfferedMSS6
	}
	binary.BigEndian.PutUint16(b[headerLen+2:], mss)
	binary.BigEndian.PutUint32(b[headerLen+8:], s.tsval)
	binary.BigEndian.PutUint16(b[16:], checksum(b, pseudoSum(s.src, s.dst, len(b))))
	return b
}

// pseudoSum sums the pseudo header (RFC 9293 section 3.1, RFC 8200 section
// 8.1); both have the same sum.
func pseudoSum(src, dst netip.Addr, length int) uint32 {
	return inetsum.Add(inetsum.Add(protoTCP+uint32(length), src.AsSlice()), dst.AsSlice())
}

// checksum is the Internet checksum (RFC 1071) of b with a sum added.
func checksum(b []byte, sum uint32) uint16 {
	return ^inetsum.Fold(inetsum.Add(sum, b))
}

// echoRequest is an ICMP or ICMPv6 echo request (RFC 792, RFC 4443) without
// data; the kernel writes the checksum of the latter.
func echoRequest(is4 bool, id, seq uint16) []byte {
	b := make([]byte, 8)
	b[0] = echoRequest6
	if is4 {
		b[0] = echoRequest4
	}
	binary.BigEndian.PutUint16(b[4:], id)
	binary.BigEndian.PutUint16(b[6:], seq)
	if is4 {
		binary.BigEndian.PutUint16(b[2:], checksum(b, 0))
	}
	return b
}

// ICMP types of an echo and its reply.
const (
	echoRequest4 = 8
	echoReply4   = 0
	echoRequest6 = 128
	echoReply6   = 129
)

// echoReply reads an ICMP or ICMPv6 message; ok is false for another than an
// echo reply.
func echoReply(is4 bool, b []byte) (id, seq uint16, ok bool) {
	kind := byte(echoReply6)
	if is4 {
		kind = echoReply4
	}
	if len(b) < 8 || b[0] != kind || b[1] != 0 {
		return 0, 0, false
	}
	return binary.BigEndian.Uint16(b[4:]), binary.BigEndian.Uint16(b[6:]), true
}
