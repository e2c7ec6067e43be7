package ruleset

import (
	"cmp"
	"slices"
	"strconv"
	"strings"
)

// Bounds of one question. A kernel rule set never comes near the depth (16 in
// nftables); classes multiply only where rules divide senders by several
// fields at once.
const (
	mostDepth   = 64
	mostSteps   = 4_000_000
	mostClasses = 4096
)

// walk is one question on its way through the rules.
type walk struct {
	set  *RuleSet
	host *Host
	// accepted and dropped collect the ends of classes; accepted those of the
	// present base chain only.
	accepted, dropped []*class
	// arrived are classes that need meet no further chain.
	arrived   []*class
	steps     int
	draws     int
	unmoved   map[visit]bool
	tooMuch   bool
	anySender bool // the question is about a sender who is not ordinary
	// onRewrite, when set, sees every class that a rule rewrites.
	onRewrite func(c *class)
}

func itoa(n int) string { return strconv.Itoa(n) }

func compareText(a, b string) int { return strings.Compare(a, b) }

// chain runs classes through a chain and gives back those that return from
// it or fall off its end. named: a rule that led here names the port.
func (w *walk) chain(ch *Chain, in []*class, depth int, named bool) (back []*class) {
	if depth > mostDepth || len(in) > mostClasses {
		w.tooMuch = true
	}
	live := in
	for i := range ch.items {
		if len(live) == 0 || w.tooMuch {
			break
		}
		w.steps++
		next, out := w.item(place{chain: ch, depth: depth, named: named}, &ch.items[i], live)
		if len(next) != len(live) {
			next = merge(next)
		}
		live, back = next, append(back, out...)
	}
	w.tooMuch = w.tooMuch || w.steps > mostSteps
	return merge(append(back, live...))
}

// item runs classes through a rule or a run of rules.
func (w *walk) item(at place, it *item, in []*class) (next, back []*class) {
	if it.run != nil {
		if !admitsAny(&it.run.guard, in) {
			return in, nil
		}
		return w.run(at, it.run, in)
	}
	if !admitsAny(&it.rule.guard, in) {
		return in, nil
	}
	at.rule, at.named = it.rule, at.named || it.rule.guard.names
	return w.rule(at, in)
}

func admitsAny(g *guard, in []*class) bool {
	for _, c := range in {
		if g.admits(c) {
			return true
		}
	}
	return false
}

// place is where the walk is.
type place struct {
	chain *Chain
	rule  *Rule
	depth int
	named bool
}

func (p place) mark(kind markKind, note string) mark {
	return mark{kind: kind, rule: p.rule, chain: p.chain, note: note, named: p.named}
}

// rule runs classes through one rule: next goes on with the following rule,
// back leaves the chain.
func (w *walk) rule(at place, in []*class) (next, back []*class) {
	cur := in
	for _, s := range at.rule.Steps {
		if len(cur) == 0 {
			break
		}
		w.steps += len(cur)
		var fail, out []*class
		switch s := s.(type) {
		case Match:
			cur, fail = splitEach(w, s.Expr, cur)
		case Decide:
			cur, fail, out = w.decide(at, s, cur)
		case Choose:
			cur, fail, out = w.choose(at, s, cur)
		case Translate:
			cur, fail = w.translate(at, s, cur)
		case Elsewhere:
			cur = w.elsewhere(at, s, cur)
		case Assign:
			cur = w.assign(s, cur)
		case Untrack:
			cur = untrack(cur)
		}
		next, back = append(next, fail...), append(back, out...)
	}
	return append(next, cur...), back
}

// decide gives a verdict to all: on stays in the rule (Continue), next goes on
// with the following rule, back leaves the chain.
func (w *walk) decide(at place, d Decide, in []*class) (on, next, back []*class) {
	switch d.Verdict {
	case Continue:
		return in, nil, nil
	case Accept:
		list := &w.accepted
		if d.Final {
			list = &w.arrived
		}
		w.end(list, at.mark(markAccept, d.Note), in)
	case Drop:
		w.end(&w.dropped, at.mark(markDrop, d.Note), in)
	case Return:
		return nil, nil, in
	case Jump:
		return nil, w.jump(at, d.Target, in), nil
	case Goto:
		return nil, nil, w.chain(d.Target, in, at.depth+1, at.named)
	}
	return nil, nil, nil
}

