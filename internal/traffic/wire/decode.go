package wire

// Limits of what is followed. A frame that nests more is TooDeep.
const (
	maxTunnels    = 16
	maxTags       = 16
	maxExtensions = 64
	maxLabels     = 32
)

// maxOffset is the last place in a frame where an IP header is looked for, so
// that Hdr and L4 fit (extension headers come on top).
const maxOffset = 0xff00

// noEnd is the end of what a first fragment carries: not known.
const noEnd = 1 << 30

// Decoder reads frames. Its zero value goes to the innermost packet. It keeps
// no state: one may serve several goroutines.
type Decoder struct {
	// Outer stops at the outermost IP packet. MPLS and PPPoE before it are
	// still followed.
	Outer bool
}

// Decode reads the headers of a frame of the given link type into p. wireLen
// is the frame's length on the wire, frame what was stored of it. All of p is
// overwritten; p.Payload points into frame.
func (d *Decoder) Decode(link LinkType, frame []byte, wireLen uint32, p *Packet) {
	*p = Packet{}
	wire := max(len(frame), int(min(wireLen, noEnd-1)))
	if link == LinkEthernet {
		if !p.fast(frame, wire) {
			d.ethernet(p, frame, 0, wire)
		}
		return
	}
	d.link(link, p, frame, 0, wire)
}

// All decoding methods share their arguments: f is the frame from its first
// byte to the last stored one of the layer in hand, off where the layer
// begins (0 ≤ off ≤ len(f)), wire where it ends on the wire or by the length
// fields around it (len(f) ≤ wire, but for a packet that claims more than
// carries it).

// fail ends decoding without a result.
func (p *Packet) fail(pr Problem) {
	p.Kind, p.Problem = KindUndecoded, pr
}

// note keeps the first problem behind a readable IP header.
func (p *Packet) note(pr Problem) {
	if p.Problem == NoProblem {
		p.Problem = pr
	}
}

// missing says why a header is not all there.
func missing(f []byte, wire int) Problem {
	if len(f) < wire {
		return Cut
	}
	return Short
}

// trim shortens f to the end of a layer.
func trim(f []byte, end int) []byte {
	if end < len(f) {
		return f[:end]
	}
	return f
}

// has tells whether n bytes were stored at off.
func has(f []byte, off, n int) bool { return len(f)-off >= n }

func be16(b []byte) uint16 { return uint16(b[1]) | uint16(b[0])<<8 }

func be32(b []byte) uint32 {
	return uint32(b[3]) | uint32(b[2])<<8 | uint32(b[1])<<16 | uint32(b[0])<<24
}

func le16(b []byte) uint16 { return uint16(b[0]) | uint16(b[1])<<8 }

func le32(b []byte) uint32 {
	return uint32(b[0]) | uint32(b[1])<<8 | uint32(b[2])<<16 | uint32(b[3])<<24
}

// enter decodes what a tunnel carries, which begins at off and is of the given
// EtherType (byVersion: an IP packet of either version). When no IP packet
// comes of it, p is again the IP packet that carries the tunnel, if any does.
func (d *Decoder) enter(p *Packet, f []byte, off, wire int, t Tunnel, etherType uint16) {
	if p.Depth >= maxTunnels {
		p.note(TooDeep)
		return
	}
	if off > len(f) {
		d.unreadable(p, missing(f, wire))
		return
	}
	carrier := *p
	p.wrap(&carrier, t)
	d.carried(p, f, off, wire, etherType)
	if p.Kind == KindIP || carrier.Kind != KindIP {
		return
	}
	kind, pr := p.Kind, p.Problem
	*p = carrier
	if kind == KindUndecoded {
		d.unreadable(p, pr)
	}
}

// wrap makes p an empty packet inside the carrier.
func (p *Packet) wrap(carrier *Packet, t Tunnel) {
	*p = Packet{
		EtherType: carrier.EtherType, HasMAC: carrier.HasMAC,
		SrcMAC: carrier.SrcMAC, DstMAC: carrier.DstMAC,
		VLANs: carrier.VLANs, VLANCount: carrier.VLANCount,
		Tunnels: carrier.Tunnels, Depth: carrier.Depth + 1,
		OuterSrc: carrier.OuterSrc, OuterDst: carrier.OuterDst,
		CarrierID: carrier.CarrierID, CarrierProto: carrier.CarrierProto, CarrierVersion: carrier.CarrierVersion,
	}
	if int(carrier.Depth) < len(p.Tunnels) {
		p.Tunnels[carrier.Depth] = t
	}
	if carrier.Kind == KindIP && p.OuterSrc == [16]byte{} && p.OuterDst == [16]byte{} {
		p.OuterSrc, p.OuterDst = carrier.Src, carrier.Dst
		if carrier.MoreFragments {
			p.CarrierID, p.CarrierProto, p.CarrierVersion = carrier.ID, carrier.Proto, carrier.Version
		}
	}
}

func (d *Decoder) carried(p *Packet, f []byte, off, wire int, etherType uint16) {
	switch etherType {
	case etherBridged:
		d.ethernet(p, f, off, wire)
	case byVersion:
		d.byVersion(p, f, off, wire)
	default:
		d.etherType(p, f, off, wire, etherType)
	}
}

// unreadable notes that a tunnel's inside gave nothing: for the capture's
// cutting, or for what it is. Without an IP packet around it, that is all.
func (d *Decoder) unreadable(p *Packet, pr Problem) {
	if p.Kind != KindIP {
		p.fail(pr)
		return
	}
	if pr != Cut && pr != TooDeep {
		pr = BadTunnel
	}
	p.note(pr)
}

// byVersion decodes an IP packet that nothing but its first nibble tells.
func (d *Decoder) byVersion(p *Packet, f []byte, off, wire int) {
	if !has(f, off, 1) {
		p.fail(missing(f, wire))
		return
	}
	switch f[off] >> 4 {
	case 4:
		d.ip4(p, f, off, wire)
	case 6:
		d.ip6(p, f, off, wire)
	default:
		p.fail(BadIPHeader)
	}
}
