package wire

// l2tp decodes a data message of L2TP version 2 (RFC 2661 3.1), which carries
// PPP, or of version 3 over UDP (RFC 3931 4.1.2.1).
func (d *Decoder) l2tp(p *Packet, f []byte, off, end int) bool {
	const control, length, sequence, offset, reserved = 0x8000, 0x4000, 0x0800, 0x0200, 0x34f0
	if !has(f, off, 8) {
		return false
	}
	flags := be16(f[off:])
	if flags == 3 && be16(f[off+2:]) == 0 {
		return d.l2tp3(p, f, off+4, end)
	}
	if flags&15 != 2 || flags&(control|reserved) != 0 {
		return false
	}
	at := off + 2
	if flags&length != 0 {
		inner := off + int(be16(f[at:]))
		if inner > end || inner < off+8 {
			return false
		}
		end, at = inner, at+2
		f = trim(f, end)
	}
	at += 4 // tunnel and session
	if flags&sequence != 0 {
		at += 4
	}
	if flags&offset != 0 {
		if !has(f, at, 2) {
			return false
		}
		at += 2 + int(be16(f[at:]))
	}
	d.enter(p, f, at, end, L2TP, etherPPP)
	return true
}

// l2tp3 decodes a data message of L2TP version 3 (RFC 3931 4.1.1.1), f[off:]
// being its session identifier. What follows is agreed out of band: a cookie
// of 0, 4 or 8 bytes, a sublayer header of 0 or 4, and some frame. It is
// entered where one of these gives an Ethernet frame whose IP packet is whole
// to the byte.
func (d *Decoder) l2tp3(p *Packet, f []byte, off, end int) bool {
	const maxBetween = 12
	if !has(f, off, 4) || be32(f[off:]) == 0 { // 0: control
		return false
	}
	for at := off + 4; at <= off+4+maxBetween; at += 4 {
		if wholeFrame(f, at, end) {
			d.enter(p, f, at, end, L2TP, etherBridged)
			return true
		}
	}
	return false
}

// wholeFrame tells whether an Ethernet frame at off carries an IP packet that
// fills it, but for the padding to the least frame length.
func wholeFrame(f []byte, off, end int) bool {
	const minPayload = 46
	if !has(f, off, 14+20) {
		return false
	}
	rest := end - off - 14
	switch h := f[off+14:]; be16(f[off+12:]) {
	case etherIPv4:
		total := int(be16(h[2:]))
		return h[0]>>4 == 4 && h[0]&15 >= 5 && sum4(h[:20]) &&
			(total == rest || total < rest && rest <= minPayload)
	case etherIPv6:
		return h[0]>>4 == 6 && int(be16(h[4:]))+40 == rest
	}
	return false
}

// sum4 tells whether an IPv4 header without options has the right checksum;
// one with options is taken as right.
func sum4(h []byte) bool {
	if h[0]&15 != 5 {
		return true
	}
	var sum uint32
	for i := 0; i < 20; i += 2 {
		sum += uint32(be16(h[i:]))
	}
	return sum&0xffff+sum>>16 == 0xffff
}
