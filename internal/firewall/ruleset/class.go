package ruleset

import "slices"

// class is a set of packets that have met the same rules: every combination
// of the fields' values, under the atoms assumed. Fields that the packet does
// not have are empty. A class belongs to one place of the walk at a time; what
// several classes share is never changed in place.
type class struct {
	vals   [numFields]Set
	opaque map[Field]string // fields whose value is not understood, and why
	atoms  []literal        // sorted by key
	trail  *mark
	target *Rewrite
	// untracked: taken out of connection tracking; tracked: it has started.
	untracked, tracked bool
	rewritten          bool // by NAT, at the present hook
}

// literal is an atom assumed to hold or not.
type literal struct {
	Atom
	holds bool
}

// Rewrite is where a destination rewrite led a class.
type Rewrite struct {
	Kind  TranslateKind
	Addrs Set // empty: the packet's own address or, for Redirect, this host's
	Ports Set // empty: the packet's own port
	Rule  *Rule
	Chain *Chain
}

// with copies a class with one field narrowed or changed.
func (c *class) with(f Field, s Set) *class {
	d := *c
	d.vals[f] = s
	return &d
}

func (c *class) setOpaque(f Field, why string) {
	next := make(map[Field]string, len(c.opaque)+1)
	for k, v := range c.opaque {
		next[k] = v
	}
	delete(next, f)
	if why != "" {
		next[f] = why
	}
	c.opaque = next
}

// fork divides a class by an atom; one that is assumed already decides.
func (w *walk) fork(c *class, a Atom) (yes, no []*class) {
	if a.Key == "" {
		w.draws++
		a.Key = "draw " + itoa(w.draws)
	}
	i, found := slices.BinarySearchFunc(c.atoms, a.Key, func(l literal, key string) int { return compareText(l.Key, key) })
	if found {
		if c.atoms[i].holds {
			return []*class{c}, nil
		}
		return nil, []*class{c}
	}
	return []*class{c.assume(i, a, true)}, []*class{c.assume(i, a, false)}
}

func (c *class) assume(i int, a Atom, holds bool) *class {
	d := *c
	d.atoms = slices.Insert(slices.Clone(c.atoms), i, literal{a, holds})
	return &d
}

// certain reports that no atom which is not understood is assumed.
func (c *class) certain() bool {
	return !slices.ContainsFunc(c.atoms, func(l literal) bool { return l.Unknown })
}

const someOpen = -2

// openField tells which of the fields has more than one value: -1 none,
// someOpen two or more.
func (c *class) openField(fs []Field) int {
	open := -1
	for i, f := range fs {
		if _, one := c.vals[f].Only(); one || len(c.vals[f]) == 0 {
			continue
		}
		if open >= 0 {
			return someOpen
		}
		open = i
	}
	return open
}

// within reports that every field but the open one has its only value in its
// set of the row, and that the open one meets its set.
func (c *class) within(fs []Field, row []Set, open int) bool {
	for i, f := range fs {
		v, one := c.vals[f].Only()
		switch {
		case i == open:
			if !c.vals[f].Meets(row[i]) {
				return false
			}
		case !one || !row[i].Has(v):
			return false
		}
	}
	return true
}

// meets reports that some packet of the class could be in the row.
func (c *class) meets(fs []Field, row []Set) bool {
	for i, f := range fs {
		if !c.vals[f].Meets(row[i]) {
			return false
		}
	}
	return true
}

// mark is one step of a class's way, newest first.
type mark struct {
	prev  *mark
	depth int
	kind  markKind
	rule  *Rule  // nil for a policy or the kernel
	chain *Chain // nil for the kernel
	note  string
	// named: the rule, or one that jumped to its chain, names the port.
	named bool
}

type markKind uint8

const (
	markAccept markKind = iota
	markDrop
	markAcceptPolicy
	markDropPolicy
	markRewrite
	markKernel // the kernel itself, outside the rules
)

func (c *class) mark(m mark) *class {
	d := *c
	m.prev = c.trail
	if m.prev != nil {
		m.depth = m.prev.depth + 1
	}
	d.trail = &m
	return &d
}

// ancestor is the newest mark that both trails have.
func ancestor(a, b *mark) *mark {
	for a != b {
		if b == nil || (a != nil && a.depth >= b.depth) {
			a = a.prev
		} else {
			b = b.prev
		}
	}
	return a
}

// mostMerged bounds the work of merging; longer lists stay as they are.
const mostMerged = 48

// merge joins classes that differ in one field or one atom only, so that what
// was divided and came to the same again is one class again.
func merge(in []*class) []*class {
	if len(in) < 2 || len(in) > mostMerged {
		return in
	}
	for {
		i, j, joined := pair(in)
		if joined == nil {
			return in
		}
		in = slices.Delete(slices.Clone(in), j, j+1)
		in[i] = joined
	}
}

// pair finds two classes that can be joined.
func pair(in []*class) (i, j int, joined *class) {
	for i := range in {
		for j := i + 1; j < len(in); j++ {
			if joined := join(in[i], in[j]); joined != nil {
				return i, j, joined
			}
		}
	}
	return 0, 0, nil
}

// join makes one class of two, or nil when they differ in more than one way.
func join(a, b *class) *class {
	if a.untracked != b.untracked || a.tracked != b.tracked || a.rewritten != b.rewritten || a.target != b.target || !sameOpaque(a, b) {
		return nil
	}
	field, differ := -1, 0
	for f := range a.vals {
		if !a.vals[f].Equal(b.vals[f]) {
			field = f
			differ++
		}
	}
	atoms, atomsDiffer, ok := joinAtoms(a.atoms, b.atoms)
	if !ok || differ+atomsDiffer > 1 {
		return nil
	}
	d := *a
	d.atoms = atoms
	if field >= 0 {
		d.vals[field] = Union(a.vals[field], b.vals[field])
	}
	d.trail = ancestor(a.trail, b.trail)
	return &d
}

func sameOpaque(a, b *class) bool {
	if len(a.opaque) != len(b.opaque) {
		return false
	}
	for f := range a.opaque {
		if _, ok := b.opaque[f]; !ok {
			return false
		}
	}
	return true
}

// joinAtoms drops one atom that the two lists assume oppositely.
func joinAtoms(a, b []literal) (out []literal, differ int, ok bool) {
	if len(a) != len(b) {
		return nil, 0, false
	}
	at := -1
	for i := range a {
		switch {
		case a[i].Key != b[i].Key:
			return nil, 0, false
		case a[i].holds != b[i].holds:
			at = i
			differ++
		}
	}
	if differ == 1 {
		return slices.Delete(slices.Clone(a), at, at+1), 1, true
	}
	return a, differ, true
}
