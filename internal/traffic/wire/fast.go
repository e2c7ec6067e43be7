package wire

// Brief is what most frames are: TCP or UDP over IPv4 without options or
// fragments, directly in Ethernet, whole as its lengths say, and no tunnel. It
// is a tenth of a Packet, and what counting flows needs.
type Brief struct {
	// Src and Dst are IPv4 addresses as numbers (1.2.3.4: 0x01020304).
	Src, Dst         uint32
	SrcPort, DstPort uint16
	Proto, TTL, TOS  uint8
	ID               uint16
	// Flags, Window, Seq and Ack are TCP's; 0 of UDP.
	Flags, Window uint16
	Seq, Ack      uint32
	// IPLen and PayloadLen are by the IP header, bytes.
	IPLen, PayloadLen uint32
	// MACs are the destination's and the source's address.
	MACs *[12]byte
	// Payload is what was captured of it.
	Payload []byte
}

// Read takes a frame that is brief, and tells whether it is; wireLen is its
// length on the wire. What it is not is left to Decode, which says the same of
// a brief frame (a test holds them equal).
func (b *Brief) Read(f []byte, wireLen uint32) bool {
	return b.read(f, max(len(f), int(min(wireLen, noEnd-1))))
}

func (b *Brief) read(f []byte, wire int) bool {
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
		b.Seq, b.Ack = be32(h[l4+4:]), be32(h[l4+8:])
		b.Flags, b.Window = be16(h[l4+12:])&0x1ff, be16(h[l4+14:])
	} else if proto != protoUDP || int(be16(h[l4+4:])) != end-l4 || data > end ||
		udpTunnelPort(src) || udpTunnelPort(dst) || data < len(f) && f[data]>>4 == 6 && teredoPeers(trim(f, end), data, end) {
		return false
	} else {
		b.Seq, b.Ack, b.Flags, b.Window = 0, 0, 0, 0
	}
	b.Src, b.Dst, b.SrcPort, b.DstPort = be32(h[ip+12:]), be32(h[ip+16:]), src, dst
	b.Proto, b.TTL, b.TOS, b.ID = h[ip+9], h[ip+8], h[ip+1], be16(h[ip+4:])
	b.IPLen, b.PayloadLen = uint32(total), uint32(end-data)
	b.MACs, b.Payload = (*[12]byte)(h), nil
	if data < len(f) && data < end { // end may be behind what was stored
		b.Payload = trim(f, end)[data:]
	}
	return true
}

// fast decodes a brief frame; of another p is untouched.
func (p *Packet) fast(f []byte, wire int) bool {
	var b Brief
	if !b.read(f, wire) {
		return false
	}
	if b.Proto == protoTCP {
		p.HasTCP, p.Seq, p.Ack, p.Flags, p.Window = true, b.Seq, b.Ack, b.Flags, b.Window
	}
	p.HasMAC, p.EtherType = true, etherIPv4
	p.DstMAC, p.SrcMAC = [6]byte(b.MACs[:6]), [6]byte(b.MACs[6:])
	p.Kind, p.Version, p.Proto, p.TOS, p.TTL = KindIP, 4, b.Proto, b.TOS, b.TTL
	const ip, l4 = 14, 34
	mapped(&p.Src, f[ip+12:])
	mapped(&p.Dst, f[ip+16:])
	p.Hdr, p.L4, p.IPLen, p.ID = ip, l4, b.IPLen, uint32(b.ID)
	p.HasPorts, p.SrcPort, p.DstPort = true, b.SrcPort, b.DstPort
	p.PayloadLen, p.Payload = b.PayloadLen, b.Payload
	return true
}
