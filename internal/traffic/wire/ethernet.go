package wire

// EtherTypes (IANA ieee-802-numbers) that lead on to IP.
const (
	etherIPv4     = 0x0800
	etherIPv6     = 0x86dd
	etherVLAN     = 0x8100 // 802.1Q
	etherSVLAN    = 0x88a8 // 802.1ad
	etherQinQ     = 0x9100 // 802.1ad as it was before the standard
	etherVNTag    = 0x8926
	etherETag     = 0x893f // 802.1BR
	etherRTag     = 0xf1c1 // 802.1CB
	etherITag     = 0x88e7 // 802.1ah, with the customer's addresses
	etherCMD      = 0x8909 // Cisco metadata (security group tag)
	etherMACsec   = 0x88e5
	etherMPLS     = 0x8847
	etherMPLSMult = 0x8848
	etherPPPoE    = 0x8864 // session; 0x8863 is discovery
	etherPPP      = 0x880b
	etherBridged  = 0x6558 // transparent Ethernet bridging
	etherERSPAN2  = 0x88be
	etherERSPAN3  = 0x22eb
	etherNSH      = 0x894f
	etherWCCP     = 0x883e
	etherNone     = 0xffff // reserved: stands for what is no IP

	// byVersion stands for an IP packet of either version; no EtherType.
	byVersion = 0
	// minEtherType is the smallest value that is no length (802.3 3.2.6).
	minEtherType = 0x0600
)

func (d *Decoder) ethernet(p *Packet, f []byte, off, wire int) {
	if !has(f, off, 14) {
		p.fail(missing(f, wire))
		return
	}
	h := f[off : off+14]
	t := be16(h[12:])
	if p.Depth == 0 {
		p.HasMAC, p.EtherType = true, t
		p.DstMAC, p.SrcMAC = [6]byte(h[:6]), [6]byte(h[6:12])
	}
	if t == etherIPv4 {
		d.ip4(p, f, off+14, wire)
		return
	}
	d.etherType(p, f, off+14, wire, t)
}

// etherType decodes what follows an EtherType (or, below minEtherType, an
// 802.3 length), tags first.
func (d *Decoder) etherType(p *Packet, f []byte, off, wire int, t uint16) {
	for tags := 0; ; tags++ {
		n := tagLen(f, off, t)
		if n == 0 {
			break
		}
		if tags == maxTags {
			p.fail(TooDeep)
			return
		}
		if !has(f, off, n) {
			p.fail(missing(f, wire))
			return
		}
		if p.Depth == 0 && (t == etherVLAN || t == etherSVLAN || t == etherQinQ) {
			p.innerVLAN(be16(f[off:]))
		}
		t, off = be16(f[off+n-2:]), off+n
	}
	if p.Depth == 0 {
		p.EtherType = t
	}
	d.network(p, f, off, wire, t)
}

// tagLen is the length of the tag that an EtherType announces, the EtherType
// at its end included; 0: no tag.
func tagLen(f []byte, off int, t uint16) int {
	switch t {
	case etherVLAN, etherSVLAN, etherQinQ:
		return 4
	case etherVNTag, etherRTag:
		return 6
	case etherETag, etherCMD:
		return 8
	case etherITag:
		return 4 + 12 + 2
	case etherMACsec:
		return macsecLen(f, off)
	}
	return 0
}

// macsecLen is the SecTAG's length (802.1AE 9.3) with the EtherType behind it,
// where the frame is signed only; 0 where it is encrypted.
func macsecLen(f []byte, off int) int {
	const sci, encrypted, changed = 0x20, 0x08, 0x04
	if !has(f, off, 1) || f[off]&(encrypted|changed) != 0 {
		return 0
	}
	if f[off]&sci != 0 {
		return 6 + 8 + 2
	}
	return 6 + 2
}

// innerVLAN puts a tag behind those found so far.
func (p *Packet) innerVLAN(tci uint16) {
	if int(p.VLANCount) < len(p.VLANs) {
		p.VLANs[p.VLANCount] = tci & vlanIDMask
	}
	p.VLANCount++
}

func (d *Decoder) network(p *Packet, f []byte, off, wire int, t uint16) {
	switch t {
	case etherIPv4:
		d.ip4(p, f, off, wire)
	case etherIPv6:
		d.ip6(p, f, off, wire)
	case etherMPLS, etherMPLSMult:
		d.mpls(p, f, off, wire)
	case etherPPPoE:
		d.pppoe(p, f, off, wire)
	case etherPPP:
		d.ppp(p, f, off, wire)
	case etherNSH:
		d.nsh(p, f, off, wire)
	default:
		if t < minEtherType {
			d.llc(p, f, off, wire)
			return
		}
		p.Kind = KindOther
	}
}

// llc decodes an IEEE 802.2 header: IP behind SNAP (RFC 1042), or by its own
// service access point (RFC 948). All else is no IP.
func (d *Decoder) llc(p *Packet, f []byte, off, wire int) {
	if !has(f, off, 3) {
		p.fail(missing(f, wire))
		return
	}
	p.Kind = KindOther
	switch {
	case f[off] == 0x06 && f[off+1] == 0x06 && f[off+2] == 0x03:
		d.ip4(p, f, off+3, wire)
	case f[off] == 0xaa && f[off+1] == 0xaa && f[off+2] == 0x03:
		d.snap(p, f, off+3, wire)
	}
}

// snap decodes a protocol identifier: an EtherType where the organisation is
// 0 (RFC 1042) or 0x0000f8 (802.1H), which must lead to no other LLC or tag.
func (d *Decoder) snap(p *Packet, f []byte, off, wire int) {
	if !has(f, off, 5) {
		p.fail(missing(f, wire))
		return
	}
	oui, t := be32(f[off:])>>8, be16(f[off+3:])
	if (oui != 0 && oui != 0x0000f8) || t < minEtherType {
		return
	}
	if p.Depth == 0 {
		p.EtherType = t
	}
	d.network(p, f, off+5, wire, t)
}
