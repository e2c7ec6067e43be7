package wiretest

// GRE is a GRE header of version 0.
type GRE struct {
	Checksum, Key, Sequence bool
	Routes                  [][]byte // source route entries of family IPv4
	Type                    uint16   // 0: the next layer's
}

func (l GRE) put(inner []byte, next Layer) []byte {
	var flags uint16
	var words []byte
	add := func(on bool, flag uint16, value uint32) {
		if on {
			flags |= flag
			words = append(words, put32(value)...)
		}
	}
	add(l.Checksum || l.Routes != nil, 0, 0)
	add(l.Key, 0x2000, 0x00beef00)
	add(l.Sequence, 0x1000, 9)
	if l.Checksum {
		flags |= 0x8000
	}
	if l.Routes != nil {
		flags |= 0x4000
		for _, r := range l.Routes {
			words = join(words, put16(0x0800), []byte{0, byte(len(r))}, r)
		}
		words = append(words, 0, 0, 0, 0)
	}
	return join(put16(flags, orElse(l.Type, EtherTypeOf(next))), words, inner)
}

// PPTP is GRE version 1 around PPP, with a sequence number.
type PPTP struct{ Ack bool }

func (l PPTP) put(inner []byte, _ Layer) []byte {
	flags, words := uint16(0x3001), put32(1)
	if l.Ack {
		flags |= 0x80
		words = put32(1, 1)
	}
	return join(put16(flags, 0x880b, uint16(len(inner)), 77), words, inner)
}

// ERSPAN is GRE with ERSPAN's header of type 1, 2 or 3 around Ethernet, or in
// type 3 around an IP packet.
type ERSPAN struct {
	Type      int
	Subheader bool
}

func (l ERSPAN) put(inner []byte, next Layer) []byte {
	switch l.Type {
	case 2:
		return join(put16(0x1000, 0x88be), put32(5, 0x10000000|7<<16|3, 0), inner)
	case 3:
		h := join(put32(0x20000000|7<<16|3, 0), []byte{0, 0, 0, 0})
		if _, frame := next.(Ethernet); !frame {
			h[10] = 2 << 2
		}
		if l.Subheader {
			h[11] |= 1
			h = append(h, make([]byte, 8)...)
		}
		return join(put16(0x1000, 0x22eb), put32(5), h, inner)
	}
	return join(put16(0, 0x88be), inner)
}

// EtherIP is RFC 3378's header.
type EtherIP struct{}

func (EtherIP) put(inner []byte, _ Layer) []byte { return join([]byte{0x30, 0}, inner) }

// VXLAN is a VXLAN header; GPE says what follows, Policy has a group.
type VXLAN struct {
	VNI         uint32
	GPE, Policy bool
}

func (l VXLAN) put(inner []byte, next Layer) []byte {
	first := uint32(0x08000000)
	if l.Policy {
		first |= 0x80000000 | 55
	}
	if l.GPE {
		first |= 0x04000000 | uint32(gpeOf(next))
	}
	return join(put32(first, l.VNI<<8), inner)
}

func gpeOf(l Layer) byte {
	switch l.(type) {
	case IPv4:
		return 1
	case IPv6:
		return 2
	case Ethernet:
		return 3
	case NSH:
		return 4
	case MPLS:
		return 5
	}
	return 0
}

// NSH is a network service header without metadata.
type NSH struct{}

func (NSH) put(inner []byte, next Layer) []byte {
	return join([]byte{0x0f, 0xc2, 2, gpeOf(next)}, put32(1<<8|255), inner)
}

// Geneve is a Geneve header with the given options, filled up with zeros.
type Geneve struct {
	VNI     uint32
	Options []byte
}

func (l Geneve) put(inner []byte, next Layer) []byte {
	options := zeros(l.Options, 4)
	return join([]byte{byte(len(options) / 4), 0}, put16(EtherTypeOf(next)), put32(l.VNI<<8), options, inner)
}

// GTPU is a G-PDU, with a sequence number or with that many extension headers
// of four bytes.
type GTPU struct {
	TEID       uint32
	Sequence   bool
	Extensions int
}

func (l GTPU) put(inner []byte, _ Layer) []byte {
	flags, rest := byte(0x30), []byte(nil)
	if l.Sequence || l.Extensions > 0 {
		flags |= bit(l.Sequence, 2)
		rest = []byte{0, 1, 0, 0}
	}
	for range l.Extensions {
		flags |= 4
		rest[len(rest)-1] = 0x85
		rest = append(rest, 1, 0, 9, 0)
	}
	return join([]byte{flags, 255}, put16(uint16(len(rest)+len(inner))), put32(l.TEID), rest, inner)
}

// MPLS is one label; the last of several in a row is the bottom of the stack.
type MPLS struct{ Label uint32 }

func (l MPLS) put(inner []byte, next Layer) []byte {
	word := l.Label<<12 | 64
	if _, more := next.(MPLS); !more {
		word |= 1 << 8
	}
	return join(put32(word), inner)
}

// ControlWord is a pseudowire's, between labels and Ethernet.
type ControlWord struct{ Sequence uint16 }

func (l ControlWord) put(inner []byte, _ Layer) []byte {
	return join(put16(0, l.Sequence), inner)
}

// PPPoE is a session header before PPP.
type PPPoE struct{ Session uint16 }

func (l PPPoE) put(inner []byte, _ Layer) []byte {
	return join([]byte{0x11, 0}, put16(l.Session, uint16(len(inner))), inner)
}

// L2TP is a data message of version 2 before PPP.
type L2TP struct{ Length, Sequence, Offset bool }

func (l L2TP) put(inner []byte, _ Layer) []byte {
	flags, tail := uint16(2), put16(11, 12)
	if l.Sequence {
		flags |= 0x0800
		tail = append(tail, 0, 1, 0, 0)
	}
	if l.Offset {
		flags |= 0x0200
		tail = append(tail, 0, 3, 0, 0, 0)
	}
	if !l.Length {
		return join(put16(flags), tail, inner)
	}
	return join(put16(flags|0x4000, uint16(4+len(tail)+len(inner))), tail, inner)
}

// L2TPv3 is a data message of version 3 before Ethernet: directly in IP, or
// with UDP the four bytes that tell it there. Between is its cookie and
// sublayer header.
type L2TPv3 struct {
	UDP     bool
	Between []byte
}

func (l L2TPv3) put(inner []byte, _ Layer) []byte {
	out := join(put32(0x01020304), l.Between, inner)
	if l.UDP {
		return join(put32(3<<16), out)
	}
	return out
}

// Teredo is a Teredo datagram's indications before IPv6.
type Teredo struct{ Authentication, Origin bool }

func (l Teredo) put(inner []byte, _ Layer) []byte {
	var out []byte
	if l.Authentication {
		out = append(out, 0, 1, 2, 3, 'i', 'd', 'm', 'a', 'c')
		out = append(out, make([]byte, 9)...)
	}
	if l.Origin {
		out = append(out, 0, 0, 0xf0, 0, 1, 2, 3, 4)
	}
	return join(out, inner)
}
