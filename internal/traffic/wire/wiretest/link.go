package wiretest

import "encoding/binary"

// Ethernet is an Ethernet II header, or with LLC an 802.3 one, whose length is
// filled in.
type Ethernet struct {
	Dst, Src [6]byte
	Type     uint16
	LLC      bool // what follows is LLC or SNAP
	Min      int  // least length of the frame, which zeros fill up
}

func (l Ethernet) put(inner []byte, next Layer) []byte {
	t := orElse(l.Type, EtherTypeOf(next))
	if l.LLC {
		t = uint16(len(inner))
	}
	out := join(l.Dst[:], l.Src[:], put16(t), inner)
	return append(out, make([]byte, max(0, l.Min-len(out)))...)
}

// VLAN is a tag of 802.1Q or, with TPID 0x88a8 or 0x9100, one like it.
type VLAN struct {
	TPID     uint16 // 0: 0x8100
	ID       uint16
	Priority uint8
	Type     uint16
}

func (l VLAN) put(inner []byte, next Layer) []byte {
	return join(put16(uint16(l.Priority)<<13|l.ID, orElse(l.Type, EtherTypeOf(next))), inner)
}

// Tag is any other tag: its EtherType and its content, to which the next
// EtherType is added.
type Tag struct {
	Type uint16
	Body []byte
}

func (l Tag) put(inner []byte, next Layer) []byte {
	return join(l.Body, put16(EtherTypeOf(next)), inner)
}

// SNAP is an LLC header with a protocol identifier (RFC 1042).
type SNAP struct{ OUI uint32 }

func (l SNAP) put(inner []byte, next Layer) []byte {
	return join([]byte{0xaa, 0xaa, 0x03}, put32(l.OUI)[1:], put16(EtherTypeOf(next)), inner)
}

// ARP is a request.
type ARP struct{}

func (ARP) put(inner []byte, _ Layer) []byte {
	return join(put16(1, 0x0800, 0x0604, 1), make([]byte, 20), inner)
}

// Null is the BSD loopback header, little endian unless Big (which LOOP is
// too). Six is the family number of IPv6, 0 for 30.
type Null struct {
	Big bool
	Six uint32
}

func (l Null) put(inner []byte, next Layer) []byte {
	family := familyOf(next, orElse(l.Six, 30))
	if l.Big {
		return join(put32(family), inner)
	}
	return join(little32(family), inner)
}

// SLL is Linux' cooked header.
type SLL struct{ ARPHRD uint16 }

func (l SLL) put(inner []byte, next Layer) []byte {
	return join(put16(0, orElse(l.ARPHRD, 1), 6), make([]byte, 8), put16(EtherTypeOf(next)), inner)
}

// SLL2 is version 2 of Linux' cooked header.
type SLL2 struct{ ARPHRD uint16 }

func (l SLL2) put(inner []byte, next Layer) []byte {
	return join(put16(EtherTypeOf(next), 0), put32(3), put16(orElse(l.ARPHRD, 1)), []byte{0, 6}, make([]byte, 8), inner)
}

// PPP is a PPP header, with HDLC's address and control or without, the
// protocol in one byte where Short and possible.
type PPP struct{ HDLC, Short bool }

func (l PPP) put(inner []byte, next Layer) []byte {
	proto := put16(pppOf(next))
	if l.Short && proto[0] == 0 {
		proto = proto[1:]
	}
	if l.HDLC {
		return join([]byte{0xff, 0x03}, proto, inner)
	}
	return join(proto, inner)
}

// CHDLC is Cisco HDLC.
type CHDLC struct{}

func (CHDLC) put(inner []byte, next Layer) []byte {
	return join([]byte{0x0f, 0}, put16(EtherTypeOf(next)), inner)
}

// WiFi is an 802.11 data frame before a SNAP layer.
type WiFi struct {
	ToDS, FromDS bool // both: four addresses
	QoS, HT      bool
	AMSDU        bool // one subframe; implies QoS
	Protected    bool
	Pad          bool // header filled up to four bytes (with Radiotap.Pad)
}

func (l WiFi) put(inner []byte, _ Layer) []byte {
	h := make([]byte, 24, 36)
	h[0] = 0x08
	h[1] = bit(l.ToDS, 1) | bit(l.FromDS, 2) | bit(l.Protected, 0x40)
	if l.ToDS && l.FromDS {
		h = append(h, make([]byte, 6)...)
	}
	if l.QoS || l.AMSDU {
		h[0] |= 0x80
		h = append(h, bit(l.AMSDU, 0x80), 0)
		if l.HT {
			h[1] |= 0x80
			h = append(h, 0, 0, 0, 0)
		}
	}
	if l.Pad {
		h = zeros(h, 4)
	}
	if l.AMSDU {
		inner = zeros(join(make([]byte, 12), put16(uint16(len(inner))), inner), 4)
	}
	return join(h, inner)
}

func bit(set bool, value byte) byte {
	if set {
		return value
	}
	return 0
}

// Radiotap is a radiotap header with a time stamp and flags, and behind a
// second word of present fields if Extended.
type Radiotap struct{ Pad, Extended bool }

func (l Radiotap) put(inner []byte, _ Layer) []byte {
	words := little32(3)
	if l.Extended {
		words = little32(3|1<<31, 0)
	}
	h := zeros(join(make([]byte, 4), words), 8)
	h = append(h, make([]byte, 8)...)
	h = append(h, bit(l.Pad, 0x20), 0)
	binary.LittleEndian.PutUint16(h[2:], uint16(len(h)))
	return join(h, inner)
}

// Prism is a Prism monitor header, big endian if so said.
type Prism struct{ Big bool }

func (l Prism) put(inner []byte, _ Layer) []byte {
	head := little32(0x44, 144)
	if l.Big {
		head = put32(0x44, 144)
	}
	return join(head, make([]byte, 136), inner)
}

// AVS is an AVS monitor header.
type AVS struct{}

func (AVS) put(inner []byte, _ Layer) []byte {
	return join(put32(0x80211001, 64), make([]byte, 56), inner)
}
