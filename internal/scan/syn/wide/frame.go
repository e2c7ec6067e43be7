package wide

import (
	"encoding/binary"
	"net/netip"

	"github.com/portreeve/portreeve/internal/scan/inetsum"
)

// Header layout (RFC 791, RFC 8200, RFC 9293) and flags.
const (
	ipv4Len  = 20
	ipv6Len  = 40
	tcpLen   = 24 // with an MSS option
	protoTCP = 6
	flagSYN  = 0x02
	flagRST  = 0x04
	flagACK  = 0x10
	maxFrame = 32 + ipv6Len + tcpLen
)

// Hop is how packets reach an address, with the parts of a frame that all
// probes of it share.
type Hop struct {
	Index int        // interface
	Src   netip.Addr // own address
	Raw   bool       // no link header: sent through a raw IP socket

	head          []byte // link, IP and TCP header; destination, ports, seq and checksums are zero
	link          int    // length of the link header
	ipSum, tcpSum uint32 // ones' complement sums of what is in head
}

// NewHop prepares a hop. link is the link header (at most 32 bytes), nil for
// a device without one; mtu bounds the maximum segment size that is announced.
func NewHop(index int, link []byte, src netip.Addr, mtu int) *Hop {
	h := &Hop{Index: index, Src: src, Raw: link == nil, link: len(link)}
	ip := ipv4Len
	if src.Is6() {
		ip = ipv6Len
	}
	h.head = make([]byte, len(link)+ip+tcpLen)
	copy(h.head, link)
	h.putIP(h.head[len(link):])
	h.putTCP(h.head[len(link)+ip:], uint16(max(min(mtu, 1500)-ip-20, 536)))
	return h
}

func (h *Hop) putIP(b []byte) {
	if h.Src.Is6() {
		b[0] = 6 << 4
		binary.BigEndian.PutUint16(b[4:], tcpLen)
		b[6], b[7] = protoTCP, 64
		src := h.Src.As16()
		copy(b[8:], src[:])
		h.tcpSum = inetsum.Add(0, src[:])
		return
	}
	b[0] = 4<<4 | ipv4Len/4
	binary.BigEndian.PutUint16(b[2:], ipv4Len+tcpLen)
	b[6] = 0x40 // do not fragment
	b[8], b[9] = 64, protoTCP
	src := h.Src.As4()
	copy(b[12:], src[:])
	h.ipSum = inetsum.Add(0, b[:ipv4Len])
	h.tcpSum = inetsum.Add(0, src[:])
}

// putTCP writes a SYN with window 64240, as common clients send it.
func (h *Hop) putTCP(b []byte, mss uint16) {
	b[12] = tcpLen / 4 << 4
	b[13] = flagSYN
	binary.BigEndian.PutUint16(b[14:], 64240)
	b[20], b[21] = 2, 4
	binary.BigEndian.PutUint16(b[22:], mss)
	h.tcpSum = inetsum.Add(h.tcpSum+protoTCP+tcpLen, b[:tcpLen])
}

// put writes the frame of one try into b and returns its length.
func (h *Hop) put(b []byte, dst netip.Addr, sport, dport uint16, seq uint32) int {
	copy(b, h.head)
	ip := b[h.link:len(h.head)]
	var tcp []byte
	sum := h.tcpSum
	if h.Src.Is6() {
		to := dst.As16()
		copy(ip[24:], to[:])
		sum = inetsum.Add(sum, to[:])
		tcp = ip[ipv6Len:]
	} else {
		to := dst.As4()
		copy(ip[16:], to[:])
		words := inetsum.Add(0, to[:])
		sum += words
		id := uint16(seq) ^ uint16(seq>>16)
		binary.BigEndian.PutUint16(ip[4:], id)
		binary.BigEndian.PutUint16(ip[10:], ^inetsum.Fold(h.ipSum+words+uint32(id)))
		tcp = ip[ipv4Len:]
	}
	binary.BigEndian.PutUint16(tcp[0:], sport)
	binary.BigEndian.PutUint16(tcp[2:], dport)
	binary.BigEndian.PutUint32(tcp[4:], seq)
	sum += uint32(sport) + uint32(dport) + seq>>16 + seq&0xffff
	binary.BigEndian.PutUint16(tcp[16:], ^inetsum.Fold(sum))
	return len(h.head)
}
