package permits

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"

	"github.com/portreeve/portreeve/internal/firewall/dialect/values"
	"github.com/portreeve/portreeve/internal/firewall/rulefile"
	"github.com/portreeve/portreeve/internal/firewall/ruleset"
)

// Dimensions of a region.
const (
	Proto = iota // 0 to 255
	From         // source addresses
	To           // destination addresses
	FromPorts
	Ports
	Types // of ICMP: type<<8 | code
	dimensions
)

// Region is the packets whose value of every dimension is in its set. Ports
// mean something for protocols with ports only, types for ICMP only; there
// the sets are full in what is not said.
type Region struct {
	Rule *rulefile.Resolved
	Sets [dimensions]ruleset.Set
}

// Full are all values of a dimension.
func Full(dimension int) ruleset.Set {
	switch dimension {
	case Proto:
		return ruleset.L4Proto.Full()
	case From, To:
		return ruleset.SAddr.Full()
	}
	return ruleset.DPort.Full()
}

// Any reports that the region has every value of a dimension.
func (r *Region) Any(dimension int) bool { return r.Sets[dimension].Equal(Full(dimension)) }

// Name tells the rule of a region for notes and descriptions: "rule 3 (name)".
func Name(r *rulefile.Resolved) string {
	if r.Name == "" {
		return fmt.Sprintf("rule %d", r.Index+1)
	}
	return fmt.Sprintf("rule %d (%s)", r.Index+1, r.Name)
}

// Able says what a dialect has words for.
type Able struct {
	FromPorts bool
	// Denials: rules that deny are wanted too, but for those that deny all
	// that is left, which the dialect's default does.
	Denials bool
	// For are the destinations that are meant: what goes elsewhere is left
	// out. Empty: all.
	For []netip.Prefix
}

// Policy is a rule file without order.
type Policy struct {
	Permits, Denials []Region
	// Notes say in sentences what could not be said.
	Notes []string
}

// mostRegions bounds what a file may become.
const mostRegions = 20_000

// ErrTooMany is returned for a file whose denials cut its permits into more
// regions than are written.
var ErrTooMany = errors.New("the denials cut the permits into more parts than can be written")

// Of makes the regions of a rule file.
func Of(f *rulefile.File, able Able) (*Policy, error) {
	rules, err := f.Active()
	if err != nil {
		return nil, err
	}
	p := &Policy{}
	var permitted, denied []Region
	for i := range rules {
		r := &rules[i]
		region := of(r)
		if !p.say(r, able) {
			continue
		}
		if len(p.Permits)+len(p.Denials) > mostRegions {
			return nil, ErrTooMany
		}
		whole := []Region{region}
		if r.Action == rulefile.Permit {
			p.Permits = append(p.Permits, tidy(within(minus(whole, denied), able.For))...)
			permitted = append(permitted, region)
			continue
		}
		if denied = append(denied, region); able.Denials && !region.everything() {
			p.Denials = append(p.Denials, tidy(within(minus(whole, permitted), able.For))...)
		}
	}
	if len(p.Permits)+len(p.Denials) > mostRegions {
		return nil, ErrTooMany
	}
	return p, nil
}

// everything reports the region of all packets.
func (r *Region) everything() bool {
	for d := range r.Sets {
		if !r.Any(d) {
			return false
		}
	}
	return true
}

// say notes what of a rule cannot be said, and reports whether the rest can
// be written. A denial is written wider than it is, a permit not at all.
func (p *Policy) say(r *rulefile.Resolved, able Able) bool {
	var lost []string
	if r.In != "" || r.Out != "" {
		lost = append(lost, "interfaces")
	}
	if r.FromPorts != nil && !able.FromPorts {
		lost = append(lost, "source ports")
	}
	if r.Dynamic != "" && r.Action == rulefile.Permit {
		p.Notes = append(p.Notes, fmt.Sprintf("%s: further ports that %s agrees on are not opened by this", Name(r), r.Dynamic))
	}
	if len(lost) == 0 {
		return true
	}
	what := strings.Join(lost, " and ")
	if r.Action == rulefile.Permit {
		p.Notes = append(p.Notes, fmt.Sprintf("%s is left out: it is for certain %s, which cannot be said", Name(r), what))
		return false
	}
	p.Notes = append(p.Notes, fmt.Sprintf("%s denies more than it says: its %s cannot be said", Name(r), what))
	return true
}

// of is the region of a rule.
func of(r *rulefile.Resolved) Region {
	out := Region{Rule: r}
	for d := range out.Sets {
		out.Sets[d] = Full(d)
	}
	if r.Proto != rulefile.AnyProto {
		out.Sets[Proto] = ruleset.Numbers(uint64(r.Proto))
	}
	if r.From != nil {
		out.Sets[From] = addresses(r.From)
	}
	if r.To != nil {
		out.Sets[To] = addresses(r.To)
	}
	family := values.IPv4()
	if r.Families.IPv6 {
		family = values.IPv6()
	}
	if r.Families.IPv4 != r.Families.IPv6 {
		out.Sets[From], out.Sets[To] = out.Sets[From].And(family), out.Sets[To].And(family)
	}
	if r.Ports != nil || r.FromPorts != nil {
		out.Sets[Proto] = out.Sets[Proto].And(ruleset.Numbers(values.TCP, values.UDP, values.SCTP, values.DCCP, values.UDPLite))
	}
	if r.Ports != nil {
		out.Sets[Ports] = ports(r.Ports)
	}
	if r.FromPorts != nil {
		out.Sets[FromPorts] = ports(r.FromPorts)
	}
	if r.Types != nil {
		out.Sets[Types] = types(r.Types)
	}
	return out
}

