package ruleset

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/portreeve/portreeve/internal/firewall/space"
)

// Region is a set of packets: for each field that it limits, in the order of
// the fields, the values as text ("10.0.0.0/8", "80, 443", "none" for packets
// that do not have the field).
type Region []Limit

// Limit is the values of one field in a region; the text of more than 64
// ranges is shortened.
type Limit struct {
	Field  Field
	Values string
	// Set is all of the values; Missing: packets without the field are in it.
	Set     Set
	Missing bool
}

// String writes "protocol 6; destination port 80, 443".
func (r Region) String() string {
	parts := make([]string, len(r))
	for i, l := range r {
		parts[i] = l.Field.String() + " " + l.Values
	}
	if len(parts) == 0 {
		return "all packets"
	}
	return strings.Join(parts, "; ")
}

// Difference is a region in which two rule sets differ, with an example.
type Difference struct {
	Region Region
	// Example is a packet of the region; what it leaves out does not matter.
	Example Packet
	// A and B are what the two do with the example. Unknown against permit or
	// deny is a difference of its own.
	A, B Decision
	// Path is the way that the packets take, "" where two lists are compared.
	Path string
}

// Differences is the answer of Compare.
type Differences struct {
	List []Difference
	// More: there are more regions than were asked for, or than were found
	// within the bounds. Why says which.
	More bool
	Why  string
}

// mostCompared bounds the work of one comparison, in looks at one rule.
const mostCompared = 600_000_000

// Compare gives the packets on which two rule sets differ, as at most so many
// disjoint regions; none when they are equal. With names it compares these
// chains. Without, rule sets with hooks are compared on the way to this host,
// through it and from it, for first packets of connections; those without by
// their only list, or each pair of lists of one name. Prepare must have been
// called for both.
func Compare(a, b *RuleSet, chainA, chainB string, most int) (Differences, error) {
	return compare(a, b, chainA, chainB, &comparison{most: most, budget: space.Budget{Left: mostCompared}})
}

// CompareNew is Compare for first packets of connections, in lists too: one
// list may let pass by itself what belongs to a connection, and the other
// leave that to the device that keeps the connections.
func CompareNew(a, b *RuleSet, chainA, chainB string, most int) (Differences, error) {
	return compare(a, b, chainA, chainB, &comparison{most: most, budget: space.Budget{Left: mostCompared}, onlyNew: true})
}

func compare(a, b *RuleSet, chainA, chainB string, c *comparison) (Differences, error) {
	if chainA == "" && chainB == "" && a.hooked() && b.hooked() {
		for _, way := range []path{inPath, forwardPath, outPath} {
			c.paths(a, b, way)
		}
		return c.out, nil
	}
	pairs, err := pairUp(a, b, chainA, chainB)
	if err != nil {
		return Differences{}, err
	}
	for _, p := range pairs {
		ax := newAxes(p[0], p[1])
		x := listPlan(ax, p[0], everything, true, map[string]int{})
		y := listPlan(ax, p[1], everything, true, map[string]int{})
		c.plans(x, y, p[0].name(len(pairs)))
	}
	return c.out, nil
}

func (ch *Chain) name(pairs int) string {
	if pairs == 1 {
		return ""
	}
	return ch.Title
}

// pairUp finds the lists to compare with one another.
func pairUp(a, b *RuleSet, chainA, chainB string) ([][2]*Chain, error) {
	if chainA == "" && chainB == "" {
		if pairs := sameNames(a, b); len(pairs) > 0 {
			return pairs, nil
		}
	}
	x, err := a.lists(chainA, Packet{})
	if err != nil {
		return nil, fmt.Errorf("first rule set: %w", err)
	}
	y, err := b.lists(chainB, Packet{})
	if err != nil {
		return nil, fmt.Errorf("second rule set: %w", err)
	}
	return [][2]*Chain{{x[0], y[0]}}, nil
}

// sameNames pairs lists of several by name, when both sets have the same.
func sameNames(a, b *RuleSet) (pairs [][2]*Chain) {
	x, y := a.unjumped(), b.unjumped()
	if len(x) != len(y) || len(x) < 2 {
		return nil
	}
	for _, ch := range x {
		i := slices.IndexFunc(y, func(o *Chain) bool { return o.Name == ch.Name && o.Title == ch.Title })
		if i < 0 {
			return nil
		}
		pairs = append(pairs, [2]*Chain{ch, y[i]})
	}
	return pairs
}

type comparison struct {
	most   int
	budget space.Budget
	out    Differences
	// onlyNew leaves out packets of any other connection state.
	onlyNew bool
}

func (c *comparison) paths(a, b *RuleSet, way path) {
	ax := newAxes(slices.Concat(a.hookChains(), b.hookChains())...)
	x := a.pathPlan(way, StateNew, everything, ax, map[string]int{})
	y := b.pathPlan(way, StateNew, everything, ax, map[string]int{})
	c.plans(x, y, map[path]string{inPath: "to this host", forwardPath: "through this host", outPath: "from this host"}[way])
}

