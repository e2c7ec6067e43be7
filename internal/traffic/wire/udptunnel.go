package wire

// UDP ports of tunnels (IANA service-names-port-numbers; 8472 is Linux' own
// for VXLAN).
const (
	portL2TP     = 1701
	portGTPU     = 2152
	portTeredo   = 3544
	portGRE      = 4754 // RFC 8086
	portVXLAN    = 4789
	portVXLANGPE = 4790
	portGeneve   = 6081
	portMPLS     = 6635 // RFC 7510
	portVXLANOld = 8472
)

func udpTunnelPort(port uint16) bool {
	switch port {
	case portL2TP, portGTPU, portTeredo, portGRE, portVXLAN, portVXLANGPE,
		portGeneve, portMPLS, portVXLANOld:
		return true
	}
	return false
}

// enoughToTell is how much of a datagram tells whether it is a tunnel's: any
// tunnel header and the headers inside by which it is believed.
const enoughToTell = 64

// udpTunnel enters a datagram whose port is a tunnel's and whose header is
// well-formed as that tunnel's; any other is just a datagram.
func (d *Decoder) udpTunnel(p *Packet, f []byte, off, end int) {
	if end <= off {
		return
	}
	if d.udpTunnelBy(p.DstPort, p, f, off, end) || d.udpTunnelBy(p.SrcPort, p, f, off, end) {
		return
	}
	p.untold(f, off, end)
}

// untold notes that the capture stored too little to tell a tunnel.
func (p *Packet) untold(f []byte, off, end int) {
	if !has(f, off, enoughToTell) && len(f) < end && !p.MoreFragments {
		p.note(Cut)
	}
}

// udpTunnelBy tries one port's tunnel and tells whether it was that.
func (d *Decoder) udpTunnelBy(port uint16, p *Packet, f []byte, off, end int) bool {
	switch port {
	case portVXLAN, portVXLANOld, portVXLANGPE:
		return d.vxlan(p, f, off, end, port == portVXLANGPE)
	case portGeneve:
		return d.geneve(p, f, off, end)
	case portGTPU:
		return d.gtpu(p, f, off, end)
	case portL2TP:
		return d.l2tp(p, f, off, end)
	case portTeredo:
		return d.teredo(p, f, off, end)
	case portMPLS:
		return d.udpMPLS(p, f, off, end)
	case portGRE:
		return d.udpGRE(p, f, off, end)
	}
	return false
}

// vxlan decodes RFC 7348, the group policy extension
// (draft-smith-vxlan-group-policy) and VXLAN-GPE (draft-ietf-nvo3-vxlan-gpe),
// whose next protocol counts on its own port or with its flag.
func (d *Decoder) vxlan(p *Packet, f []byte, off, end int, gpe bool) bool {
	const vni, policy, next = 0x08, 0x80, 0x04
	if !has(f, off, 8) {
		return false
	}
	h := f[off : off+8]
	reserved := uint16(h[1]) | be16(h[2:])
	if h[0]&vni == 0 || h[0]&0x40 != 0 || h[7] != 0 {
		return false
	}
	if h[0]&next != 0 {
		d.enter(p, f, off+8, end, VXLAN, gpeProtocol(h[3]))
		return true
	}
	if h[0]&policy == 0 && reserved != 0 || gpe && h[3] != 0 {
		return false
	}
	d.enter(p, f, off+8, end, VXLAN, etherBridged)
	return true
}

// gpeProtocol is the EtherType of a next protocol number of VXLAN-GPE and NSH
// (RFC 8300 2.2).
func gpeProtocol(n uint8) uint16 {
	switch n {
	case 1:
		return etherIPv4
	case 2:
		return etherIPv6
	case 3:
		return etherBridged
	case 4:
		return etherNSH
	case 5:
		return etherMPLS
	}
	return etherNone
}

// nsh decodes a network service header (RFC 8300 2.2): version 0, length in
// words in the low six bits, next protocol in the fourth byte.
func (d *Decoder) nsh(p *Packet, f []byte, off, wire int) {
	if !has(f, off, 8) {
		d.unreadable(p, missing(f, wire))
		return
	}
	size := int(f[off+1]&0x3f) * 4
	if f[off]>>6 != 0 || size < 8 {
		d.unreadable(p, BadTunnel)
		return
	}
	d.enter(p, f, off+size, wire, NSH, gpeProtocol(f[off+3]))
}

// geneve decodes RFC 8926 3.4: version 0, options' length in words, flags,
// protocol, identifier, a zero byte.
func (d *Decoder) geneve(p *Packet, f []byte, off, end int) bool {
	if !has(f, off, 8) {
		return false
	}
	h := f[off : off+8]
	if h[0]>>6 != 0 || h[1]&0x3f != 0 || h[7] != 0 {
		return false
	}
	inside := off + 8 + int(h[0]&0x3f)*4
	t := be16(h[2:])
	if t < minEtherType || inside > end {
		return false
	}
	d.enter(p, f, inside, end, Geneve, t)
	return true
}

// gtpu decodes a G-PDU of GTP version 1 (3GPP TS 29.281 5.1, 5.2) that
// carries an IP packet.
func (d *Decoder) gtpu(p *Packet, f []byte, off, end int) bool {
	const version1, gPDU, optional, extended = 0x30, 255, 0x07, 0x04
	if !has(f, off, 8) {
		return false
	}
	h := f[off : off+8]
	pduEnd := off + 8 + int(be16(h[2:]))
	if h[0]&0xf8 != version1 || h[1] != gPDU || pduEnd > end {
		return false
	}
	f = trim(f, pduEnd)
	off += 8
	if h[0]&optional != 0 {
		off += 4
		if h[0]&extended != 0 {
			off = gtpuExtensions(f, off)
		}
	}
	if has(f, off, 1) && f[off]>>4 != 4 && f[off]>>4 != 6 {
		return true // PPP or an Ethernet frame: the session tells, not the packet
	}
	d.enter(p, f, off, pduEnd, GTPU, byVersion)
	return true
}

// gtpuExtensions steps over extension headers, off being behind the type of
// the first: length in words, content, the next one's type.
func gtpuExtensions(f []byte, off int) int {
	for off <= len(f) && f[off-1] != 0 {
		if !has(f, off, 1) || f[off] == 0 {
			return len(f) + 1
		}
		off += int(f[off]) * 4
	}
	return off
}

func (d *Decoder) udpMPLS(p *Packet, f []byte, off, end int) bool {
	for n, at := 0, off; n < maxLabels && has(f, at, 4); n, at = n+1, at+4 {
		if f[at+2]&1 == 0 {
			continue
		}
		at += 4
		if !has(f, at, 1) || !(likeIPv4(f, at, end) || likeIPv6(f, at, end) ||
			likeFrame(f, at, end) || likeFrame(f, at+4, end)) {
			return false
		}
		d.mpls(p, f, off, end)
		return true
	}
	return false
}

// udpGRE decodes RFC 8086: GRE version 0 without routing.
func (d *Decoder) udpGRE(p *Packet, f []byte, off, end int) bool {
	if !has(f, off, 4) || be16(f[off:])&^(greChecksum|greKey|greSequence) != 0 ||
		be16(f[off+2:]) < minEtherType {
		return false
	}
	d.gre(p, f, off, end)
	return true
}
