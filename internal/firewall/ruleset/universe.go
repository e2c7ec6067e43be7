package ruleset

import (
	"net/netip"
	"sync"

	"github.com/portreeve/portreeve/internal/firewall/space"
)

// part is a kind of packet: which fields it has besides those of every IP
// packet.
type part struct {
	protos   Set
	families Families
	has      []Field
}

// parts are all kinds of packets. Fragments after the first have no transport
// header; they are only told apart where rules look at the fragment offset.
var parts = []part{
	{protos: Numbers(protoTCP), families: IPv4 | IPv6, has: []Field{SPort, DPort, CtOrigDPort, TCPFlags, MSS}},
	{protos: Numbers(protoUDP, protoDCCP, protoSCTP, protoUDPLite), families: IPv4 | IPv6, has: []Field{SPort, DPort, CtOrigDPort}},
	{protos: Numbers(protoICMP), families: IPv4, has: []Field{ICMPType, ICMPCode}},
	{protos: Numbers(protoICMPv6), families: IPv6, has: []Field{ICMPType, ICMPCode}},
	{protos: L4Proto.Except(Numbers(protoTCP, protoUDP, protoDCCP, protoSCTP, protoUDPLite, protoICMP, protoICMPv6)), families: IPv4 | IPv6},
	{protos: Numbers(protoICMP), families: IPv6},
	{protos: Numbers(protoICMPv6), families: IPv4},
}

// wholePackets are the fragment offsets, as the header's field has them, of
// packets that are no later fragment. Made when asked for: it takes a
// millisecond, which every command would pay at its start.
var wholePackets = sync.OnceValue(func() Set {
	s, _ := In{Field: FragOff, Mask: Number(0x1fff), Set: Numbers(0)}.plain()
	return s
})

// shape is a set of packets before it has coordinates: a set for each field
// that is limited; a nil set is an open field, present where packets have it.
type shape [numFields]Set

// path is the way that a packet takes through the hooks.
type path uint8

const (
	listPath path = iota // one list, without hooks
	inPath
	forwardPath
	outPath
)

// limits are what holds for every packet of a path.
func (p path) limits() (s shape) {
	none := Of(Value{}) // no interface: the empty name
	switch p {
	case inPath:
		s[IIf], s[OIf], s[PhysOut] = IIf.Except(none), none, none
	case forwardPath:
		s[IIf], s[OIf] = IIf.Except(none), OIf.Except(none)
	case outPath:
		s[IIf], s[OIf], s[PhysIn] = none, OIf.Except(none), none
	}
	return s
}

// hookLimits are what holds for every packet that a chain at the hook sees.
func hookLimits(h Hook) shape {
	none := Of(Value{})
	var s shape
	switch h {
	case Ingress, Prerouting, Input:
		s = inPath.limits()
	case Forward:
		s = forwardPath.limits()
	case Output:
		s = outPath.limits()
	case Postrouting:
		s[OIf] = OIf.Except(none)
	}
	return s
}

// and limits a field of the shape further; an empty result stays empty and
// not nil.
func (s *shape) and(f Field, set Set) {
	if s[f] == nil {
		s[f] = append(Set{}, set...)
		return
	}
	s[f] = append(Set{}, s[f].And(set)...)
}

// kind is all packets of one kind and family as a box.
type kind struct {
	part
	family Families
	box    space.Box
}

// kinds gives the packets of a shape: one box for each kind and family that
// it holds.
func (ax *axes) kinds(s shape, families Families) (out []kind) {
	for _, p := range parts {
		for _, f := range []Families{IPv4, IPv6} {
			if p.families&f&families == 0 {
				continue
			}
			for _, whole := range []bool{true, false} {
				if b, ok := ax.partBox(s, p, f, whole); ok && (whole || ax.fields[FragOff] >= 0) {
					out = append(out, kind{p, f, b})
				}
			}
		}
	}
	return out
}

// boxes joins kinds that rules do not tell apart.
func (ax *axes) boxes(kinds []kind) []space.Box {
	out := make([]space.Box, len(kinds))
	for i, k := range kinds {
		out[i] = k.box
	}
	return ax.sp.Merge(out)
}

