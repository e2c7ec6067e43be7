package wire

// fast decodes what most frames are: TCP or UDP over IPv4 without options or
// fragments, directly in Ethernet, whole as its lengths say, and no tunnel. It
// tells whether the frame was that; if not, p is untouched. ethernet does all
// that it does: it only saves calls and checks (a test holds them equal).
func (p *Packet) fast(f []byte, wire int) bool {
	const ip, l4, udpSize, least = 14, 34, 8, 54
	if len(f) < least {
		return false
	}
	h := f[:least]
	total := int(be16(h[ip+2:]))
	end := ip + total
	if be16(h[12:]) != etherIPv4 || h[ip] != 0x45 || be16(h[ip+6:])&0x3fff != 0 || end > wire {
		return false
	}
	src, dst := be16(h[l4:]), be16(h[l4+2:])
	data := l4 + udpSize
	if proto := h[ip+9]; proto == protoTCP {
		data = l4 + int(h[l4+12]>>4)*4
		if data < least || data > end {
			return false
		}
		p.HasTCP = true
		p.Seq, p.Ack = be32(h[l4+4:]), be32(h[l4+8:])
		p.Flags, p.Window = be16(h[l4+12:])&0x1ff, be16(h[l4+14:])
	} else if proto != protoUDP || int(be16(h[l4+4:])) != end-l4 || data > end ||
		udpTunnelPort(src) || udpTunnelPort(dst) || teredoPeers(trim(f, end), data, end) {
		return false
	}
	p.HasMAC, p.EtherType = true, etherIPv4
	p.DstMAC, p.SrcMAC = [6]byte(h[:6]), [6]byte(h[6:12])
	p.Kind, p.Version, p.Proto, p.TOS, p.TTL = KindIP, 4, h[ip+9], h[ip+1], h[ip+8]
	mapped(&p.Src, h[ip+12:])
	mapped(&p.Dst, h[ip+16:])
	p.Hdr, p.L4, p.IPLen, p.ID = ip, l4, uint32(total), uint32(be16(h[ip+4:]))
	p.HasPorts, p.SrcPort, p.DstPort = true, src, dst
	p.PayloadLen = uint32(end - data)
	if data < len(f) && data < end { // end may be behind what was stored
		p.Payload = trim(f, end)[data:]
	}
	return true
}
