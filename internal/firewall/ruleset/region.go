package ruleset

import (
	"github.com/portreeve/portreeve/internal/firewall/space"
)

// everything is the region of all packets.
var everything = []space.Box{{}}

// region gives the packets that meet a condition, in a state.
func (f *flattener) region(e Expr, st *state) []space.Box {
	switch e := e.(type) {
	case In:
		return f.in(e, st, false)
	case Tuple:
		return f.tuple(e, st)
	case All:
		out := everything
		for _, p := range e {
			out = f.and(out, f.region(p, st))
		}
		return out
	case Any:
		var out []space.Box
		for _, p := range e {
			out = append(out, f.region(p, st)...)
		}
		return out
	case Not:
		return f.outside(e.Expr, st)
	case Const:
		return f.constant(e)
	case Atom:
		return f.atom(e, 1)
	}
	return nil
}

// outside gives the packets that do not meet a condition.
func (f *flattener) outside(e Expr, st *state) []space.Box {
	switch e := e.(type) {
	case In:
		return f.in(e, st, true)
	case Not:
		return f.region(e.Expr, st)
	case Atom:
		return f.atom(e, 0)
	}
	return f.minus(everything, f.region(e, st))
}

func (f *flattener) and(a, b []space.Box) []space.Box {
	if f.spend(len(a) * len(b)); f.failed != "" {
		return nil
	}
	out, ok := space.AndAll(a, b, mostBoxes)
	if !ok {
		f.fail()
	}
	return out
}

func (f *flattener) minus(a, b []space.Box) []space.Box {
	if f.spend(len(a) * len(b)); f.failed != "" {
		return nil
	}
	out, ok := f.ax.sp.MinusAll(a, b, min(mostBoxes, 1+mostWork/(1+len(b))))
	if !ok {
		f.fail()
	}
	return out
}

func (f *flattener) atom(a Atom, way uint32) []space.Box {
	if a.Key == "" {
		return f.box(f.choice(a, 2), space.One(way))
	}
	return f.box(f.ax.atomAxis(a), space.One(way))
}

// constant is a condition that always or never holds for what the readers
// had in mind; where it varies with what came before, it is an atom for
// everyone but a single packet.
func (f *flattener) constant(e Const) []space.Box {
	if why := e.varies(f.strict, f.local); why != "" {
		return f.atom(Atom{Why: why}, 1)
	}
	if e.Holds {
		return everything
	}
	return nil
}

// box is the region of the given classes of one axis.
func (f *flattener) box(axis int32, set space.Spans) []space.Box {
	b, ok := f.ax.sp.Limit(space.Box{}, axis, set)
	if !ok {
		return nil
	}
	return []space.Box{b}
}

// in compares a field, or what stands for it; not: the complement, in which
// packets without the field are.
func (f *flattener) in(e In, st *state, not bool) []space.Box {
	if e.Field == Chance {
		return f.box(f.choice(f.chance(st), 2), space.One(1))
	}
	v, changed := st.over[e.Field]
	set, plain := e.plain()
	switch {
	case changed && v.kind == lacking:
		if not {
			return everything
		}
		return nil
	case changed && v.kind == constant:
		if v.set.Within(e.fitting(v.set)) != not {
			return everything
		}
		return nil
	case !plain && changed && v.kind == copied:
		return f.classes(f.ax.masked[maskedField{v.from, e.Mask}], e.Set, not)
	case !plain && changed:
		a := Atom{Key: st.key + e.key(), Why: "bits of the " + e.Field.String(), Unknown: true}
		return f.atom(a, map[bool]uint32{false: 1, true: 0}[not])
	case !plain:
		return f.classes(f.ax.masked[maskedField{e.Field, e.Mask}], e.Set, not)
	case changed && v.kind == drawn:
		return f.classes(v.axis, set, not)
	case changed:
		return f.classes(f.ax.fields[v.from], set, not)
	}
	return f.classes(f.ax.fields[e.Field], set, not)
}

// fitting are the values of a small set that meet the comparison.
func (e In) fitting(of Set) Set {
	var out []Value
	of.each(4096, func(v Value) {
		if e.Mask != (Value{}) {
			v2 := v.And(e.Mask)
			if e.Set.Has(v2) {
				out = append(out, v)
			}
			return
		}
		if e.Set.Has(v) {
			out = append(out, v)
		}
	})
	return Of(out...)
}

func (f *flattener) classes(axis int32, set Set, not bool) []space.Box {
	spans := f.ax.info[axis].spans(set)
	if not {
		spans = space.Spans{{Lo: 0, Hi: f.ax.sp[axis] - 1}}.Minus(spans)
	}
	return f.box(axis, spans)
}

// chance is what decides a comparison with a drawn number.
func (f *flattener) chance(st *state) Atom {
	if v, ok := st.over[Chance]; ok && v.kind == drawn {
		return *f.ax.info[v.axis].atom
	}
	return Atom{Why: "chance"}
}

// tuple joins the rows of a concatenation.
func (f *flattener) tuple(e Tuple, st *state) (out []space.Box) {
	for _, row := range e.Rows {
		out = append(out, f.region(rowExpr(e.Fields, row), st)...)
	}
	return out
}