// limit gives the packets of the kinds that are of a shape too.
func (ax *axes) limit(kinds []kind, s *shape, families Families) (out []space.Box) {
	for _, k := range kinds {
		if k.family&families == 0 || s[L4Proto] != nil && !s[L4Proto].Meets(k.protos) {
			continue
		}
		if b, ok := ax.limitBox(k.box, s); ok {
			out = append(out, b)
		}
	}
	return out
}

func (ax *axes) limitBox(b space.Box, s *shape) (space.Box, bool) {
	for f, set := range s {
		if set == nil {
			continue
		}
		if i := ax.fields[f]; i >= 0 {
			var ok bool
			if b, ok = ax.sp.Limit(b, i, ax.info[i].spans(set)); !ok {
				return nil, false
			}
		}
	}
	for m, i := range ax.masked {
		if set := s[m.field]; set != nil {
			var ok bool
			if b, ok = ax.sp.Limit(b, i, ax.info[i].maskedSpans(set)); !ok {
				return nil, false
			}
		}
	}
	return b, true
}

func (ax *axes) partBox(s shape, p part, family Families, whole bool) (space.Box, bool) {
	addrs, number := allIPv4, uint64(FamilyIPv4)
	if family == IPv6 {
		addrs, number = allIPv6, FamilyIPv6
	}
	s.and(L4Proto, p.protos)
	s.and(SAddr, addrs)
	s.and(DAddr, addrs)
	s.and(CtOrigDAddr, addrs)
	s.and(NFProto, Numbers(number))
	if whole {
		s.and(FragOff, wholePackets())
	} else {
		s.and(FragOff, FragOff.Except(wholePackets()))
	}
	return ax.shapeBox(s, func(f Field) bool {
		for _, h := range p.has {
			if h == f {
				return whole
			}
		}
		return false
	})
}

// shapeBox makes a box of a shape for packets that have the fields that has
// says. ok is false when there are none.
func (ax *axes) shapeBox(s shape, has func(Field) bool) (b space.Box, ok bool) {
	b = space.Box{}
	for i := range ax.info {
		a := &ax.info[i]
		if a.atom != nil || a.drawn {
			continue
		}
		set, here := s[a.field], !a.absent || has(a.field)
		if set != nil && (len(set) == 0 || !here) {
			return nil, false // nothing, or of a field that these packets do not have
		}
		spans := ax.present(a, set, here)
		if b, ok = ax.sp.Limit(b, int32(i), spans); !ok {
			return nil, false
		}
	}
	return b, true
}

// present are the classes of an axis for a set of its field; nil is all that
// the field can be.
func (ax *axes) present(a *axis, set Set, here bool) space.Spans {
	switch {
	case !here:
		return a.missing()
	case a.mask != (Value{}):
		return a.maskedSpans(set)
	case set == nil:
		set = a.field.domain()
	}
	return a.spans(set)
}

// maskedSpans are the classes of a masked field's values: those that some
// value, masked, is in.
func (a *axis) maskedSpans(set Set) space.Spans {
	var out space.Spans
	if len(set) > 0 && set.each(64, func(v Value) {
		n := a.class(v.And(a.mask))
		out = append(out, space.Span{Lo: n, Hi: n})
	}) {
		return space.Join(out)
	}
	for n, lo := range a.cuts {
		hi := a.field.Max()
		if n+1 < len(a.cuts) {
			hi = a.cuts[n+1].prev()
		}
		if v, ok := nextWithin(lo, a.mask); ok && v.Compare(hi) <= 0 {
			out = append(out, space.Span{Lo: uint32(n), Hi: uint32(n)})
		}
	}
	return space.Join(out)
}

// familyOf gives the families that an address may belong to.
func familyOf(ips ...netip.Addr) Families {
	f := IPv4 | IPv6
	for _, ip := range ips {
		switch {
		case !ip.IsValid():
		case ip.Unmap().Is4():
			f &= IPv4
		default:
			f &= IPv6
		}
	}
	return f
}