// plans compares two lists on one set of axes.
func (c *comparison) plans(x, y *plan, name string) {
	if x.failed != "" || y.failed != "" {
		c.out.More, c.out.Why = true, "not compared: "+x.failed+y.failed
		return
	}
	x.reindex()
	y.reindex()
	p := &pairing{comparison: c, x: x, y: y, path: name, seen: map[string]bool{}}
	lx, ly := p.lists()
	limits := x.limits
	for f := range limits {
		if y.limits[f] != nil && limits[f] != nil {
			limits[f] = Union(limits[f], y.limits[f])
		} else {
			limits[f] = nil
		}
	}
	if c.onlyNew {
		limits[CtState] = Numbers(StateNew)
	}
	region := y.drawnOnly(x.drawnOnly(x.ax.boxes(x.ax.kinds(limits, x.families|y.families))))
	for _, b := range region {
		if !x.ax.sp.Differ(b, lx, ly, &c.budget, p.found) {
			break
		}
	}
	p.differences()
	if len(p.raw) > 4*c.most+16 {
		c.out.More, c.out.Why = true, "there are more regions"
	}
	if c.budget.Out {
		c.out.More, c.out.Why = true, "not finished: the rule sets divide packets in more ways than were followed"
	}
}

// reindex makes the index anew once all axes are known.
func (p *plan) reindex() { p.index = space.NewIndex(p.ax.sp, p.boxes) }

// pairing is two lists that are compared.
type pairing struct {
	*comparison
	x, y *plan
	path string
	seen map[string]bool
	raw  []space.Box
}

// lists gives both lists with effects and keys that are equal where entries
// do the same.
func (p *pairing) lists() (x, y space.List) {
	keys, effects := map[string]int32{}, map[string]int32{}
	number := func(m map[string]int32, name string) int32 {
		n, ok := m[name]
		if !ok {
			n = int32(len(m))
			m[name] = n
		}
		return n
	}
	list := func(pl *plan) (l space.List) {
		l.Boxes = pl.boxes
		for i := range pl.entries {
			effect := number(effects, pl.entries[i].fateKey())
			l.Effect = append(l.Effect, effect)
			l.Key = append(l.Key, number(keys, boxKey(pl.boxes[i], effect)))
		}
		return l
	}
	return list(p.x), list(p.y)
}

// fateKey tells apart what comparisons tell apart: the verdict, and where a
// rewrite leads.
func (e *ruling) fateKey() string {
	key := itoa(int(e.verdict))
	if e.ends {
		key = "end"
	}
	if e.st.target != nil && e.verdict == Accept {
		key += e.st.target.leads()
	}
	return key
}

func boxKey(b space.Box, effect int32) string {
	out := make([]byte, 0, 8+12*len(b))
	put := func(n uint32) { out = append(out, byte(n), byte(n>>8), byte(n>>16), byte(n>>24)) }
	put(uint32(effect))
	for _, d := range b {
		put(uint32(d.Axis) | 1<<31)
		put(uint32(len(d.Set)))
		for _, s := range d.Set {
			put(s.Lo)
			put(s.Hi)
		}
	}
	return string(out)
}

// found notes a box in which the lists differ; regions that differ only in
// conditions outside of the packet are one. It reports whether to go on.
func (p *pairing) found(b space.Box) bool {
	for _, d := range b {
		if p.x.ax.info[d.Axis].atom != nil {
			b = b.Open(d.Axis)
		}
	}
	key := boxKey(b, 0)
	if p.seen[key] {
		return true
	}
	p.seen[key] = true
	p.raw = append(p.raw, b)
	return len(p.raw) <= 4*p.most+16
}

// differences joins what was found to as few regions as are alike.
func (p *pairing) differences() {
	groups := map[string][]space.Box{}
	var order []string
	for _, b := range p.raw {
		box, _ := p.x.example(b)
		key := p.x.decideBox(box).Verdict + p.y.decideBox(box).Verdict
		if groups[key] == nil {
			order = append(order, key)
		}
		groups[key] = append(groups[key], b)
	}
	for _, key := range order {
		for _, b := range p.x.ax.sp.Merge(groups[key]) {
			if len(p.out.List) >= p.most {
				p.out.More, p.out.Why = true, "there are more regions"
				return
			}
			p.out.List = append(p.out.List, p.difference(b))
		}
	}
}

func (p *pairing) difference(b space.Box) Difference {
	box, packet := p.x.example(b)
	return Difference{Region: p.x.region(b), Path: p.path, Example: packet, A: p.x.decideBox(box), B: p.y.decideBox(box)}
}

// decideBox gives the verdict for a box.
func (p *plan) decideBox(b space.Box) Decision {
	v := &verdicts{plan: p, budget: space.Budget{Left: mostLooks}}
	for _, one := range p.drawnOnly([]space.Box{b}) {
		v.look(one, 0)
	}
	return v.decision()
}

