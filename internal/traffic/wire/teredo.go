package wire

// teredo decodes RFC 4380 5.1.1: authentication and origin indications, either
// of which may be absent, then an IPv6 packet.
func (d *Decoder) teredo(p *Packet, f []byte, off, end int) bool {
	const authentication, origin = 1, 0
	if has(f, off, 4) && be16(f[off:]) == authentication {
		off += 4 + int(f[off+2]) + int(f[off+3]) + 8 + 1
	}
	if has(f, off, 8) && be16(f[off:]) == origin {
		off += 8
	}
	if !has(f, off, 1) || !likeIPv6(f, off, end) {
		return false
	}
	d.enter(p, f, off, end, Teredo, etherIPv6)
	return true
}

// teredoPeers tells whether a datagram between any ports is one that two
// Teredo clients, or a client and a relay, exchange: nothing but an IPv6
// packet from or to an address of Teredo's (2001::/32, RFC 4380 2.6), whole to
// the byte; or a bubble, which has no payload but maybe trailers (RFC 6081 4).
func teredoPeers(f []byte, off, end int) bool {
	const prefix, header, next, src, dst = 0x20010000, 40, 6, 8, 24
	if !has(f, off, header) || f[off]>>4 != 6 {
		return false
	}
	length := int(be16(f[off+4:]))
	bubble := length == 0 && f[off+next] == protoNoNext
	if !bubble && off+header+length != end {
		return false
	}
	return be32(f[off+src:]) == prefix || be32(f[off+dst:]) == prefix
}
