package ruleset

import (
	"cmp"
	"fmt"
	"math"
	"net/netip"
	"slices"

	"github.com/portreeve/portreeve/internal/firewall/space"
)

// Seen is a box of connections that were seen: Proto from Src to Dst at
// Ports. Empty sets are any.
type Seen struct {
	Proto    uint8
	Src, Dst Set
	Ports    Set
}

// Excess is what a rule set permits beyond what was seen.
type Excess struct {
	// Permitted, Covered and Left are log2 of the number of triples of source,
	// destination and port (for protocols without ports of pairs): of what is
	// permitted, of what of it was seen, and of the rest; -1 when there are
	// none.
	Permitted, Covered, Left float64
	// Largest are the largest regions of the rest, as disjoint as they were
	// found, the largest first, with their sizes.
	Largest []ExcessRegion
	// More: there are more regions. Bounded: the work was cut off, so that
	// Left counts some of what was seen too.
	More, Bounded bool
}

// ExcessRegion is one region of what is permitted beyond what was seen.
type ExcessRegion struct {
	Region Region
	Size   float64 // log2 of its triples
}

// mostSurplus bounds the pieces that the rest may be divided into.
const mostSurplus = 50_000

// Surplus measures what a rule set permits beyond what was seen: first
// packets of new connections on the way that the packet p tells, as Query
// takes it (its addresses, ports and protocol are not looked at), or at a
// named chain. Conditions that are not understood count as permitting.
func (s *RuleSet) Surplus(p Packet, chain string, seen []Seen, most int) (Excess, error) {
	p = Packet{In: p.In, Out: p.Out}
	pl, sh, err := s.surplusPlan(p, chain, seen)
	if err != nil {
		return Excess{}, err
	}
	if pl.failed != "" {
		return Excess{}, fmt.Errorf("%w: %s", ErrDivided, pl.failed)
	}
	m := &measure{plan: pl, budget: space.Budget{Left: 100_000_000}}
	for _, b := range pl.drawnOnly(pl.ax.limit(pl.kinds, &sh, IPv4|IPv6)) {
		m.permitted(b, 0)
	}
	return m.excess(seen, most), nil
}

// surplusPlan makes the plan of the packets' way on axes that what was seen
// cuts too.
func (s *RuleSet) surplusPlan(p Packet, chain string, seen []Seen) (*plan, shape, error) {
	way := inPath
	switch {
	case p.In != "" && p.Out != "":
		way = forwardPath
	case p.Out != "":
		way = outPath
	}
	if chain == "" && s.hooked() {
		sh, err := p.shape(way, nil)
		return s.pathPlan(way, StateNew, everything, newAxesWith(seen, s.hookChains()...), nil), sh, err
	}
	lists, err := s.lists(chain, p)
	if err != nil {
		return nil, shape{}, err
	}
	sh, err := p.shape(listPath, lists[0])
	return listPlan(newAxesWith(seen, lists[0]), lists[0], everything, false, nil), sh, err
}

// hookChains are the base chains.
func (s *RuleSet) hookChains() (out []*Chain) {
	for _, ch := range s.Chains {
		if ch.Hook != NoHook {
			out = append(out, ch)
		}
	}
	return out
}

// measure collects what is permitted.
type measure struct {
	*plan
	budget space.Budget
	boxes  []space.Box
}

// permitted collects the permitted parts of a box.
func (m *measure) permitted(b space.Box, from int) {
	if m.budget.Left--; m.budget.Left < 0 || len(m.boxes) > mostSurplus {
		m.budget.Out = true
		return
	}
	i := m.index.Meeting(b, from)
	if i == space.None {
		m.boxes = append(m.boxes, b)
		return
	}
	hit := m.plan.boxes[i]
	if m.entries[i].verdict == Accept {
		part, _ := b.And(hit)
		m.boxes = append(m.boxes, part)
	}
	for _, rest := range m.ax.sp.Minus(b, hit) {
		m.permitted(rest, i+1)
	}
}

