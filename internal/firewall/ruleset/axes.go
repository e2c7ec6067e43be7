package ruleset

import (
	"slices"

	"github.com/portreeve/portreeve/internal/firewall/space"
)

// axes cut the fields that rules compare into classes which no rule tells
// apart: the coordinates of header space. There is one axis for each such
// field, one for each mask too scattered to be ranges of its field, one for
// each atom, and one for each value that the rules or the kernel draw.
type axes struct {
	sp     space.Space
	info   []axis
	fields [numFields]int32 // -1 where no rule compares the field
	masked map[maskedField]int32
	atoms  map[string]int32
}

type maskedField struct {
	field Field
	mask  Value
}

// axis is one axis. A field's classes begin at cuts; where the field may be
// absent, one more class stands for that. An atom has the classes 0 (it does
// not hold) and 1; a choice as many as it has ways.
type axis struct {
	field  Field
	mask   Value
	cuts   []Value
	absent bool
	atom   *Atom
	// drawn: it is not the field of the packet itself but what rules or the
	// kernel put there; why says so.
	drawn bool
	// quiet: no rule compares the field itself.
	quiet bool
}

// kin are fields that may take each other's values (a rewrite keeps the
// original destination, a mark is saved and restored), so they share cuts.
var kin = map[Field][]Field{
	DAddr: {CtOrigDAddr}, CtOrigDAddr: {DAddr}, DPort: {CtOrigDPort}, CtOrigDPort: {DPort}, Mark: {CtMark}, CtMark: {Mark},
}

// optional are the fields that some packets do not have.
var optional = []Field{SPort, DPort, CtOrigDPort, TCPFlags, MSS, ICMPType, ICMPCode}

// states are the values that CtState can have; statuses the bits of CtStatus
// (linux/netfilter/nf_conntrack_common.h).
var states = Numbers(StateInvalid, StateEstablished, StateRelated, StateNew, StateUntracked)

const statuses = 1<<15 - 1

// domain is the set of values that a field really has.
func (f Field) domain() Set {
	switch f {
	case CtState:
		return states
	case CtStatus:
		return Range(Number(0), Number(statuses))
	case CtDir:
		return Numbers(0, 1)
	case NFProto:
		return Numbers(FamilyIPv4, FamilyIPv6)
	}
	return f.Full()
}

// cutter collects where the values of fields begin to matter.
type cutter struct {
	seen   [numFields]bool
	asked  [numFields]bool // by a rule, not only for what may be put there
	cuts   [numFields][]Value
	masked map[maskedField][]Value
	chains map[*Chain]bool
}

// newAxes makes the axes for what the chains, and all they lead to, compare.
func newAxes(chains ...*Chain) *axes { return newAxesWith(nil, chains...) }

// newAxesWith makes axes that what was seen cuts too.
func newAxesWith(seen []Seen, chains ...*Chain) *axes {
	c := &cutter{masked: map[maskedField][]Value{}, chains: map[*Chain]bool{}}
	for _, f := range []Field{L4Proto, SAddr, DAddr} {
		c.seen[f] = true
	}
	for _, ch := range chains {
		c.chain(ch)
	}
	for _, one := range seen {
		c.row([]Field{L4Proto, SAddr, DAddr, DPort}, []Set{Numbers(uint64(one.Proto)), one.Src, one.Dst, one.Ports})
	}
	c.known()
	ax := &axes{masked: map[maskedField]int32{}, atoms: map[string]int32{}}
	for f := range numFields {
		ax.fields[f] = -1
		if c.seen[f] {
			ax.fields[f] = ax.add(axis{field: f, cuts: cutList(c.cuts[f]), absent: slices.Contains(optional, f), quiet: !c.asked[f]})
		}
	}
	for m, cuts := range c.masked {
		ax.masked[m] = ax.add(axis{field: m.field, mask: m.mask, cuts: cutList(cuts), absent: slices.Contains(optional, m.field)})
	}
	return ax
}

// known cuts where the fields' own domains and the packets' families do.
func (c *cutter) known() {
	c.set(SAddr, allIPv4)
	c.set(DAddr, allIPv4)
	for _, p := range parts {
		c.set(L4Proto, p.protos)
	}
	for _, f := range []Field{IIf, OIf, PhysIn, PhysOut} {
		if c.seen[f] {
			c.set(f, Of(Value{}, Name("lo")))
		}
	}
	if c.seen[FragOff] {
		c.set(FragOff, wholePackets())
	}
	for _, f := range []Field{CtState, CtStatus, CtDir, NFProto} {
		if c.seen[f] {
			c.set(f, f.domain())
		}
	}
}

func cutList(cuts []Value) []Value {
	cuts = append(cuts, Value{})
	slices.SortFunc(cuts, Value.Compare)
	return slices.Compact(cuts)
}