// jump runs classes through a chain. A class that a chain leaves as it is
// needs not go there again: jumps may meet in one chain by many ways.
func (w *walk) jump(at place, to *Chain, in []*class) []*class {
	key := visit{to, in[0]}
	if !to.mayAct || len(in) == 1 && w.unmoved[key] {
		return in
	}
	ends := len(w.accepted) + len(w.dropped) + len(w.arrived)
	back := w.chain(to, in, at.depth+1, at.named)
	if len(in) == 1 && len(back) == 1 && back[0] == in[0] && ends == len(w.accepted)+len(w.dropped)+len(w.arrived) {
		if w.unmoved == nil {
			w.unmoved = map[visit]bool{}
		}
		w.unmoved[key] = true
	}
	return back
}

// visit is a class entering a chain.
type visit struct {
	chain *Chain
	class *class
}

func (w *walk) end(list *[]*class, m mark, in []*class) {
	for _, c := range in {
		*list = append(*list, c.mark(m))
	}
	w.tooMuch = w.tooMuch || len(*list) > 4*mostClasses
}

func (w *walk) choose(at place, s Choose, in []*class) (on, next, back []*class) {
	rest := redraw(s.Fields, in)
	for i := range s.Rows {
		row := &s.Rows[i]
		w.steps++
		if !meetsAny(s.Fields, row.Sets, rest) {
			continue
		}
		var hit []*class
		hit, rest = splitEach(w, rowExpr(s.Fields, row.Sets), rest)
		o, n, b := w.decide(at, row.Decide, hit)
		on, next, back = append(on, o...), append(next, n...), append(back, b...)
		if len(rest) == 0 {
			break
		}
	}
	return on, append(next, rest...), back
}

// redraw opens Chance again where a key uses it.
func redraw(fs []Field, in []*class) []*class {
	if !slices.Contains(fs, Chance) {
		return in
	}
	out := make([]*class, len(in))
	for i, c := range in {
		out[i] = c.with(Chance, Chance.Full())
	}
	return out
}

func meetsAny(fs []Field, row []Set, in []*class) bool {
	for _, c := range in {
		if c.meets(fs, row) {
			return true
		}
	}
	return false
}

// elsewhere lets something outside decide: all ways are possible.
func (w *walk) elsewhere(at place, s Elsewhere, in []*class) (on []*class) {
	unknown := Atom{Why: s.Why, Unknown: true}
	for _, c := range in {
		yes, no := w.fork(c, unknown)
		w.end(&w.accepted, at.mark(markAccept, s.Why), yes)
		if s.MayContinue {
			no, on = splitEach(w, unknown, no)
		}
		w.end(&w.dropped, at.mark(markDrop, s.Why), no)
	}
	return on
}

func untrack(in []*class) []*class {
	out := make([]*class, len(in))
	for i, c := range in {
		d := *c
		if !d.tracked {
			d.untracked = true
			d.vals[CtState] = Numbers(StateUntracked)
		}
		out[i] = &d
	}
	return out
}

func (w *walk) assign(s Assign, in []*class) []*class {
	out := make([]*class, len(in))
	for i, c := range in {
		out[i] = s.apply(c)
	}
	return out
}

func (s Assign) apply(c *class) *class {
	set, why := s.value(c)
	if len(c.vals[s.Field]) == 0 && s.Field != Mark || s.takes() && len(c.vals[s.From]) == 0 {
		return c
	}
	d := c.with(s.Field, set)
	if d.opaque[s.Field] != why {
		d.setOpaque(s.Field, why)
	}
	return d
}

// takes reports a value made of another field; a packet without that field
// keeps its own (xt_connmark.c: no connection, no change).
func (s Assign) takes() bool {
	return s.Unknown == "" && !s.Open && s.Values == nil && s.Mask != (Value{})
}

func (s Assign) value(c *class) (Set, string) {
	full := s.Field.Full()
	switch {
	case s.Unknown != "":
		return full, s.Unknown
	case s.Open:
		return full, ""
	case s.Values != nil:
		return s.Values, ""
	}
	why := c.opaque[s.From]
	if s.Keep != (Value{}) && why == "" {
		why = c.opaque[s.Field]
	}
	if got, ok := s.combine(c.vals[s.Field], c.vals[s.From]); ok {
		return got, why
	}
	return full, why
}

