package wire

// Flags of the GRE header's first 16 bits (RFC 2784, 2890, 1701, 2637).
const (
	greChecksum = 0x8000
	greRouting  = 0x4000
	greKey      = 0x2000
	greSequence = 0x1000
	greAck      = 0x0080 // version 1
	greVersion  = 0x0007
)

func (d *Decoder) gre(p *Packet, f []byte, off, end int) {
	if !has(f, off, 4) {
		p.note(missing(f, end))
		return
	}
	flags, t := be16(f[off:]), be16(f[off+2:])
	switch flags & greVersion {
	case 0:
		d.gre0(p, f, off, end, flags, t)
	case 1:
		d.gre1(p, f, off, end, flags, t)
	default:
		p.note(BadTunnel)
	}
}

func (d *Decoder) gre0(p *Packet, f []byte, off, end int, flags, t uint16) {
	off += 4
	if flags&(greChecksum|greRouting) != 0 {
		off += 4
	}
	if flags&greKey != 0 {
		off += 4
	}
	if flags&greSequence != 0 {
		off += 4
	}
	if flags&greRouting != 0 {
		off = greRoutes(f, off)
	}
	switch {
	case t == etherERSPAN2 && flags&greSequence == 0:
		d.enter(p, f, off, end, ERSPAN1, etherBridged)
	case t == etherERSPAN2 || t == etherERSPAN3:
		d.erspan(p, f, off, end)
	case t == etherWCCP:
		// WCCPv2 puts four bytes before the packet, version 1 none.
		if has(f, off, 1) && f[off]>>4 != 4 {
			off += 4
		}
		d.enter(p, f, off, end, GRE, etherIPv4)
	case t >= minEtherType: // less is Cisco's keepalive (0) or unknown
		d.enter(p, f, off, end, GRE, t)
	}
}

// greRoutes steps over the source route entries of RFC 1701.
func greRoutes(f []byte, off int) int {
	for has(f, off, 4) {
		family, size := be16(f[off:]), int(f[off+3])
		off += 4 + size
		if family == 0 && size == 0 {
			return off
		}
	}
	return len(f) + 1 // beyond what is there
}

// gre1 decodes PPTP's GRE (RFC 2637 4.1): PPP with its length in the key.
func (d *Decoder) gre1(p *Packet, f []byte, off, end int, flags, t uint16) {
	if t != etherPPP || flags&greKey == 0 {
		p.note(BadTunnel)
		return
	}
	if !has(f, off, 8) {
		p.note(missing(f, end))
		return
	}
	length := int(be16(f[off+4:]))
	if flags&greSequence == 0 || length == 0 {
		return // an acknowledgement alone
	}
	off += 8 + 4
	if flags&greAck != 0 {
		off += 4
	}
	if off+length < end {
		end = off + length
	}
	d.enter(p, trim(f, end), off, end, GRE, etherPPP)
}

// erspan decodes ERSPAN types II and III (draft-foschiano-erspan): a mirrored
// frame, or packet, behind a header whose first nibble is the version.
func (d *Decoder) erspan(p *Packet, f []byte, off, end int) {
	const size2, size3, subheader = 8, 12, 8
	if off > len(f) || !has(f, off, size2) {
		p.note(missing(f, end))
		return
	}
	switch f[off] >> 4 {
	case 1:
		d.enter(p, f, off+size2, end, ERSPAN2, etherBridged)
	case 2:
		if !has(f, off, size3) {
			p.note(missing(f, end))
			return
		}
		h := f[off : off+size3]
		off += size3
		if h[11]&1 != 0 {
			off += subheader
		}
		d.enter(p, f, off, end, ERSPAN3, erspanType(h[10]>>2&0x1f))
	default:
		p.note(BadTunnel)
	}
}

// erspanType is what the frame type of an ERSPAN III header means.
func erspanType(t uint8) uint16 {
	switch t {
	case 0:
		return etherBridged
	case 2:
		return byVersion
	}
	return etherNone
}
