package wire

// icmp4 decodes RFC 792.
func (p *Packet) icmp4(f []byte, off, end int) {
	if !p.icmp(f, off, end) {
		return
	}
	switch p.ICMPType {
	case 0, 8, 13, 14, 15, 16, 17, 18, 42, 43:
		p.ICMPID = be16(f[off+4:])
	case 3, 4, 5, 11, 12:
		p.quote(f, off+8)
	}
}

// icmp6 decodes RFC 4443.
func (p *Packet) icmp6(f []byte, off, end int) {
	if !p.icmp(f, off, end) {
		return
	}
	switch p.ICMPType {
	case 128, 129, 160, 161:
		p.ICMPID = be16(f[off+4:])
	case 1, 2, 3, 4:
		p.quote(f, off+8)
	}
}

// icmp reads type and code, and tells whether the eight bytes that all
// messages of interest have were there.
func (p *Packet) icmp(f []byte, off, end int) bool {
	if has(f, off, 2) {
		p.HasICMP, p.ICMPType, p.ICMPCode = true, f[off], f[off+1]
	}
	if !has(f, off, 8) {
		// Four bytes are a whole message of some old types.
		if !has(f, off, 4) || end-off >= 8 {
			p.note(p.missing(f, end))
		}
		return false
	}
	p.rest(f, off+8, end)
	return true
}

// quote reads the packet that an error message carries.
func (p *Packet) quote(f []byte, off int) {
	if !has(f, off, 20) {
		return
	}
	switch f[off] >> 4 {
	case 4:
		p.quote4(f, off)
	case 6:
		if has(f, off, 40) {
			p.quote6(f, off)
		}
	}
}

func (p *Packet) quote4(f []byte, off int) {
	h := f[off : off+20]
	hl := int(h[0]&15) * 4
	if hl < 20 {
		return
	}
	q := &p.Quote
	p.HasQuote = true
	q.Proto = h[9]
	mapped(&q.Src, h[12:16])
	mapped(&q.Dst, h[16:20])
	if be16(h[6:])&0x1fff == 0 {
		q.behind(f, off+hl, q.Proto == protoAH)
	}
}

func (p *Packet) quote6(f []byte, off int) {
	h := f[off : off+40]
	q := &p.Quote
	p.HasQuote = true
	q.Proto, q.Src, q.Dst = h[6], [16]byte(h[8:24]), [16]byte(h[24:40])
	q.behind(f, off+40, true)
}

// behind finds the ports, behind extension headers where there are any.
func (q *Quote) behind(f []byte, off int, extended bool) {
	for n := 0; extended && isExtension(q.Proto) && n < maxExtensions; n++ {
		if !has(f, off, 8) {
			return
		}
		if q.Proto == protoFragment && be16(f[off+2:])&^7 != 0 {
			q.Proto = f[off]
			return
		}
		next, size := f[off], extensionLen(q.Proto, f[off+1])
		q.Proto, off = next, off+size
	}
	if hasPorts(q.Proto) && has(f, off, 4) {
		q.HasPorts, q.SrcPort, q.DstPort = true, be16(f[off:]), be16(f[off+2:])
	}
}

func hasPorts(proto uint8) bool {
	switch proto {
	case protoTCP, protoUDP, protoUDPLite, protoSCTP, protoDCCP:
		return true
	}
	return false
}