// combine computes the new values while there are few.
func (s Assign) combine(old, from Set) (Set, bool) {
	const most = 64
	if s.Keep == (Value{}) {
		old = Numbers(0)
	}
	if s.Mask == (Value{}) {
		from = Numbers(0)
	}
	var got []Value
	ok := old.each(most, func(o Value) {
		from.each(most, func(f Value) {
			got = append(got, o.And(s.Keep).Xor(f.And(s.Mask)).Xor(s.Xor).And(s.Field.Max()))
		})
	})
	return Of(got...), ok && from.each(most, func(Value) {})
}

// hook runs classes through every base chain of a hook and gives those that
// all of them accept.
func (w *walk) hook(h Hook, in []*class) []*class {
	live := make([]*class, len(in))
	for i, c := range in {
		d := *c
		d.rewritten = false
		live[i] = &d
	}
	for _, ch := range w.set.base[h] {
		if h == Prerouting && ch.order() > conntrackPriority {
			live = startTracking(live)
		}
		live = w.baseChain(ch, live)
	}
	if h == Prerouting {
		live = startTracking(live)
	}
	return live
}

// conntrackPriority is where connection tracking hooks in
// (NF_IP_PRI_CONNTRACK, linux/netfilter_ipv4.h). Before it a packet has no
// connection and counts as invalid.
const conntrackPriority = -200

// order is the priority at which the chain really runs.
func (ch *Chain) order() int {
	switch {
	case ch.Kind != NATChain:
		return ch.Priority
	case ch.Hook == Prerouting || ch.Hook == Output:
		return -100
	}
	return 100
}

func sortBase(base map[Hook][]*Chain) {
	for _, list := range base {
		slices.SortStableFunc(list, func(a, b *Chain) int {
			return cmp.Or(cmp.Compare(a.order(), b.order()), cmp.Compare(a.Priority, b.Priority))
		})
	}
}

func startTracking(in []*class) []*class {
	out := make([]*class, len(in))
	for i, c := range in {
		out[i] = c
		if c.tracked || c.untracked {
			continue
		}
		d := *c
		d.tracked = true
		d.vals[CtState] = Numbers(StateNew)
		d.vals[CtStatus], d.vals[CtDir] = Numbers(0), Numbers(0)
		d.vals[CtMark], d.vals[CtZone] = Numbers(0), Numbers(0)
		d.vals[CtOrigDAddr], d.vals[CtOrigDPort] = d.vals[DAddr], d.vals[DPort]
		out[i] = &d
	}
	return out
}

// baseChain runs the classes that the chain sees; the others pass.
func (w *walk) baseChain(ch *Chain, in []*class) []*class {
	var pass, see []*class
	for _, c := range in {
		inside, outside := w.seenBy(ch, c)
		see, pass = append(see, inside...), append(pass, outside...)
	}
	if len(see) == 0 {
		return in
	}
	w.accepted = nil
	back := w.chain(ch, see, 0, false)
	kind, list := markAcceptPolicy, &w.accepted
	if ch.Policy == Drop {
		kind, list = markDropPolicy, &w.dropped
	}
	w.end(list, mark{kind: kind, chain: ch}, back)
	return append(pass, w.accepted...)
}

// seenBy divides a class into what the base chain sees and what it does not.
func (w *walk) seenBy(ch *Chain, c *class) (in, out []*class) {
	c4, c6 := c.vals[NFProto].Has(Number(FamilyIPv4)), c.vals[NFProto].Has(Number(FamilyIPv6))
	switch {
	case c4 && ch.Families&IPv4 == 0, c6 && ch.Families&IPv6 == 0:
		return nil, []*class{c}
	case ch.Kind == NATChain && (c.untracked || c.rewritten):
		return nil, []*class{c}
	case ch.DevicesUnknown:
		return w.fork(c, Atom{Key: "device of " + ch.Title, Why: "the device of chain " + ch.Title + ", which nft does not show"})
	case ch.Hook == Ingress:
		var names Set
		for _, dev := range ch.Devices {
			names = Union(names, NamePattern(strings.TrimSuffix(dev, "*"), strings.HasSuffix(dev, "*")))
		}
		return In{Field: IIf, Set: names}.split(w, c)
	}
	return []*class{c}, nil
}
