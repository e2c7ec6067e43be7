package ruleset

import "net/netip"

// Query is an endpoint of this host that a stranger knocks at. Addr may be a
// link-local address with its zone; it must not be unspecified.
type Query struct {
	Proto uint8 // IANA protocol number
	Addr  netip.Addr
	Port  uint16
	// From narrows down who knocks; its zero value is any stranger.
	From Sender
}

// Sender is what may be known of who sends. Zero fields are open.
type Sender struct {
	Addr      netip.Addr
	Port      uint16
	Interface string // that the packet arrives on
	// Ordinary leaves out what only unusual packets have, but for Port.
	Ordinary bool
}

// narrow takes what is known of the sender.
func (s Sender) narrow(c *class) {
	if s.Addr.IsValid() {
		c.vals[SAddr] = Of(Address(s.Addr.Unmap()))
	}
	if s.Port != 0 && len(c.vals[SPort]) > 0 {
		c.vals[SPort] = Numbers(uint64(s.Port))
	}
	if s.Interface != "" {
		c.vals[IIf] = Of(Name(s.Interface))
	}
	for _, u := range usual {
		if s.Ordinary && (u.field != SPort || s.Port == 0) {
			c.vals[u.field] = c.vals[u.field].And(u.set)
		}
	}
}

// Protocol numbers with ports (IANA protocol-numbers).
const (
	protoICMP    = 1
	protoTCP     = 6
	protoUDP     = 17
	protoDCCP    = 33
	protoICMPv6  = 58
	protoSCTP    = 132
	protoUDPLite = 136
)

func hasPorts(proto uint8) bool {
	switch proto {
	case protoTCP, protoUDP, protoDCCP, protoSCTP, protoUDPLite:
		return true
	}
	return false
}

// notSources are addresses that no packet from outside can have as its source:
// the kernel drops them as martian (ip_route_input_slow, ip6_rcv_core).
var notSources = []netip.Prefix{
	netip.MustParsePrefix("0.0.0.0/8"), netip.MustParsePrefix("127.0.0.0/8"),
	netip.MustParsePrefix("224.0.0.0/4"), netip.MustParsePrefix("240.0.0.0/4"),
	netip.MustParsePrefix("::/127"), netip.MustParsePrefix("ff00::/8"),
}

var (
	allIPv4 = Prefix(netip.MustParsePrefix("0.0.0.0/0"))
	allIPv6 = Prefix(netip.MustParsePrefix("::/0")).Minus(allIPv4)
)

// sources are the addresses that a stranger may have.
func (h *Host) sources(v4 bool) Set {
	s := allIPv6
	if v4 {
		s = allIPv4
	}
	for _, p := range notSources {
		s = s.Minus(Prefix(p))
	}
	return s.Minus(h.own)
}

// stranger is the class of all packets that a stranger may send to an
// endpoint. The packet is new: the first of its connection, or a datagram.
func (h *Host) stranger(q Query) *class {
	c := &class{}
	family := uint64(FamilyIPv6)
	if q.Addr.Unmap().Is4() {
		family = FamilyIPv4
	}
	c.vals[NFProto] = Numbers(family)
	c.vals[L4Proto] = Numbers(uint64(q.Proto))
	c.vals[DAddr] = Of(Address(q.Addr.Unmap()))
	c.vals[SAddr] = h.sources(family == FamilyIPv4)
	c.vals[IIf] = IIf.Except(Of(Name("lo")))
	if zone := q.Addr.Zone(); zone != "" {
		c.vals[IIf] = Of(Name(zone))
	}
	c.vals[OIf] = Of(Value{}) // no interface yet: the empty name
	c.vals[CtState] = Numbers(StateInvalid)
	c.vals[PktType], c.vals[FibDAddr] = destination(q.Addr.Unmap())
	c.vals[FibSAddr] = Numbers(RouteUnicast)
	c.vals[Mark], c.vals[Priority] = Numbers(0), Numbers(0)
	c.vals[FragOff] = Numbers(0, 0x4000) // don't fragment (RFC 791) or nothing
	c.vals[TTL] = Range(Number(1), Number(255))
	c.vals[Length] = Range(Number(20), Number(65535))
	c.vals[PhysOut] = Of(Value{}) // only bridged packets leave by a bridge port
	for _, f := range []Field{IIfGroup, DSCP, ECN, MAC, PhysIn, Chance} {
		c.vals[f] = f.Full()
	}
	c.transport(q)
	q.From.narrow(c)
	return c
}

// Packet types as pkttype matches number them (linux/if_packet.h).
const (
	pktHost      = 0
	pktBroadcast = 1
	pktMulticast = 2
)

func destination(ip netip.Addr) (pktType, fib Set) {
	switch {
	case ip.IsMulticast():
		return Numbers(pktMulticast), Numbers(RouteMulticast)
	case ip == netip.AddrFrom4([4]byte{255, 255, 255, 255}):
		return Numbers(pktBroadcast), Numbers(RouteBroadcast)
	}
	return Numbers(pktHost), Numbers(RouteLocal)
}

func (c *class) transport(q Query) {
	if hasPorts(q.Proto) {
		c.vals[DPort] = Numbers(uint64(q.Port))
		c.vals[SPort] = Range(Number(1), Number(65535))
	}
	switch q.Proto {
	case protoTCP:
		c.vals[TCPFlags] = Numbers(2) // SYN alone (RFC 9293)
		c.vals[MSS] = MSS.Full()
	case protoICMP, protoICMPv6:
		c.vals[ICMPType], c.vals[ICMPCode] = ICMPType.Full(), ICMPCode.Full()
	}
}

// ordinary reports whether a class holds packets that an ordinary stranger
// sends: from a port that clients use, without IP options or a rare type of
// service, not from a bridge on which only this host's own containers are.
func (h *Host) ordinary(c *class) bool {
	for _, l := range c.atoms {
		if l.Lean == UsuallyTrue && !l.holds || l.Lean == UsuallyFalse && l.holds {
			return false
		}
	}
	for _, u := range usual {
		if have := c.vals[u.field]; len(have) > 0 && !have.Meets(u.set) {
			return false
		}
	}
	return len(c.vals[IIf]) == 0 || !c.vals[IIf].Within(h.inner)
}

// usual is what ordinary packets have.
var usual = []struct {
	field Field
	set   Set
}{
	{SPort, Range(Number(1024), Number(65535))},
	{TTL, Range(Number(16), Number(255))},
	{Length, Range(Number(28), Number(1500))},
	{MSS, Range(Number(536), Number(65535))},
	{DSCP, Numbers(0)},
	{ECN, Numbers(0)},
}
