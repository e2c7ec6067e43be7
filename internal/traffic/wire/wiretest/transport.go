package wiretest

// TCP flags.
const (
	FIN = 1 << iota
	SYN
	RST
	PSH
	ACK
	URG
	ECE
	CWR
	AE
)

// TCP is a TCP header without checksum.
type TCP struct {
	SrcPort, DstPort uint16
	Seq, Ack         uint32
	Flags, Window    uint16
	Options          []byte
}

func (l TCP) put(inner []byte, _ Layer) []byte {
	options := zeros(l.Options, 4)
	words := uint16(5 + len(options)/4)
	return join(put16(l.SrcPort, l.DstPort), put32(l.Seq, l.Ack),
		put16(words<<12|l.Flags&0x1ff, l.Window, 0, 0), options, inner)
}

// UDP is a UDP header without checksum.
type UDP struct {
	SrcPort, DstPort uint16
	Length           uint16 // 0: what it is
}

func (l UDP) put(inner []byte, _ Layer) []byte {
	return join(put16(l.SrcPort, l.DstPort, orElse(l.Length, uint16(8+len(inner))), 0), inner)
}

// UDPLite covers its header.
type UDPLite struct{ SrcPort, DstPort uint16 }

func (l UDPLite) put(inner []byte, _ Layer) []byte {
	return join(put16(l.SrcPort, l.DstPort, 8, 0), inner)
}

// SCTP is the common header and a chunk of the given type around what follows.
type SCTP struct {
	SrcPort, DstPort uint16
	Chunk            uint8
}

func (l SCTP) put(inner []byte, _ Layer) []byte {
	return join(put16(l.SrcPort, l.DstPort), put32(7, 0), []byte{l.Chunk, 0}, put16(uint16(len(inner)+4)), inner)
}

// DCCP is a header with long sequence numbers, of the given packet type.
type DCCP struct {
	SrcPort, DstPort uint16
	Type             uint8
}

func (l DCCP) put(inner []byte, _ Layer) []byte {
	return join(put16(l.SrcPort, l.DstPort), []byte{4, 0, 0, 0, l.Type<<1 | 1, 0, 0, 0, 0, 0, 0, 1}, inner)
}

// ICMP is an ICMP message: eight bytes, of which ID and Seq are the last four.
type ICMP struct {
	Type, Code uint8
	ID, Seq    uint16
}

func (l ICMP) put(inner []byte, _ Layer) []byte {
	return join([]byte{l.Type, l.Code, 0, 0}, put16(l.ID, l.Seq), inner)
}

// ICMPv6 is an ICMPv6 message like ICMP.
type ICMPv6 struct {
	Type, Code uint8
	ID, Seq    uint16
}

func (l ICMPv6) put(inner []byte, next Layer) []byte { return ICMP(l).put(inner, next) }

// Other is the place of any other protocol, whose header is what follows.
type Other struct{ Proto uint8 }

func (Other) put(inner []byte, _ Layer) []byte { return inner }
