package ruleset

import (
	"slices"

	"github.com/portreeve/portreeve/internal/firewall/space"
)

// untrack takes packets out of connection tracking, unless it has started.
func (f *flattener) untrack(st *state) *state {
	if st.tracked {
		return st
	}
	d := st.clone()
	d.untracked = true
	d.over[CtState] = value{kind: constant, set: Numbers(StateUntracked)}
	return f.intern(d)
}

// assign gives the state in which a field has its new value.
func (f *flattener) assign(a Assign, st *state) *state {
	if st.lacks(a.Field) || a.takes() && st.lacks(a.From) {
		return st
	}
	set, why := f.assigned(a, st)
	if a.Field == Chance {
		return f.put(st, Chance, &value{kind: drawn, axis: f.choice(why, 1)})
	}
	if from, ok := a.copies(); ok {
		v, changed := st.over[from]
		if !changed {
			v = value{kind: copied, from: from}
		}
		return f.put(st, a.Field, &v)
	}
	if _, one := set.Only(); !one {
		f.draws++
	}
	v := f.known(a.Field, set, why)
	return f.put(st, a.Field, &v)
}

// lacks reports a field that the packet does not have in this state.
func (s *state) lacks(field Field) bool {
	v, ok := s.over[field]
	return ok && v.kind == lacking
}

// copies reports a field that takes over another one's value as it is.
func (a Assign) copies() (Field, bool) {
	plain := a.Unknown == "" && !a.Open && a.Values == nil && a.Keep == (Value{}) && a.Xor == (Value{})
	return a.From, plain && a.Mask.And(a.Field.Max()) == a.Field.Max() && slices.Contains(kin[a.Field], a.From)
}

// assigned gives the values that the field may have then.
func (f *flattener) assigned(a Assign, st *state) (Set, Atom) {
	full := a.Field.Full()
	switch {
	case a.Unknown != "":
		return full, Atom{Why: a.Unknown, Unknown: true}
	case a.Open:
		return full, Atom{Why: "chance"}
	case a.Values != nil:
		return a.Values, Atom{Why: "what the kernel chooses for the " + a.Field.String()}
	}
	if got, ok := a.combine(f.constantOf(a.Field, st), f.constantOf(a.From, st)); ok {
		return got, Atom{Why: "the " + a.Field.String()}
	}
	return full, Atom{Why: "the " + a.Field.String() + " that " + a.From.String() + " gives", Unknown: true}
}

// constantOf is the value of a field that has but one here, else all.
func (f *flattener) constantOf(field Field, st *state) Set {
	if v, ok := st.over[field]; ok && v.kind == constant {
		return v.set
	}
	return field.Full()
}

// rewrite changes destinations and accepts, in this base chain.
func (f *flattener) rewrite(s *step, t Translate) {
	cur := s.cur
	if t.Families != 0 && t.Families != IPv4|IPv6 {
		cur = f.and(cur, f.familyRegion(t.Families))
		f.stay(s, f.minus(s.cur, cur))
	}
	s.cur = nil
	switch {
	case t.Kind == SourceNAT:
		f.rewritten(s, cur, f.sourceNAT(s))
	case t.Rows == nil:
		f.aim(s, t, t.To, cur)
	default:
		f.aimRows(s, t, cur)
	}
}

// familyRegion is all packets of a family.
func (f *flattener) familyRegion(families Families) []space.Box {
	set := allIPv4
	if families&IPv4 == 0 {
		set = allIPv6
	}
	return f.classes(f.ax.fields[SAddr], set, false)
}

// sourceNAT is a state of its own where lists are compared: the model does
// not know the new source.
func (f *flattener) sourceNAT(s *step) *state {
	if !f.strict {
		return s.st
	}
	d := s.st.clone()
	d.target = &Rewrite{Kind: SourceNAT, Rule: s.rule, Chain: s.chain}
	return f.intern(d)
}

func (f *flattener) aimRows(s *step, t Translate, cur []space.Box) {
	rest := cur
	for _, row := range t.Rows {
		if f.failed != "" {
			return
		}
		match := f.region(rowExpr(t.Fields, row.Sets), s.st)
		hit := f.and(rest, match)
		if len(hit) > 0 {
			rest = f.minus(rest, match)
			f.aim(s, t, []Target{row.Target}, hit)
		}
	}
	f.stay(s, rest)
}

