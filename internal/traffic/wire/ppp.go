package wire

// PPP protocol numbers (IANA ppp-numbers) that lead on to IP.
const (
	pppIPv4     = 0x0021
	pppIPv6     = 0x0057
	pppMPLS     = 0x0281
	pppMPLSMult = 0x0283
)

// ppp decodes RFC 1661 with or without the HDLC address and control of
// RFC 1662 and with or without compression of the protocol field.
func (d *Decoder) ppp(p *Packet, f []byte, off, wire int) {
	if has(f, off, 2) && f[off] == 0xff && f[off+1] == 0x03 {
		off += 2
	}
	if !has(f, off, 1) || f[off] == 0xff && !has(f, off, 2) {
		p.fail(missing(f, wire))
		return
	}
	proto := uint16(f[off])
	off++
	if proto&1 == 0 {
		if !has(f, off, 1) {
			p.fail(missing(f, wire))
			return
		}
		proto, off = proto<<8|uint16(f[off]), off+1
	}
	if proto&1 == 0 { // RFC 1661 2: always odd
		p.fail(BadLink)
		return
	}
	switch proto {
	case pppIPv4:
		d.ip4(p, f, off, wire)
	case pppIPv6:
		d.ip6(p, f, off, wire)
	case pppMPLS, pppMPLSMult:
		d.mpls(p, f, off, wire)
	default:
		p.Kind = KindOther
	}
}

// hdlc decodes PPP in HDLC-like framing or Cisco HDLC, told apart by the
// address byte (pcap-linktype PPP_HDLC).
func (d *Decoder) hdlc(p *Packet, f []byte, off, wire int) {
	if has(f, off, 4) && (f[off] == 0x0f || f[off] == 0x8f) {
		d.cisco(p, f, off, wire)
		return
	}
	d.ppp(p, f, off, wire)
}

// cisco decodes Cisco HDLC (RFC 1547 4.3.1): address, control, EtherType.
func (d *Decoder) cisco(p *Packet, f []byte, off, wire int) {
	if !has(f, off, 4) {
		p.fail(missing(f, wire))
		return
	}
	t := be16(f[off+2:])
	if t < minEtherType {
		p.Kind = KindOther
		return
	}
	d.etherType(p, f, off+4, wire, t)
}

// pppoe decodes a session packet of RFC 2516: version and type 1, code 0,
// session, length. A discovery packet has another code. The length is left
// alone: what is inside has its own, and real concentrators get this one wrong.
func (d *Decoder) pppoe(p *Packet, f []byte, off, wire int) {
	if !has(f, off, 6) {
		p.fail(missing(f, wire))
		return
	}
	if f[off] != 0x11 {
		p.fail(BadLink)
		return
	}
	if f[off+1] != 0 {
		p.Kind = KindOther
		return
	}
	d.enter(p, f, off+6, wire, PPPoE, etherPPP)
}