// region writes a box for people.
func (p *plan) region(b space.Box) (out Region) {
	for _, d := range b {
		a := &p.ax.info[d.Axis]
		if a.quiet {
			continue
		}
		set, missing := a.set(d.Set)
		if set.Equal(a.field.domain()) || len(set) == 0 && missing && a.absent {
			if a.field != DPort && a.field != SPort || !missing {
				continue
			}
		}
		l := Limit{Field: a.field, Set: set, Missing: missing, Values: a.field.all(set)}
		if a.mask != (Value{}) {
			l.Values += fmt.Sprintf(" (masked with %#x)", a.mask.Lo)
		}
		if len(set) == 0 {
			l.Values = "none"
		}
		out = append(out, l)
	}
	slices.SortStableFunc(out, func(a, b Limit) int { return int(a.Field) - int(b.Field) })
	return out
}

// all writes the values of a set, or of a very scattered one the first.
func (f Field) all(s Set) string {
	const most = 64
	if f.awkward(s) {
		return f.text(s)
	}
	var parts []string
	for _, iv := range s[:min(most, len(s))] {
		parts = append(parts, f.interval(iv))
	}
	if len(s) > most {
		parts = append(parts, fmt.Sprintf("… (%d more)", len(s)-most))
	}
	return strings.Join(parts, ", ")
}

// example takes one packet of a box, of the values that people use most where
// there is a choice, and the box that is left of it.
func (p *plan) example(b space.Box) (space.Box, Packet) {
	var out Packet
	point := b
	for i := range p.ax.info {
		a := &p.ax.info[i]
		spans := b.Axis(int32(i))
		if a.atom != nil || a.mask != (Value{}) && spans == nil {
			continue
		}
		if spans == nil {
			spans = space.Spans{{Lo: 0, Hi: p.ax.sp[i] - 1}}
		}
		class := a.usual(spans)
		point, _ = p.ax.sp.Limit(point, int32(i), space.One(class))
		if set, missing := a.set(space.One(class)); !missing && a.mask == (Value{}) {
			out.put(a.field, a.field.pick(set))
		}
	}
	return point, out
}

// usual chooses a class: one that packets have, with an ordinary value.
func (a *axis) usual(spans space.Spans) uint32 {
	for _, v := range a.field.examples() {
		if n := a.class(v); spans.Has(n) {
			return n
		}
	}
	return spans[0].Lo
}

// examples are ordinary values of a field, the best first.
func (f Field) examples() []Value {
	switch f {
	case L4Proto:
		return []Value{Number(protoTCP), Number(protoUDP), Number(protoICMP), Number(protoICMPv6), Number(protoSCTP), Number(47), Number(50), Number(1)}
	case SAddr:
		return addresses("198.51.100.7", "10.0.0.7", "2001:db8::7")
	case DAddr, CtOrigDAddr:
		return addresses("192.0.2.10", "10.0.0.10", "2001:db8::10")
	case SPort:
		return []Value{Number(40000)}
	case CtState:
		return []Value{Number(StateNew), Number(StateEstablished)}
	case TCPFlags:
		return []Value{Number(flagSYN), Number(flagACK)}
	case TTL:
		return []Value{Number(64)}
	case Length:
		return []Value{Number(60)}
	case IIf:
		return []Value{Name("eth0"), Name("eth1"), Name("wan0"), Name("lan0"), Name("lo")}
	case OIf:
		return []Value{Name("eth1"), Name("eth0"), Name("wan0"), Name("lan0"), Name("lo")}
	}
	return nil
}

func addresses(list ...string) (out []Value) {
	for _, s := range list {
		out = append(out, Address(netip.MustParseAddr(s)))
	}
	return out
}

// pick chooses a value of a set.
func (f Field) pick(s Set) Value {
	for _, v := range f.examples() {
		if s.Has(v) {
			return v
		}
	}
	if last := s[len(s)-1].Hi; f == L4Proto && s[0].Lo == (Value{}) {
		return last // 0 would be any
	}
	return s[0].Lo
}

// put sets a field of the packet.
func (p *Packet) put(f Field, v Value) {
	short, small := uint16(v.Lo), uint8(v.Lo)
	switch f {
	case L4Proto:
		p.Proto = small
	case SAddr:
		p.Src = v.Addr()
	case DAddr:
		p.Dst = v.Addr()
	case SPort:
		p.SrcPort = &short
	case DPort:
		p.DstPort = &short
	case IIf:
		p.In = nameText(Interval{v, v})
	case OIf:
		p.Out = nameText(Interval{v, v})
	case TCPFlags:
		p.TCPFlags = &small
	case ICMPType:
		p.ICMPType = &small
	case ICMPCode:
		p.ICMPCode = &small
	case Length:
		p.Length = &short
	case CtState:
		for name, n := range stateNumbers {
			if n == v.Lo && name != "" {
				p.State = name
			}
		}
	}
}
