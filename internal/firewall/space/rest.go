package space

import "slices"

// Budget bounds the steps of questions; a step is one look at one box.
type Budget struct {
	Left int
	// Out is set once steps were refused: answers since then are unfinished.
	Out bool
}

func (b *Budget) spend(n int) bool {
	if b.Left -= n; b.Left < 0 {
		b.Out = true
	}
	return !b.Out
}

// Rest gives to emit, as disjoint boxes, what the boxes of taken leave of b,
// until emit returns false. used, when not nil, is told which of the boxes
// were needed, some more than once. It reports whether it came to an end:
// false when emit stopped it or the budget ran out (Budget.Out).
func (sp Space) Rest(b Box, taken []Box, budget *Budget, used func(i int), emit func(Box) bool) bool {
	ids := make([]int32, len(taken))
	for i := range ids {
		ids[i] = int32(i)
	}
	r := &rester{sp: sp, taken: taken, budget: budget, used: used, emit: emit}
	return r.rest(b, ids)
}

type rester struct {
	sp     Space
	taken  []Box
	budget *Budget
	used   func(int)
	emit   func(Box) bool
}

func (r *rester) use(i int32) {
	if r.used != nil {
		r.used(int(i))
	}
}

func (r *rester) rest(b Box, ids []int32) bool {
	for {
		near, cover := r.near(b, ids)
		switch {
		case r.budget.Out:
			return false
		case cover >= 0:
			r.use(cover)
			return true
		case len(near) == 0:
			return r.emit(b)
		}
		slim, left, cut := r.slabs(b, near)
		if !left {
			return true
		}
		if !cut {
			return r.divide(b, near)
		}
		b, ids = slim, near
	}
}

// near keeps the boxes that meet b, and finds one that covers it.
func (r *rester) near(b Box, ids []int32) (near []int32, cover int32) {
	r.budget.spend(len(ids))
	near = make([]int32, 0, min(len(ids), 64))
	for _, i := range ids {
		if !b.Meets(r.taken[i]) {
			continue
		}
		if b.Within(r.taken[i]) {
			return nil, i
		}
		near = append(near, i)
	}
	return near, -1
}

// slabs takes away at once all boxes that cut b along one axis only, axis by
// axis. left is false when nothing remains, cut when something was taken.
func (r *rester) slabs(b Box, ids []int32) (out Box, left, cut bool) {
	byAxis := map[int32]Spans{}
	for _, i := range ids {
		if axis, ok := lone(b, r.taken[i]); ok {
			byAxis[axis] = append(byAxis[axis], r.taken[i].Axis(axis)...)
			r.use(i)
		}
	}
	for axis, set := range byAxis {
		have := b.Axis(axis)
		if have == nil {
			have = r.sp.full(axis)
		}
		rest := have.Minus(Join(set))
		if len(rest) == 0 {
			return nil, false, true
		}
		b = b.with(axis, rest)
	}
	return b, true, len(byAxis) > 0
}

// lone finds the only axis on which o does not cover b.
func lone(b, o Box) (axis int32, ok bool) {
	for _, d := range o {
		if have := b.Axis(d.Axis); have != nil && have.Within(d.Set) {
			continue
		}
		if ok {
			return 0, false
		}
		axis, ok = d.Axis, true
	}
	return axis, ok
}

// divide takes away the box that covers most and goes on with the pieces.
func (r *rester) divide(b Box, ids []int32) bool {
	best, share := 0, -1.0
	r.budget.spend(len(ids))
	for k, i := range ids {
		if s := r.sp.share(b, r.taken[i]); s > share {
			best, share = k, s
		}
	}
	pivot := ids[best]
	r.use(pivot)
	others := slices.Delete(slices.Clone(ids), best, best+1)
	for _, piece := range r.sp.Minus(b, r.taken[pivot]) {
		if !r.rest(piece, others) {
			return false
		}
	}
	return true
}
