package wire

// DecodeSlow is Decode without its short way.
func (d *Decoder) DecodeSlow(link LinkType, frame []byte, wireLen uint32, p *Packet) {
	*p = Packet{}
	wire := max(len(frame), int(min(wireLen, noEnd-1)))
	d.skip(p, frame, 0, wire, link)
}
