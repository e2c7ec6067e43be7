package learn

import (
	"iter"
	"math"
	"slices"

	"github.com/portreeve/portreeve/internal/exposure"
	"github.com/portreeve/portreeve/internal/firewall/rulefile"
)

// Region is what one permit opens, against what was seen of it. A door is one
// client address, one server address and one port (or ICMP type).
type Region struct {
	Index int // of the rule in the file
	Rule  *rulefile.Rule
	// Clients, Servers and Ports are how many of each the rule names; the Seen
	// ones how many established flows came by, at most MaxSeen told apart.
	Clients, Servers, Ports             float64
	SeenClients, SeenServers, SeenPorts int
	// Doors are Clients × Servers × Ports; SeenDoors those that were used.
	Doors     float64
	SeenDoors int
}

// Surplus is how many doors the rule opens beyond those that were used.
func (r *Region) Surplus() float64 { return max(r.Doors-float64(r.SeenDoors), 0) }

// MaxSeen bounds what is told apart for one rule.
const MaxSeen = 1 << 18

// Surplus measures what a file permits beyond the established flows, rule by
// rule, the widest first. A flow counts for the rule that decides it, so doors
// that two rules open are surplus of the second.
func Surplus(f *rulefile.File, flows iter.Seq[*exposure.Flow]) ([]Region, error) {
	rules, err := f.Active()
	if err != nil {
		return nil, err
	}
	counts, ix := make([]seen, len(rules)), newIndex(rules)
	for f := range flows {
		if p, ok := PacketOf(f); ok && isNeed(f) {
			if i := ix.first(p); i >= 0 {
				counts[i].note(p)
			}
		}
	}
	var out []Region
	for i := range rules {
		if rules[i].Action == rulefile.Permit {
			out = append(out, region(&rules[i], &counts[i]))
		}
	}
	slices.SortStableFunc(out, func(a, b Region) int {
		switch {
		case a.Surplus() > b.Surplus():
			return -1
		case a.Surplus() < b.Surplus():
			return 1
		}
		return 0
	})
	return out, nil
}

// seen is what came by one rule.
type seen struct {
	clients, servers map[any]struct{}
	ports            map[any]struct{}
	doors            map[any]struct{}
}

func (s *seen) note(p rulefile.Packet) {
	door := p
	door.SrcPort, door.Code = 0, 0
	for _, m := range []struct {
		set *map[any]struct{}
		key any
	}{{&s.clients, p.Src}, {&s.servers, p.Dst}, {&s.ports, [2]uint16{p.DstPort, uint16(p.Type)}}, {&s.doors, door}} {
		if *m.set == nil {
			*m.set = map[any]struct{}{}
		}
		if len(*m.set) < MaxSeen {
			(*m.set)[m.key] = struct{}{}
		}
	}
}

func region(r *rulefile.Resolved, s *seen) Region {
	out := Region{
		Index: r.Index, Rule: r.Rule, Clients: addresses(r.From, r.Families), Servers: addresses(r.To, r.Families), Ports: portCount(r),
		SeenClients: len(s.clients), SeenServers: len(s.servers), SeenPorts: len(s.ports), SeenDoors: len(s.doors),
	}
	out.Doors = out.Clients * out.Servers * out.Ports
	return out
}

func addresses(list []rulefile.AddrRange, f rulefile.Families) float64 {
	switch {
	case list != nil:
		return area(slices.Clone(list)).normal().size()
	case f.IPv6:
		return math.Exp2(128)
	}
	return math.Exp2(32)
}

// portCount counts ports, or ICMP types; a protocol without either is one.
func portCount(r *rulefile.Resolved) float64 {
	switch {
	case r.Types != nil:
		return float64(len(r.Types))
	case r.Proto == icmp || r.Proto == icmp6:
		return 256
	case r.Proto != rulefile.AnyProto && !hasPorts(uint8(r.Proto)):
		return 1
	case r.Ports == nil:
		return 65536
	}
	open := make([]bool, 65536)
	n := 0.0
	for _, p := range r.Ports {
		for v := int(p.Lo); v <= int(p.Hi); v++ {
			if !open[v] {
				open[v] = true
				n++
			}
		}
	}
	return n
}
