package ruleset

import (
	"fmt"
	"net/netip"
)

// Packet is one packet to ask about. What it leaves out is open: the answer
// then is for every packet that fits, and unknown where they fare differently.
type Packet struct {
	// Proto is the IANA protocol number; 0 is any.
	Proto uint8
	// Src and Dst are invalid where they are open.
	Src, Dst         netip.Addr
	SrcPort, DstPort *uint16
	// In and Out are interfaces. On the way to this host a packet without In
	// arrives on any but the loopback interface, unless its source is a
	// loopback address.
	In, Out string
	// State is new, established, related, invalid or untracked; empty is new.
	State string
	// TCPFlags are the header's (RFC 9293). Without them the first packet of
	// a TCP connection is a SYN, and one of an established connection has ACK
	// and not SYN.
	TCPFlags           *uint8
	ICMPType, ICMPCode *uint8
	Length             *uint16 // of the IP packet, in bytes
}

// stateNumbers are the names that Packet.State may have.
var stateNumbers = map[string]uint64{"": StateNew, "new": StateNew, "established": StateEstablished, "related": StateRelated,
	"invalid": StateInvalid, "untracked": StateUntracked}

// Bits of the TCP header's flags (RFC 9293).
const (
	flagSYN = 0x02
	flagACK = 0x10
)

// shape gives the packet's fields on a way through the hooks, or brought to
// one list.
func (p Packet) shape(way path, list *Chain) (s shape, err error) {
	state, ok := stateNumbers[p.State]
	if !ok {
		return s, fmt.Errorf("%w: %q", ErrState, p.State)
	}
	if list != nil {
		s = hookLimits(list.Hook)
	} else {
		s = way.limits()
		s.and(Mark, Numbers(0))
		s.and(Priority, Numbers(0))
	}
	if list != nil {
		s.and(CtState, Numbers(state))
	}
	p.header(&s, state)
	p.interfaces(&s, list)
	p.destination(&s, way)
	if state == StateNew {
		s.and(CtDir, Numbers(0))
	}
	return s, nil
}

func (p Packet) header(s *shape, state uint64) {
	if p.Proto != 0 {
		s.and(L4Proto, Numbers(uint64(p.Proto)))
	}
	if p.Src.IsValid() {
		s.and(SAddr, Of(Address(p.Src.Unmap())))
	}
	if p.Dst.IsValid() {
		s.and(DAddr, Of(Address(p.Dst.Unmap())))
	}
	if hasPorts(p.Proto) || p.Proto == 0 {
		limitPort(s, SPort, p.SrcPort)
		limitPort(s, DPort, p.DstPort)
	}
	if p.Proto == protoICMP || p.Proto == protoICMPv6 {
		limitByte(s, ICMPType, p.ICMPType)
		limitByte(s, ICMPCode, p.ICMPCode)
	}
	if p.Length != nil {
		s.and(Length, Numbers(uint64(*p.Length)))
	}
	s.and(FragOff, wholePackets())
	if p.Proto == protoTCP {
		p.flags(s, state)
	}
}

// flags limits the TCP flags to what a packet of the state has.
func (p Packet) flags(s *shape, state uint64) {
	switch {
	case p.TCPFlags != nil:
		s.and(TCPFlags, Numbers(uint64(*p.TCPFlags)))
	case state == StateNew:
		s.and(TCPFlags, Numbers(flagSYN))
	case state == StateEstablished:
		set, _ := In{Field: TCPFlags, Mask: Number(flagSYN | flagACK), Set: Numbers(flagACK)}.plain()
		s.and(TCPFlags, set)
	}
}

func limitPort(s *shape, f Field, port *uint16) {
	if port != nil {
		s.and(f, Numbers(uint64(*port)))
	}
}

func limitByte(s *shape, f Field, n *uint8) {
	if n != nil {
		s.and(f, Numbers(uint64(*n)))
	}
}

// Loopbacks are the names of loopback interfaces: Linux's, and the BSDs' first
// ten.
func Loopbacks() Set {
	names := []Value{Name("lo")}
	for i := range 10 {
		names = append(names, Name("lo"+itoa(i)))
	}
	return Of(names...)
}

func (p Packet) interfaces(s *shape, list *Chain) {
	switch {
	case p.In != "":
		s.and(IIf, Of(Name(p.In)))
	case s[IIf] != nil && !p.Src.IsLoopback():
		s.and(IIf, IIf.Except(Loopbacks()))
	}
	if p.Out != "" {
		s.and(OIf, Of(Name(p.Out)))
	}
}

// destination sets the packet type and the route types, as far as the
// addresses tell them.
func (p Packet) destination(s *shape, way path) {
	if !p.Dst.IsValid() || way == listPath {
		return
	}
	pkt, fib := destination(p.Dst.Unmap())
	s.and(PktType, pkt)
	switch {
	case way == inPath:
		s.and(FibSAddr, Numbers(RouteUnicast, RouteLocal))
	case way == forwardPath && fib.Has(Number(RouteLocal)):
		fib = Numbers(RouteUnicast)
	case way == outPath && fib.Has(Number(RouteLocal)) && !p.Dst.IsLoopback():
		fib = Numbers(RouteUnicast, RouteLocal)
	}
	s.and(FibDAddr, fib)
}