func addresses(list []rulefile.AddrRange) ruleset.Set {
	sets := make([]ruleset.Set, len(list))
	for i, a := range list {
		sets[i] = ruleset.Range(ruleset.Address(a.Lo), ruleset.Address(a.Hi))
		if !a.Lo.Is4() {
			sets[i] = sets[i].Minus(values.IPv4())
		}
	}
	return ruleset.Union(sets...)
}

func ports(list []rulefile.PortRange) ruleset.Set {
	sets := make([]ruleset.Set, len(list))
	for i, p := range list {
		sets[i] = ruleset.Range(ruleset.Number(uint64(p.Lo)), ruleset.Number(uint64(p.Hi)))
	}
	return ruleset.Union(sets...)
}

func types(list []rulefile.ICMPType) ruleset.Set {
	sets := make([]ruleset.Set, len(list))
	for i, t := range list {
		lo, hi := uint64(t.Type)<<8, uint64(t.Type)<<8|255
		if t.Code >= 0 {
			lo |= uint64(t.Code)
			hi = lo
		}
		sets[i] = ruleset.Range(ruleset.Number(lo), ruleset.Number(hi))
	}
	return ruleset.Union(sets...)
}

// minus takes regions away from regions.
func minus(from, away []Region) []Region {
	for i := range away {
		rest := make([]Region, 0, len(from)+dimensions)
		for j := range from {
			rest = from[j].minus(&away[i], rest)
		}
		if from = rest; len(from) > mostRegions {
			return from
		}
	}
	return from
}

// minus adds what is left of r to a list, divided by the dimensions in their
// order.
func (r *Region) minus(o *Region, out []Region) []Region {
	for d := range r.Sets {
		if !r.Sets[d].Meets(o.Sets[d]) {
			return append(out, *r)
		}
	}
	left := *r
	for d := range left.Sets {
		if rest := left.Sets[d].Minus(o.Sets[d]); len(rest) > 0 {
			part := left
			part.Sets[d] = rest
			out = append(out, part)
		}
		left.Sets[d] = left.Sets[d].And(o.Sets[d])
	}
	return out
}

// within keeps what goes to the destinations that are meant.
func within(in []Region, prefixes []netip.Prefix) (out []Region) {
	if len(prefixes) == 0 {
		return in
	}
	var meant ruleset.Set
	for _, p := range prefixes {
		meant = ruleset.Union(meant, values.Prefix(p))
	}
	for _, r := range in {
		switch {
		case meant.Within(r.Sets[To]): // all of them: nothing has to be said
			r.Sets[To] = Full(To)
		case !meant.Meets(r.Sets[To]):
			continue
		default:
			r.Sets[To] = r.Sets[To].And(meant)
		}
		out = append(out, r)
	}
	return out
}

// tidy forgets the other family's destinations of regions whose sources are of
// one family, so that all of a family is said as any.
func tidy(in []Region) (out []Region) {
	for _, r := range in {
		for _, family := range []ruleset.Set{values.IPv4(), values.IPv6()} {
			if r.Sets[From].Within(family) {
				r.Sets[To] = r.Sets[To].And(family)
				if r.Sets[To].Equal(family) {
					r.Sets[To] = Full(To)
				}
			}
		}
		if len(r.Sets[To]) > 0 {
			out = append(out, r)
		}
	}
	return out
}

// Group is the regions of one set of destinations.
type Group struct {
	To      ruleset.Set
	Regions []Region
}

// ByDestination groups regions by their destinations, in their order.
func ByDestination(in []Region) (out []Group) {
	at := map[string]int{}
	for _, r := range in {
		key := fmt.Sprint(r.Sets[To])
		i, ok := at[key]
		if !ok {
			i = len(out)
			at[key] = i
			out = append(out, Group{To: r.Sets[To]})
		}
		out[i].Regions = append(out[i].Regions, r)
	}
	return out
}

// Addresses writes a set of addresses for people: prefixes, or "any".
func Addresses(s ruleset.Set) string {
	if s.Equal(Full(From)) {
		return "any"
	}
	var words []string
	for _, p := range values.Prefixes(s) {
		words = append(words, p.String())
	}
	return strings.Join(words, ", ")
}

// Values calls fn for every interval of a set of small numbers.
func Values(s ruleset.Set, fn func(lo, hi int)) {
	for _, iv := range s {
		fn(int(iv.Lo.Lo), int(iv.Hi.Lo))
	}
}

// Protocols are the numbers of a region's protocols; nil when it has all.
func (r *Region) Protocols() (out []int) {
	if r.Any(Proto) {
		return nil
	}
	Values(r.Sets[Proto], func(lo, hi int) {
		for n := lo; n <= hi; n++ {
			out = append(out, n)
		}
	})
	return out
}
