package space

import (
	"cmp"
	"slices"
)

// List is a first-match list for Differ. Entries of two lists that have the
// same Key are the same: same box, same effect. The last box of a list should
// cover everything; packets that no box holds have no effect.
type List struct {
	Boxes  []Box
	Effect []int32
	Key    []int32
}

// Differ gives to emit, as disjoint boxes, where in b the two lists have
// another effect, until emit returns false. It reports whether it came to an
// end: false when emit stopped it or the budget ran out.
func (sp Space) Differ(b Box, x, y List, budget *Budget, emit func(Box) bool) bool {
	x, y = x.closed(b).ordered(), y.closed(b).ordered()
	d := &differ{sp: sp, budget: budget, emit: emit, seen: map[int32]int{}}
	return d.differ(b, side{&x, count(len(x.Boxes))}, side{&y, count(len(y.Boxes))})
}

// closed gives a list whose last entry covers b: packets that no box holds
// have no effect.
func (l List) closed(b Box) List {
	if n := len(l.Boxes); n > 0 && b.Within(l.Boxes[n-1]) {
		return l
	}
	l.Boxes = append(slices.Clone(l.Boxes), Box{})
	l.Effect, l.Key = append(slices.Clone(l.Effect), -1), append(slices.Clone(l.Key), -1)
	return l
}

// ordered puts entries that follow one another and have the same effect in
// the order of their keys: among them the order decides nothing.
func (l List) ordered() List {
	ids := count(len(l.Boxes))
	for i := 0; i < len(ids); {
		n := i + 1
		for n < len(ids)-1 && l.Effect[n] == l.Effect[i] {
			n++
		}
		slices.SortStableFunc(ids[i:n], func(a, b int32) int { return cmp.Compare(l.Key[a], l.Key[b]) })
		i = n
	}
	out := List{Boxes: make([]Box, len(ids)), Effect: make([]int32, len(ids)), Key: make([]int32, len(ids))}
	for k, i := range ids {
		out.Boxes[k], out.Effect[k], out.Key[k] = l.Boxes[i], l.Effect[i], l.Key[i]
	}
	return out
}

func count(n int) []int32 {
	ids := make([]int32, n)
	for i := range ids {
		ids[i] = int32(i)
	}
	return ids
}

// side is what of a list still matters.
type side struct {
	*List
	ids []int32
}

// effect is what the list does with what reaches its end here.
func (s side) effect() int32 { return s.Effect[s.ids[len(s.ids)-1]] }

type differ struct {
	sp     Space
	budget *Budget
	emit   func(Box) bool
	seen   map[int32]int // how often a key was met, of the present comparison
}

func (d *differ) differ(b Box, x, y side) bool {
	x, y = d.narrow(b, x), d.narrow(b, y)
	if d.budget.Out {
		return false
	}
	n := commonPrefix(x, y)
	if n == len(x.ids)-1 && n == len(y.ids)-1 {
		if x.effect() == y.effect() {
			return true
		}
		return d.prefixed(b, x, n)
	}
	if axis, cut, ok := d.median(b, x, y); ok {
		return d.halves(b, x, y, axis, cut)
	}
	pivot := d.pivot(x, y, n)
	for _, piece := range d.sp.Minus(b, pivot) {
		if !d.differ(piece, x, y) {
			return false
		}
	}
	inside, _ := b.And(pivot)
	return d.differ(inside, x, y)
}

// prefixed emits what a common beginning of both lists leaves of b.
func (d *differ) prefixed(b Box, x side, n int) bool {
	taken := make([]Box, n)
	for i := range taken {
		taken[i] = x.Boxes[x.ids[i]]
	}
	return d.sp.Rest(b, taken, d.budget, nil, d.emit)
}

// narrow keeps the entries that meet b, up to the first that covers it, and
// drops those just before it that have its effect: they decide nothing.
func (d *differ) narrow(b Box, s side) side {
	d.budget.spend(len(s.ids))
	near := make([]int32, 0, min(len(s.ids), 64))
	covered := false
	for _, i := range s.ids {
		if !b.Meets(s.Boxes[i]) {
			continue
		}
		near = append(near, i)
		if covered = b.Within(s.Boxes[i]); covered {
			break
		}
	}
	if n := len(near); covered {
		last := near[n-1]
		near = near[:n-1]
		for len(near) > 0 && s.Effect[near[len(near)-1]] == s.Effect[last] {
			near = near[:len(near)-1]
		}
		near = append(near, last)
	}
	s.ids = near
	return s
}