// aim gives packets their new destination.
func (f *flattener) aim(s *step, t Translate, to []Target, cur []space.Box) {
	if len(cur) == 0 {
		return
	}
	var addrs, ports Set
	for _, one := range to {
		addrs, ports = Union(addrs, one.Addrs), Union(ports, one.Ports)
	}
	d := s.st.clone()
	d.target = &Rewrite{Kind: t.Kind, Addrs: addrs, Ports: ports, Rule: s.rule, Chain: s.chain}
	if t.Kind == Divert {
		f.arrived(s, t, cur, f.intern(d))
		return
	}
	d.rewritten = true
	f.aimed(d, t, to, addrs, ports)
	same := f.unchanged(s.st, d)
	d.over[CtStatus] = f.status(s.st, same)
	st := f.intern(d)
	if same == nil {
		f.arrived(s, t, cur, st)
		return
	}
	kept := d.clone()
	f.restore(kept, s.st, CtStatus)
	f.arrived(s, t, f.minus(cur, same), st)
	f.arrived(s, t, f.and(cur, same), f.intern(kept))
}

// arrived ends a rewrite: the rule accepts, or goes on in the new state.
func (f *flattener) arrived(s *step, t Translate, cur []space.Box, st *state) {
	if !t.Continues {
		f.rewritten(s, cur, st)
		return
	}
	s.cur = cur
	f.become(s, st)
}

// restore takes a field's value over from another state.
func (f *flattener) restore(d, from *state, field Field) {
	delete(d.over, field)
	if v, ok := from.over[field]; ok {
		d.over[field] = v
	}
}

// unchanged is the region of packets that have their new destination already;
// nil when that cannot be told.
func (f *flattener) unchanged(before, after *state) []space.Box {
	same := everything
	for _, field := range []Field{DAddr, DPort} {
		v, ok := after.over[field]
		if !ok {
			continue
		}
		if v.kind != constant {
			return nil
		}
		if f.ax.fields[field] < 0 {
			return nil
		}
		same = f.and(same, f.in(In{Field: field, Set: v.set}, before, false))
	}
	if same == nil {
		return []space.Box{}
	}
	return same
}

// status is the connection's status after a rewrite that changes something;
// where that cannot be told (same is nil), one of both.
func (f *flattener) status(before *state, same []space.Box) value {
	if same != nil {
		return value{kind: constant, set: Numbers(StatusDNAT)}
	}
	return f.known(CtStatus, Numbers(0, StatusDNAT), Atom{Why: "whether the rewrite changes the destination", Unknown: true})
}

// aimed sets the fields that a rewrite changes.
func (f *flattener) aimed(d *state, t Translate, to []Target, addrs, ports Set) {
	why := Atom{Why: "which of several destinations the kernel chooses"}
	if t.Unknown != "" {
		why = Atom{Why: t.Unknown, Unknown: true}
		addrs, ports = DAddr.Full(), DPort.Full()
	}
	if t.Kind == Redirect {
		addrs, why = DAddr.Full(), Atom{Why: "the addresses of this host are not known", Unknown: true}
		d.over[FibDAddr] = value{kind: constant, set: Numbers(RouteLocal)}
	}
	if t.Kind == Netmap || slices.ContainsFunc(to, func(t Target) bool { return t.FirstPort != 0 }) {
		why = Atom{Why: "the destination that the rewrite computes", Unknown: true}
	}
	f.aimField(d, DAddr, addrs, why)
	f.aimField(d, DPort, ports, why)
	if t.Kind != Redirect && len(addrs) > 0 {
		d.over[FibDAddr] = f.known(FibDAddr, Numbers(RouteUnicast, RouteLocal), Atom{Why: "whether the new destination is an address of this host", Unknown: true})
	}
}

func (f *flattener) aimField(d *state, field Field, set Set, why Atom) {
	if len(set) == 0 {
		return
	}
	if _, one := set.Only(); !one {
		f.draws++
	}
	d.over[field] = f.known(field, set, why)
}

// rewritten accepts packets that a rule rewrote.
func (f *flattener) rewritten(s *step, cur []space.Box, st *state) {
	if f.final {
		f.emit(cur, ruling{verdict: Accept, chain: s.chain, rule: s.rule, st: st})
		return
	}
	f.passed = append(f.passed, live{cur, st, true})
	f.leave(s, cur, true)
}
