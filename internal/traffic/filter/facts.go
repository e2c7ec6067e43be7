package filter

// dominate finds for every test the last block that every path to it passes,
// and whether one edge of that alone leads to it.
func (g *graph) dominate() {
	for _, b := range g.order {
		b.dom, b.sole, b.ways, b.children = nil, nil, 0, b.children[:0]
	}
	g.root.far, g.root.depth = g.root, 0
	for _, b := range g.order {
		if b.leaf {
			continue
		}
		if b.dom != nil {
			b.hang()
		}
		b.lead(b.yes, true)
		if !b.isStore() {
			b.lead(b.no, false)
		}
	}
}

// lead notes the edge from b to s.
func (b *block) lead(s *block, yes bool) {
	if s.leaf {
		return
	}
	if s.ways++; s.ways == 1 {
		s.dom, s.sole, s.yesIn = b, b, yes
		return
	}
	s.sole = nil
	s.dom = meeting(s.dom, b)
}

// hang puts b below its dominator. far points a long way up, so that meeting
// takes steps in the logarithm of the depth.
func (b *block) hang() {
	up := b.dom
	b.depth = up.depth + 1
	up.children = append(up.children, b)
	b.far = up
	if up.depth-up.far.depth == up.far.depth-up.far.far.depth {
		b.far = up.far.far
	}
}

// meeting is the deepest block above both.
func meeting(x, y *block) *block {
	if x.depth < y.depth {
		x, y = y, x
	}
	for x.depth > y.depth {
		if x.far.depth >= y.depth {
			x = x.far
		} else {
			x = x.dom
		}
	}
	for x != y {
		if x.far != y.far {
			x, y = x.far, y.far
		} else {
			x, y = x.dom, y.dom
		}
	}
	return x
}

// fact is a test: number of the value, jump and k.
type fact uint64

func (b *block) fact() fact { return fact(b.num)<<34 | fact(b.jump)<<32 | fact(b.k) }

// facts is what is known at a place, of each value by its number. Each map
// holds what the innermost fact left; undo brings the one before back.
type facts struct {
	exact map[fact]bool
	about map[int]bounds
}

// bounds is what is known of a value: from low to high, without the bits of
// zero, and with one of the bits of some, unless that is 0.
type bounds struct {
	low, high  uint32
	zero, some uint32
}

// learn adds the outcome of b's test, and gives back how to forget it.
func (f *facts) learn(b *block, outcome bool) (undo func()) {
	if b.isStore() {
		return func() {}
	}
	key := b.fact()
	was, had := f.exact[key]
	f.exact[key] = outcome
	old, known := f.about[b.num]
	if b.r == nil {
		f.about[b.num] = f.of(b.num).narrow(b.jump, b.k, outcome)
	}
	return func() {
		f.exact[key] = was
		if !had {
			delete(f.exact, key)
		}
		f.about[b.num] = old
		if !known {
			delete(f.about, b.num)
		}
	}
}

func (f *facts) of(num int) bounds {
	if b, ok := f.about[num]; ok {
		return b
	}
	return bounds{high: 0xffffffff}
}

// narrow adds the outcome of a test.
func (b bounds) narrow(j jump, k uint32, outcome bool) bounds {
	switch {
	case j == jEQ && outcome:
		b.low, b.high = k, k
	case j == jGT && outcome && k < 0xffffffff:
		b.low = max(b.low, k+1)
	case j == jGT && !outcome:
		b.high = min(b.high, k)
	case j == jGE && outcome:
		b.low = max(b.low, k)
	case j == jGE && !outcome && k > 0:
		b.high = min(b.high, k-1)
	case j == jSET && outcome:
		b.some = k
	case j == jSET:
		b.zero |= k
	}
	return b
}

// decides is the outcome of b's test, if it is known.
func (f *facts) decides(b *block) (outcome, known bool) {
	if outcome, known = f.exact[b.fact()]; known || b.r != nil {
		return outcome, known
	}
	if v, ok := f.about[b.of]; ok && b.of != 0 && v.low == v.high {
		return decide(b.jump, v.low&b.bit, b.k), true
	}
	// Of a value that was not loaded yet nothing follows, not even that it is
	// at least 0: the load may end the program.
	if v, ok := f.about[b.num]; ok {
		return v.decides(b.jump, b.k)
	}
	return false, false
}

func (b bounds) decides(j jump, k uint32) (outcome, known bool) {
	if b.low == b.high {
		return decide(j, b.low, k), true
	}
	switch j {
	case jEQ:
		return false, k < b.low || k > b.high || k&b.zero != 0 || b.some != 0 && k&b.some == 0
	case jGT:
		return b.low > k, b.low > k || b.high <= k
	case jGE:
		return b.low >= k, b.low >= k || b.high < k
	}
	if k&^b.zero == 0 {
		return false, true
	}
	return true, b.some != 0 && b.some&^k == 0
}

// thread moves every edge past the blocks whose outcome is known on it.
func (g *graph) thread() bool {
	f := &facts{exact: map[fact]bool{}, about: map[int]bounds{}}
	if g.root.leaf {
		return false
	}
	return f.below(g.root)
}

// below threads b's edges and those of all that b dominates; f is what is
// known at b. What lies below comes first: then the way on is short already.
func (f *facts) below(b *block) (changed bool) {
	for _, c := range b.children {
		if c.sole == nil {
			changed = f.below(c) || changed
		}
	}
	for _, yes := range [...]bool{true, false} {
		undo := f.learn(b, yes)
		for _, c := range b.children {
			if c.sole == b && c.yesIn == yes {
				changed = f.below(c) || changed
			}
		}
		edge := &b.no
		if yes {
			edge = &b.yes
		}
		if to := f.beyond(*edge); to != *edge {
			*edge, changed = to, true
		}
		undo()
	}
	return changed
}

// beyond is where an edge to s leads at last.
func (f *facts) beyond(s *block) *block {
	for !s.leaf && !s.isStore() {
		outcome, known := f.decides(s)
		if !known {
			break
		}
		if outcome {
			s = s.yes
		} else {
			s = s.no
		}
	}
	return s
}