// commonPrefix counts how many entries both lists begin with, the last of
// either list left out.
func commonPrefix(x, y side) int {
	n := 0
	for n < len(x.ids)-1 && n < len(y.ids)-1 && x.Key[x.ids[n]] == y.Key[y.ids[n]] {
		n++
	}
	return n
}

// pivot chooses the entry to divide along: the first that only one list has,
// else of the two at which they part the one that moved further.
func (d *differ) pivot(x, y side, n int) Box {
	px, py := places(x), places(y)
	d.budget.spend(len(x.ids) + len(y.ids))
	for k := n; k < len(x.ids)-1 || k < len(y.ids)-1; k++ {
		if k < len(x.ids)-1 && !has(py, x.Key[x.ids[k]]) {
			return x.Boxes[x.ids[k]]
		}
		if k < len(y.ids)-1 && !has(px, y.Key[y.ids[k]]) {
			return y.Boxes[y.ids[k]]
		}
	}
	switch {
	case n == len(x.ids)-1:
		return y.Boxes[y.ids[n]]
	case n == len(y.ids)-1 || py[x.Key[x.ids[n]]] >= px[y.Key[y.ids[n]]]:
		return x.Boxes[x.ids[n]]
	}
	return y.Boxes[y.ids[n]]
}

// places tells where in a list each key stands.
func places(s side) map[int32]int {
	out := make(map[int32]int, len(s.ids))
	for k, i := range s.ids {
		out[s.Key[i]] = k
	}
	return out
}

func has(m map[int32]int, key int32) bool {
	_, ok := m[key]
	return ok
}

// Lists longer than this that have many entries of their own are first halved
// along an axis, so that the rest works on short ones.
const longLists, manyOwn = 400, 24

// median finds an axis and a class to halve b at. ok is false where lists are
// short or differ little.
func (d *differ) median(b Box, x, y side) (axis int32, cut uint32, ok bool) {
	if len(x.ids)+len(y.ids) < longLists || d.own(x, y) < manyOwn {
		return 0, 0, false
	}
	ends := map[int32][]uint32{}
	for _, s := range []side{x, y} {
		for _, i := range s.ids {
			for _, dim := range s.Boxes[i] {
				if have := b.Axis(dim.Axis); have == nil || !have.Within(dim.Set) {
					ends[dim.Axis] = append(ends[dim.Axis], dim.Set[0].Lo, dim.Set[len(dim.Set)-1].Hi+1)
				}
			}
		}
	}
	most := 0
	for a, list := range ends {
		slices.Sort(list)
		mid := list[len(list)/2]
		have := b.Axis(a)
		if have == nil {
			have = d.sp.full(a)
		}
		if mid <= have[0].Lo || mid > have[len(have)-1].Hi {
			continue
		}
		if n := len(list); n > most || n == most && a < axis {
			axis, cut, most, ok = a, mid, n, true
		}
	}
	return axis, cut, ok && most >= (len(x.ids)+len(y.ids))/2
}

// own counts the entries that only one of the lists has.
func (d *differ) own(x, y side) (n int) {
	clear(d.seen)
	d.budget.spend(len(x.ids) + len(y.ids))
	for _, i := range x.ids {
		d.seen[x.Key[i]] |= 1
	}
	for _, i := range y.ids {
		d.seen[y.Key[i]] |= 2
	}
	for _, who := range d.seen {
		if who != 3 {
			n++
		}
	}
	return n
}

func (d *differ) halves(b Box, x, y side, axis int32, cut uint32) bool {
	for _, half := range []Span{{0, cut - 1}, {cut, d.sp[axis] - 1}} {
		if part, ok := d.sp.Limit(b, axis, Spans{half}); ok && !d.differ(part, x, y) {
			return false
		}
	}
	return true
}
