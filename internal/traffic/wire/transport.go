package wire

// transport decodes what p.Proto names. end is where the IP packet ends.
func (d *Decoder) transport(p *Packet, f []byte, off, end int) {
	if off > len(f) {
		p.note(missing(f, end))
		return
	}
	if p.FragOffset != 0 {
		p.rest(f, off, end)
		return
	}
	switch p.Proto {
	case protoTCP:
		p.tcp(f, off, end)
	case protoUDP:
		d.udp(p, f, off, end)
	case protoICMP:
		p.icmp4(f, off, end)
	case protoICMPv6:
		p.icmp6(f, off, end)
	case protoUDPLite:
		p.ports(f, off, end, 8)
	case protoSCTP:
		p.sctp(f, off, end)
	case protoDCCP:
		p.dccp(f, off, end)
	default:
		p.rest(f, off, end)
		if !d.Outer {
			d.ipTunnel(p, f, off, end)
		}
	}
}

// rest makes all from off on the payload.
func (p *Packet) rest(f []byte, off, end int) {
	if off > end {
		p.note(BadTransport)
		return
	}
	p.PayloadLen = uint32(end - off)
	if off < len(f) {
		p.Payload = f[off:]
	}
}

// ports reads the ports that TCP, UDP, UDP-Lite, SCTP and DCCP begin with and
// makes what is behind a header of the given size the payload. It tells
// whether all of the header was there.
func (p *Packet) ports(f []byte, off, end, size int) bool {
	if !has(f, off, size) {
		if has(f, off, 4) {
			p.HasPorts, p.SrcPort, p.DstPort = true, be16(f[off:]), be16(f[off+2:])
		}
		if off+size < end {
			p.PayloadLen = uint32(end - off - size)
		}
		p.note(p.missing(f, end))
		return false
	}
	p.HasPorts, p.SrcPort, p.DstPort = true, be16(f[off:]), be16(f[off+2:])
	p.rest(f, off+size, end)
	return true
}

// missing is the function of that name, but for a first fragment: the rest of
// the header is in the next one.
func (p *Packet) missing(f []byte, end int) Problem {
	if p.MoreFragments && len(f) >= end {
		return NoProblem
	}
	return missing(f, end)
}

// tcp decodes RFC 9293 3.1.
func (p *Packet) tcp(f []byte, off, end int) {
	if !p.ports(f, off, end, 20) {
		return
	}
	h := f[off : off+20]
	p.HasTCP = true
	p.Seq, p.Ack = be32(h[4:]), be32(h[8:])
	p.Flags, p.Window = be16(h[12:])&0x1ff, be16(h[14:])
	size := int(h[12]>>4) * 4
	if size == 20 {
		return
	}
	p.Payload, p.PayloadLen = nil, 0
	if size < 20 {
		p.note(BadTransport)
		return
	}
	p.rest(f, off+size, end)
}

// udp decodes RFC 768; what it carries may be a tunnel.
func (d *Decoder) udp(p *Packet, f []byte, off, end int) {
	if !p.ports(f, off, end, 8) {
		return
	}
	length := int(be16(f[off+4:]))
	if length != 0 && (length < 8 || length > end-off) && !p.MoreFragments {
		p.note(BadTransport)
		return
	}
	if p.MoreFragments {
		end = noEnd
	} else if length != 0 {
		end = off + length
		f = trim(f, end)
	}
	switch {
	case d.Outer:
	case udpTunnelPort(p.DstPort) || udpTunnelPort(p.SrcPort):
		d.udpTunnel(p, f, off+8, end)
	case teredoPeers(f, off+8, end):
		d.enter(p, f, off+8, end, Teredo, etherIPv6)
	}
}

// sctp decodes RFC 9260 3: the common header, and the first chunk's type.
func (p *Packet) sctp(f []byte, off, end int) {
	if p.ports(f, off, end, 12) && len(p.Payload) > 0 {
		p.Flags = uint16(p.Payload[0])
	}
}

// dccp decodes RFC 4340 5.1: ports, data offset, packet type.
func (p *Packet) dccp(f []byte, off, end int) {
	if !p.ports(f, off, end, 12) {
		return
	}
	size := int(f[off+4]) * 4
	p.Flags = uint16(f[off+8] >> 1 & 15)
	p.Payload, p.PayloadLen = nil, 0
	if size < 12 {
		p.note(BadTransport)
		return
	}
	p.rest(f, off+size, end)
}

// ipTunnel enters the protocols that carry packets.
func (d *Decoder) ipTunnel(p *Packet, f []byte, off, end int) {
	if p.MoreFragments {
		end = noEnd
	}
	switch p.Proto {
	case protoIPv4:
		d.enter(p, f, off, end, IPInIP, etherIPv4)
	case protoIPv6:
		t := IPInIP
		if p.Version == 4 {
			t = SixInFour
		}
		d.enter(p, f, off, end, t, etherIPv6)
	case protoGRE:
		d.gre(p, f, off, end)
	case protoEtherIP:
		d.etherIP(p, f, off, end)
	case protoL2TP:
		if !d.l2tp3(p, f, off, end) {
			p.untold(f, off, end)
		}
	case protoMPLS:
		d.mpls(p, f, off, end)
	}
}

// etherIP decodes RFC 3378: version 3, twelve zero bits, a frame.
func (d *Decoder) etherIP(p *Packet, f []byte, off, end int) {
	if !has(f, off, 2) {
		p.note(missing(f, end))
		return
	}
	if be16(f[off:]) != 0x3000 {
		p.note(BadTunnel)
		return
	}
	d.enter(p, f, off+2, end, EtherIP, etherBridged)
}
