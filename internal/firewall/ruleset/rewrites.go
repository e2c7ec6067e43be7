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
	if v, ok := st.over[a.Field]; ok && v.kind == lacking {
		return st
	}
	set, why := f.assigned(a, st)
	if a.Field == Chance {
		f.draws++
		return f.put(st, Chance, &value{kind: drawn, axis: f.ax.choice(why, 1)})
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
	st := f.aimed(d, t, to, addrs, ports)
	if t.Continues {
		saved := s.cur
		s.cur = cur
		f.become(s, st)
		s.cur = append(saved, cur...)
		return
	}
	f.rewritten(s, cur, st)
}

// aimed makes the state after a rewrite.
func (f *flattener) aimed(d *state, t Translate, to []Target, addrs, ports Set) *state {
	if t.Kind == Divert {
		return f.intern(d)
	}
	d.rewritten = true
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
	for field, set := range map[Field]Set{DAddr: addrs, DPort: ports} {
		if len(set) > 0 {
			if _, one := set.Only(); !one {
				f.draws++
			}
			d.over[field] = f.known(field, set, why)
		}
	}
	f.fate(d)
	return f.intern(d)
}

// fate sets what follows from a rewrite: the connection's status, and where
// routing finds the new destination.
func (f *flattener) fate(d *state) {
	d.over[CtStatus] = value{kind: constant, set: Numbers(StatusDNAT)}
	if d.target.Kind == Redirect {
		return
	}
	d.over[FibDAddr] = f.known(FibDAddr, Numbers(RouteUnicast, RouteLocal), Atom{Why: "whether the new destination is an address of this host", Unknown: true})
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
