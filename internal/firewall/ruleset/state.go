package ruleset

import (
	"fmt"
	"sort"
	"strings"

	"github.com/portreeve/portreeve/internal/firewall/space"
)

// state is what rules and the kernel did to a packet so far, where it differs
// from what arrived. States are never changed; equal ones are one pointer.
type state struct {
	over                          map[Field]value
	tracked, untracked, rewritten bool
	target                        *Rewrite
	key                           string
}

// value stands for a field that is no longer the packet's own: one constant,
// another field of the packet, or a value on an axis of its own.
type value struct {
	kind valueKind
	set  Set   // of a constant: one value
	from Field // of a copy
	axis int32 // of a drawn value
}

type valueKind uint8

const (
	constant valueKind = iota
	copied
	drawn
	lacking // the packet has no such field
)

// connection are the fields that a packet has once it is tracked.
var connection = []Field{CtStatus, CtDir, CtMark, CtZone, CtOrigDAddr, CtOrigDPort}

func (v value) String() string {
	switch v.kind {
	case constant:
		return fmt.Sprint("=", v.set)
	case copied:
		return fmt.Sprint("from ", v.from)
	case lacking:
		return "none"
	}
	return fmt.Sprint("axis ", v.axis)
}

// name makes the key of a state.
func (s *state) name() string {
	parts := []string{fmt.Sprint(s.tracked, s.untracked, s.rewritten)}
	for f, v := range s.over {
		parts = append(parts, fmt.Sprint(int(f), v))
	}
	sort.Strings(parts[1:])
	if s.target != nil {
		parts = append(parts, s.target.leads())
	}
	return strings.Join(parts, ";")
}

// leads tells rewrites that lead elsewhere apart.
func (r *Rewrite) leads() string { return fmt.Sprint("rewrite ", r.Kind, r.Addrs, r.Ports) }

// intern gives the one state that is equal.
func (f *flattener) intern(s *state) *state {
	s.key = s.name()
	if old, ok := f.states[s.key]; ok {
		return old
	}
	f.states[s.key] = s
	return s
}

func (s *state) clone() *state {
	d := *s
	d.over = make(map[Field]value, len(s.over)+1)
	for k, v := range s.over {
		d.over[k] = v
	}
	return &d
}

// put gives the state with a field's value; without one (nil) the packet's
// own again.
func (f *flattener) put(s *state, field Field, v *value) *state {
	d := s.clone()
	delete(d.over, field)
	if v != nil {
		d.over[field] = *v
	}
	return f.intern(d)
}

// known makes a value of a set: a constant, or one drawn from the set.
func (f *flattener) known(field Field, set Set, why Atom) value {
	if _, one := set.Only(); one {
		return value{kind: constant, set: set}
	}
	own := f.ax.fields[field]
	if own < 0 { // no rule looks at it
		return value{kind: constant, set: set}
	}
	a := axis{field: field, cuts: f.ax.info[own].cuts, atom: &why, drawn: true}
	i := f.drawnAxis(a, fields[field].id+" "+why.Why)
	f.domains = append(f.domains, space.Dim{Axis: i, Set: a.spans(set)})
	return value{kind: drawn, axis: i}
}

// drawnAxis makes the axis of a drawn value; lists that are compared share it
// as they share choices.
func (f *flattener) drawnAxis(a axis, key string) int32 {
	if f.shared == nil {
		return f.ax.add(a)
	}
	if f.now != nil {
		key += "\x00" + f.now.Text
	}
	f.shared[key]++
	key += "\x00" + itoa(f.shared[key])
	i, ok := f.ax.atoms[key]
	if !ok {
		i = f.ax.add(a)
		f.ax.atoms[key] = i
	}
	return i
}
