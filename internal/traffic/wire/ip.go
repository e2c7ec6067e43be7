package wire

// Protocol numbers (IANA protocol-numbers).
const (
	protoHopByHop = 0
	protoICMP     = 1
	protoIPv4     = 4
	protoTCP      = 6
	protoUDP      = 17
	protoDCCP     = 33
	protoIPv6     = 41
	protoRouting  = 43
	protoFragment = 44
	protoGRE      = 47
	protoAH       = 51
	protoICMPv6   = 58
	protoNoNext   = 59
	protoDstOpts  = 60
	protoEtherIP  = 97
	protoL2TP     = 115
	protoSCTP     = 132
	protoMobility = 135
	protoUDPLite  = 136
	protoMPLS     = 137
	protoHIP      = 139
	protoShim6    = 140
)

// ip4 decodes an IPv4 packet (RFC 791).
func (d *Decoder) ip4(p *Packet, f []byte, off, wire int) {
	if !has(f, off, 20) {
		p.fail(missing(f, wire))
		return
	}
	h := f[off : off+20]
	hl := int(h[0]&15) * 4
	if h[0]>>4 != 4 || hl < 20 || off > maxOffset {
		p.fail(BadIPHeader)
		return
	}
	total := int(be16(h[2:]))
	if total < hl {
		if total != 0 || wire-off < hl {
			p.fail(BadIPLength)
			return
		}
		total = restOf(f, off, wire) // segmentation offload
	}
	p.Kind, p.Version, p.Proto, p.TOS, p.TTL = KindIP, 4, h[9], h[1], h[8]
	mapped(&p.Src, h[12:16])
	mapped(&p.Dst, h[16:20])
	p.Hdr, p.L4, p.IPLen = uint16(off), uint16(off+hl), uint32(total)
	p.ID = uint32(be16(h[4:]))
	end := off + total
	if end > wire {
		p.Problem = BadIPLength
	}
	f = trim(f, end)
	if frag := be16(h[6:]); frag&0x3fff != 0 {
		p.fragment(frag<<3, frag&0x2000 != 0)
	}
	d.behind4(p, f, off+hl, end)
}

// mapped writes an IPv4 address as the 16 bytes in which Packet holds it. to
// is zero before: Decode cleared it.
func mapped(to *[16]byte, a []byte) {
	to[10], to[11] = 0xff, 0xff
	*(*[4]byte)(to[12:16]) = [4]byte(a[:4])
}

// restOf is the length of a packet that does not tell it.
func restOf(f []byte, off, wire int) int {
	if wire == noEnd {
		return len(f) - off
	}
	return wire - off
}

func (p *Packet) fragment(offset uint16, more bool) {
	p.IsFragment, p.FragOffset, p.MoreFragments = true, offset, more
}

// behind4 goes on behind an IPv4 header: an authentication header is stepped
// over, all else is the transport.
func (d *Decoder) behind4(p *Packet, f []byte, off, end int) {
	if p.Proto == protoAH && p.FragOffset == 0 {
		d.extensions(p, f, off, end)
		return
	}
	d.transport(p, f, off, end)
}

// ip6 decodes an IPv6 packet (RFC 8200).
func (d *Decoder) ip6(p *Packet, f []byte, off, wire int) {
	if !has(f, off, 40) {
		p.fail(missing(f, wire))
		return
	}
	h := f[off : off+40]
	if h[0]>>4 != 6 || off > maxOffset {
		p.fail(BadIPHeader)
		return
	}
	length := int(be16(h[4:]))
	if length == 0 {
		length = d.unsaid6(f, off, wire, h[6])
	}
	p.Kind, p.Version, p.Proto = KindIP, 6, h[6]
	p.TOS, p.TTL = h[0]<<4|h[1]>>4, h[7]
	p.Src, p.Dst = [16]byte(h[8:24]), [16]byte(h[24:40])
	p.Hdr, p.L4, p.IPLen = uint16(off), uint16(off+40), uint32(length+40)
	end := off + 40 + length
	if end > wire {
		p.Problem = BadIPLength
	}
	f = trim(f, end)
	if isExtension(h[6]) {
		d.extensions(p, f, off+40, end)
		return
	}
	d.transport(p, f, off+40, end)
}

// unsaid6 is the payload length of a packet that says 0: none, a jumbogram's,
// or a segmentation offload's, which is what was on the wire.
func (d *Decoder) unsaid6(f []byte, off, wire int, next uint8) int {
	const minHeader = 8 // no transport fits in less; Ethernet pads with up to 6
	if next == protoHopByHop {
		if n, ok := jumbo(f, off+40); ok {
			return n
		}
	}
	rest := restOf(f, off, wire) - 40
	if next == protoNoNext || rest < minHeader {
		return 0
	}
	return rest
}

// jumbo finds the jumbo payload option (RFC 2675) in the hop-by-hop header.
func jumbo(f []byte, off int) (int, bool) {
	const pad1, jumboOption = 0, 0xc2
	if !has(f, off, 2) {
		return 0, false
	}
	opts := trim(f, off+(int(f[off+1])+1)*8)[off+2:]
	for len(opts) >= 2 {
		if opts[0] == pad1 {
			opts = opts[1:]
			continue
		}
		n := int(opts[1]) + 2
		if opts[0] == jumboOption && n == 6 && len(opts) >= 6 {
			length := be32(opts[2:])
			return int(length), length > 0xffff && length < noEnd/2
		}
		if n > len(opts) {
			break
		}
		opts = opts[n:]
	}
	return 0, false
}