// excess takes what was seen away and measures.
func (m *measure) excess(seen []Seen, most int) Excess {
	taken := make([]space.Box, 0, len(seen))
	for _, one := range seen {
		if b, ok := m.seenBox(one); ok {
			taken = append(taken, b)
		}
	}
	all := m.boxesOfPackets()
	var rest []space.Box
	for _, b := range all {
		m.ax.sp.Rest(b, taken, &m.budget, nil, func(r space.Box) bool {
			rest = append(rest, r)
			return len(rest) <= mostSurplus
		})
	}
	out := Excess{Bounded: m.budget.Out || len(rest) > mostSurplus}
	total, left := m.total(all), m.total(rest)
	out.Permitted, out.Left, out.Covered = log2(total), log2(left), log2(max(total-left, 0))
	if len(rest) < 400 {
		rest = m.ax.sp.Merge(rest)
	}
	slices.SortStableFunc(rest, func(a, b space.Box) int { return cmp.Compare(m.triples(b), m.triples(a)) })
	for _, b := range rest[:min(most, len(rest))] {
		out.Largest = append(out.Largest, ExcessRegion{m.region(b), log2(m.triples(b))})
	}
	out.More = len(rest) > most
	return out
}

// boxesOfPackets leaves conditions outside of the packet, and all fields but
// protocol, addresses and destination port, aside, and makes the permitted
// boxes disjoint again.
func (m *measure) boxesOfPackets() (out []space.Box) {
	keep := map[Field]bool{L4Proto: true, SAddr: true, DAddr: true, DPort: true, ICMPType: true}
	for _, b := range m.boxes {
		for _, d := range b {
			if a := &m.ax.info[d.Axis]; a.atom != nil || a.mask != (Value{}) || !keep[a.field] {
				b = b.Open(d.Axis)
			}
		}
		before := out
		m.ax.sp.Rest(b, before, &m.budget, nil, func(r space.Box) bool {
			out = append(out, r)
			return len(out) <= mostSurplus
		})
	}
	return out
}

// seenBox is the box of what was seen.
func (m *measure) seenBox(s Seen) (b space.Box, ok bool) {
	b, ok = m.ax.sp.Limit(space.Box{}, m.ax.fields[L4Proto], m.ax.info[m.ax.fields[L4Proto]].spans(Numbers(uint64(s.Proto))))
	for f, set := range map[Field]Set{SAddr: s.Src, DAddr: s.Dst, DPort: s.Ports} {
		if i := m.ax.fields[f]; ok && len(set) > 0 && i >= 0 {
			b, ok = m.ax.sp.Limit(b, i, m.ax.info[i].spans(set))
		}
	}
	return b, ok
}

// total adds up the triples of disjoint boxes.
func (m *measure) total(region []space.Box) (n float64) {
	for _, b := range region {
		n += m.triples(b)
	}
	return n
}

// triples is the number of (protocol, source, destination, port) in a box.
func (m *measure) triples(b space.Box) float64 {
	f := packets{m.plan, b}
	n := size(f.set(L4Proto)) * size(f.set(SAddr)) * size(f.set(DAddr))
	if i := m.ax.fields[DPort]; i >= 0 {
		if set, _ := m.ax.info[i].set(m.spansOf(b, i)); len(set) > 0 {
			n *= size(set)
		}
	} else if !f.set(L4Proto).Meets(portless) {
		n *= 1 << 16
	}
	return n
}

// portless are the protocols without ports.
var portless = L4Proto.Except(Numbers(protoTCP, protoUDP, protoDCCP, protoSCTP, protoUDPLite))

func (m *measure) spansOf(b space.Box, axis int32) space.Spans {
	if s := b.Axis(axis); s != nil {
		return s
	}
	return space.Spans{{Lo: 0, Hi: m.ax.sp[axis] - 1}}
}

func log2(n float64) float64 {
	if n <= 0 {
		return -1
	}
	return math.Log2(n)
}

// SeenFlow makes the box of one connection.
func SeenFlow(proto uint8, src, dst netip.Addr, port uint16) Seen {
	s := Seen{Proto: proto, Src: Of(Address(src.Unmap())), Dst: Of(Address(dst.Unmap()))}
	if hasPorts(proto) {
		s.Ports = Numbers(uint64(port))
	}
	return s
}
