package wire

// mpls steps over a label stack (RFC 3032) and enters what the packet's first
// nibble makes of it (RFC 4928, RFC 4385).
func (d *Decoder) mpls(p *Packet, f []byte, off, wire int) {
	const bottom = 0x01
	for n := 0; ; n++ {
		if n == maxLabels {
			d.unreadable(p, TooDeep)
			return
		}
		if !has(f, off, 4) {
			d.unreadable(p, missing(f, wire))
			return
		}
		off += 4
		if f[off-2]&bottom != 0 {
			break
		}
	}
	skip, t := underLabels(f, off, wire)
	d.enter(p, f, off+skip, wire, MPLS, t)
}

// underLabels tells what follows a label stack, which says nothing of it: an
// IP packet by its version, or a pseudowire's frame with or without a control
// word. A frame whose address begins like an IP version is told by its
// EtherType. skip is the control word's length.
func underLabels(f []byte, off, wire int) (skip int, etherType uint16) {
	if !has(f, off, 1) {
		return 0, byVersion
	}
	nibble := f[off] >> 4
	frame := likeFrame(f, off, wire)
	switch {
	case nibble == 4 && (!frame || likeIPv4(f, off, wire)):
		return 0, etherIPv4
	case nibble == 6 && (!frame || likeIPv6(f, off, wire)):
		return 0, etherIPv6
	case nibble == 0 && (!frame || likeFrame(f, off+4, wire)):
		return 4, etherBridged
	case frame:
		return 0, etherBridged
	}
	return 0, etherNone // pseudowire control (RFC 4385 5) or not to be told
}

// likeFrame tells whether an Ethernet frame that leads somewhere is at off.
func likeFrame(f []byte, off, wire int) bool {
	if !has(f, off, 15) {
		return false
	}
	t, b := be16(f[off+12:]), f[off+14]
	switch t {
	case etherIPv4:
		return b>>4 == 4
	case etherIPv6:
		return b>>4 == 6
	case etherVLAN, etherSVLAN, etherQinQ, etherMPLS, etherPPPoE, etherPPPoE - 1,
		0x0806, 0x8035, 0x8809, 0x888e, 0x88cc, 0x8902, 0x9000: // ARP, RARP, LACP, 802.1X, LLDP, CFM, loopback
		return true
	}
	// Spanning tree, IS-IS or SNAP behind a length.
	return t < minEtherType && off+14+int(t) <= wire && (b == 0x42 || b == 0xfe || b == 0xaa) && f[off+12] < 6
}

// likeIPv4 tells whether an IPv4 header that fits is at off.
func likeIPv4(f []byte, off, wire int) bool {
	if !has(f, off, 20) {
		return has(f, off, 1) && f[off]>>4 == 4
	}
	total := int(be16(f[off+2:]))
	return f[off]>>4 == 4 && f[off]&15 >= 5 && total >= 20 && off+total <= wire
}

// likeIPv6 tells whether an IPv6 header that fits is at off.
func likeIPv6(f []byte, off, wire int) bool {
	if !has(f, off, 40) {
		return has(f, off, 1) && f[off]>>4 == 6
	}
	return f[off]>>4 == 6 && off+40+int(be16(f[off+4:])) <= wire
}
