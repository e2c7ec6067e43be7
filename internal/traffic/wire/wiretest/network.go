package wiretest

import (
	"encoding/binary"
	"net/netip"
)

// IPv4 is an IPv4 header.
type IPv4 struct {
	Src, Dst   netip.Addr
	Proto      uint8 // 0: the next layer's
	TTL        uint8 // 0: 64
	TOS        uint8
	ID         uint16
	FragOffset uint16 // bytes
	More       bool
	DontFrag   bool
	Options    []byte
	Length     int // 0: what it is; -1: written as 0
}

func (l IPv4) put(inner []byte, next Layer) []byte {
	options := zeros(l.Options, 4)
	length := orElse(l.Length, 20+len(options)+len(inner))
	h := make([]byte, 20)
	h[0], h[1] = byte(0x45+len(options)/4), l.TOS
	binary.BigEndian.PutUint16(h[2:], uint16(max(length, 0)))
	binary.BigEndian.PutUint16(h[4:], l.ID)
	binary.BigEndian.PutUint16(h[6:], l.FragOffset/8)
	h[6] |= bit(l.More, 0x20) | bit(l.DontFrag, 0x40)
	h[8], h[9] = orElse(l.TTL, 64), orElse(l.Proto, ProtoOf(next))
	src, dst := four(l.Src), four(l.Dst)
	copy(h[12:], src[:])
	copy(h[16:], dst[:])
	h = append(h, options...)
	binary.BigEndian.PutUint16(h[10:], checksum(h))
	return join(h, inner)
}

func four(a netip.Addr) [4]byte {
	if a.Is4() || a.Is4In6() {
		return a.Unmap().As4()
	}
	return [4]byte{}
}

func six(a netip.Addr) [16]byte {
	if a.IsValid() {
		return a.As16()
	}
	return [16]byte{}
}

// checksum is the Internet checksum (RFC 1071) of an even number of bytes.
func checksum(b []byte) uint16 {
	var sum uint32
	for i := 0; i+1 < len(b); i += 2 {
		sum += uint32(binary.BigEndian.Uint16(b[i:]))
	}
	for sum > 0xffff {
		sum = sum&0xffff + sum>>16
	}
	return ^uint16(sum)
}

// IPv6 is an IPv6 header.
type IPv6 struct {
	Src, Dst netip.Addr
	Next     uint8 // 0: the next layer's (a hop-by-hop header is one)
	HopLimit uint8 // 0: 64
	Class    uint8
	Length   int // of the payload; 0: what it is; -1: written as 0
}

func (l IPv6) put(inner []byte, next Layer) []byte {
	length := orElse(l.Length, len(inner))
	src, dst := six(l.Src), six(l.Dst)
	return join(put32(6<<28|uint32(l.Class)<<20), put16(uint16(max(length, 0))),
		[]byte{orElse(l.Next, ProtoOf(next)), orElse(l.HopLimit, 64)}, src[:], dst[:], inner)
}

// Extension is an IPv6 extension header: hop-by-hop (0), routing (43),
// destination options (60), mobility (135), HIP (139), shim6 (140). Body is
// what follows its length field, filled up with zeros.
type Extension struct {
	Proto uint8
	Next  uint8 // 0: the next layer's
	Body  []byte
}

func (l Extension) put(inner []byte, next Layer) []byte {
	h := zeros(join([]byte{orElse(l.Next, ProtoOf(next)), 0}, l.Body), 8)
	h[1] = byte(len(h)/8 - 1)
	return join(h, inner)
}

// Fragment is an IPv6 fragment header.
type Fragment struct {
	Next   uint8  // 0: the next layer's
	Offset uint16 // bytes
	More   bool
	ID     uint32
}

func (l Fragment) put(inner []byte, next Layer) []byte {
	at := l.Offset &^ 7
	if l.More {
		at |= 1
	}
	return join([]byte{orElse(l.Next, ProtoOf(next)), 0}, put16(at), put32(l.ID), inner)
}

// AH is an authentication header with the given integrity check value.
type AH struct{ ICV []byte }

func (l AH) put(inner []byte, next Layer) []byte {
	icv := zeros(l.ICV, 4)
	return join([]byte{ProtoOf(next), byte(1 + len(icv)/4), 0, 0}, put32(9, 1), icv, inner)
}
