package wiretest

import (
	"encoding/binary"

	"github.com/portreeve/portreeve/internal/traffic/wire"
)

// Header is a pseudo-header made by hand for a link type.
type Header struct {
	Link wire.LinkType
	Body []byte
}

func (l Header) put(inner []byte, _ Layer) []byte { return join(l.Body, inner) }

// ENC is OpenBSD's IPsec header.
type ENC struct{}

func (ENC) put(inner []byte, next Layer) []byte {
	return join(little32(familyOf(next, 24)), make([]byte, 8), inner)
}

// PFLog is OpenBSD's packet filter log: 61 bytes, filled up to 64.
type PFLog struct{}

func (PFLog) put(inner []byte, next Layer) []byte {
	return join([]byte{61, byte(familyOf(next, 24))}, make([]byte, 62), inner)
}

// IPNet is Solaris' header.
type IPNet struct{}

func (IPNet) put(inner []byte, next Layer) []byte {
	h := make([]byte, 24)
	h[0], h[1] = 1, byte(familyOf(next, 26))
	binary.BigEndian.PutUint32(h[4:], uint32(len(inner)))
	return join(h, inner)
}

// IPoIB is a global routing header and an encapsulation header.
type IPoIB struct{}

func (IPoIB) put(inner []byte, next Layer) []byte {
	return join(make([]byte, 40), put16(EtherTypeOf(next), 0), inner)
}

// FrameRelay has a two-byte address and IP's own identifier.
type FrameRelay struct{}

func (FrameRelay) put(inner []byte, next Layer) []byte {
	id := byte(0xcc)
	if _, six := next.(IPv6); six {
		id = 0x8e
	}
	return join([]byte{0x18, 0x41, 0x03, id}, inner)
}

// PPI is a per-packet information header without fields.
type PPI struct{}

func (PPI) put(inner []byte, next Layer) []byte {
	return join([]byte{0, 0, 8, 0}, little32(uint32(LinkOf(next))), inner)
}

// PKTAP is Darwin's header.
type PKTAP struct{}

func (PKTAP) put(inner []byte, next Layer) []byte {
	return join(little32(108, 1, uint32(LinkOf(next))), make([]byte, 96), inner)
}

// NFLog is netfilter's log with a prefix before the packet, big endian if so
// said.
type NFLog struct{ Big bool }

func (l NFLog) put(inner []byte, next Layer) []byte {
	var order binary.AppendByteOrder = binary.LittleEndian
	if l.Big {
		order = binary.BigEndian
	}
	attr := func(kind uint16, body []byte) []byte {
		return join(order.AppendUint16(order.AppendUint16(nil, uint16(len(body)+4)), kind), body)
	}
	return join([]byte{byte(familyOf(next, 10)), 0, 0, 5}, zeros(attr(10, []byte("drop\x00")), 4), attr(9, inner))
}