func (ax *axes) add(a axis) int32 {
	n := len(a.cuts)
	if a.absent {
		n++
	}
	ax.info, ax.sp = append(ax.info, a), append(ax.sp, uint32(max(n, 1)))
	return int32(len(ax.info) - 1)
}

// choice makes an axis of its own with so many classes.
func (ax *axes) choice(a Atom, ways int) int32 {
	ax.info, ax.sp = append(ax.info, axis{atom: &a}), append(ax.sp, uint32(ways))
	return int32(len(ax.info) - 1)
}

// atomAxis is the axis of an atom; atoms with one key have one axis.
func (ax *axes) atomAxis(a Atom) int32 {
	if a.Key == "" {
		return ax.choice(a, 2)
	}
	i, ok := ax.atoms[a.Key]
	if !ok {
		i = ax.choice(a, 2)
		ax.atoms[a.Key] = i
	}
	return i
}

// class is the class that a value is in.
func (a *axis) class(v Value) uint32 {
	i, found := slices.BinarySearchFunc(a.cuts, v, Value.Compare)
	if !found {
		i--
	}
	return uint32(i)
}

// missing is the class of packets without the field.
func (a *axis) missing() space.Spans { return space.One(uint32(len(a.cuts))) }

// spans are the classes that the set's values are in.
func (a *axis) spans(s Set) space.Spans {
	out := make(space.Spans, 0, len(s))
	for _, iv := range s {
		out = append(out, space.Span{Lo: a.class(iv.Lo), Hi: a.class(iv.Hi)})
	}
	return space.Join(out)
}

// set gives the values of classes; missing reports the class of packets
// without the field among them.
func (a *axis) set(s space.Spans) (out Set, missing bool) {
	n := uint32(len(a.cuts))
	for _, v := range s {
		if v.Hi >= n {
			missing = true
			if v.Lo >= n {
				continue
			}
			v.Hi = n - 1
		}
		iv := Interval{a.cuts[v.Lo], a.field.Max()}
		if v.Hi+1 < n {
			iv.Hi = a.cuts[v.Hi+1].prev()
		}
		out = append(out, iv)
	}
	return normal(out), missing
}

func (c *cutter) chain(ch *Chain) {
	if ch == nil || c.chains[ch] {
		return
	}
	c.chains[ch] = true
	for _, dev := range ch.Devices {
		c.set(IIf, devicePattern(dev))
	}
	for _, r := range ch.Rules {
		for _, s := range r.Steps {
			c.step(s)
		}
	}
}

func (c *cutter) step(s Step) {
	switch s := s.(type) {
	case Match:
		c.expr(s.Expr)
	case Decide:
		c.chain(s.Target)
	case Choose:
		for _, row := range s.Rows {
			c.row(s.Fields, row.Sets)
			c.chain(row.Target)
		}
	case Translate:
		for _, to := range s.To {
			c.target(to)
		}
		for _, row := range s.Rows {
			c.row(s.Fields, row.Sets)
			c.target(row.Target)
		}
	}
}

// target cuts out a rewrite's destination: packets that have it already are
// not changed.
func (c *cutter) target(t Target) {
	for f, set := range map[Field]Set{DAddr: t.Addrs, DPort: t.Ports} {
		if _, one := set.Only(); one {
			c.set(f, set)
		}
	}
}

func (c *cutter) expr(e Expr) {
	switch e := e.(type) {
	case In:
		if s, ok := e.plain(); ok {
			c.set(e.Field, s)
			return
		}
		for _, f := range append([]Field{e.Field}, kin[e.Field]...) {
			m := maskedField{f, e.Mask}
			c.masked[m] = addCuts(c.masked[m], e.Set, f)
		}
	case Tuple:
		for _, row := range e.Rows {
			c.row(e.Fields, row)
		}
	case All:
		for _, p := range e {
			c.expr(p)
		}
	case Any:
		for _, p := range e {
			c.expr(p)
		}
	case Not:
		c.expr(e.Expr)
	}
}

func (c *cutter) row(fs []Field, sets []Set) {
	for i, f := range fs {
		c.set(f, sets[i])
	}
}

func (c *cutter) set(f Field, s Set) {
	if f == Chance {
		return
	}
	c.seen[f], c.asked[f] = true, true
	c.cuts[f] = addCuts(c.cuts[f], s, f)
	for _, o := range kin[f] {
		c.seen[o] = true
		c.cuts[o] = addCuts(c.cuts[o], s, o)
	}
}

func addCuts(cuts []Value, s Set, f Field) []Value {
	for _, iv := range s {
		if iv.Lo.Compare(f.Max()) > 0 {
			continue
		}
		cuts = append(cuts, iv.Lo)
		if iv.Hi.Compare(f.Max()) < 0 {
			cuts = append(cuts, iv.Hi.next())
		}
	}
	return cuts
}
