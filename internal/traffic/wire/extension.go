package wire

// isExtension tells whether a protocol number is an IPv6 extension header that
// can be stepped over (RFC 7045, IANA ipv6-parameters). ESP cannot.
func isExtension(proto uint8) bool {
	switch proto {
	case protoHopByHop, protoRouting, protoFragment, protoDstOpts, protoAH,
		protoMobility, protoHIP, protoShim6:
		return true
	}
	return false
}

// extensions steps over extension headers, from that which p.Proto names, to
// the transport. In IPv4 only AH is one.
func (d *Decoder) extensions(p *Packet, f []byte, off, end int) {
	for n := 0; isExtension(p.Proto) && (p.Version == 6 || p.Proto == protoAH); n++ {
		if n == maxExtensions || off > maxOffset {
			p.note(TooDeep)
			return
		}
		if !has(f, off, 8) {
			p.note(p.missing(f, end))
			return
		}
		h, next := f[off:off+8], f[off]
		size := extensionLen(p.Proto, h[1])
		if off+size > end {
			p.note(BadExtension)
			return
		}
		later := p.Proto == protoFragment && p.fragment6(h)
		if next == protoNoNext && isMessage(p.Proto) {
			break
		}
		p.Proto, off = next, off+size
		p.L4 = uint16(off)
		if later {
			break
		}
	}
	d.transport(p, f, off, end)
}

// isMessage tells the extension headers that are what a packet is for when
// nothing follows: mobility (RFC 6275), HIP (RFC 7401), shim6 (RFC 5533).
func isMessage(proto uint8) bool {
	return proto == protoMobility || proto == protoHIP || proto == protoShim6
}

// extensionLen is an extension header's length in bytes by its length field.
func extensionLen(proto, length uint8) int {
	switch proto {
	case protoFragment:
		return 8
	case protoAH:
		return (int(length) + 2) * 4 // RFC 4302 2.2
	}
	return (int(length) + 1) * 8
}

// fragment6 reads a fragment header (RFC 8200 4.5) and tells whether it is a
// later fragment's, behind which no header follows. An atomic fragment
// (RFC 6946) is none.
func (p *Packet) fragment6(h []byte) bool {
	at := be16(h[2:])
	offset, more := at&^7, at&1 != 0
	if offset == 0 && !more {
		return false
	}
	p.ID = be32(h[4:])
	p.fragment(offset, more)
	return offset != 0
}
