package filter

import "strconv"

// maxPasses bounds the optimiser; a program is right after any number.
const maxPasses = 40

// optimise moves edges past tests whose outcome is known, removes tests that
// decide nothing and merges equal blocks, until nothing changes.
//
// A load behind the packet's end ends the program with no match. So a load is
// only left out when it has been done before, or when nothing but no match
// can follow.
func (g *graph) optimise() {
	pass := 0
	next := func() { pass++; g.sort(pass) }
	next()
	g.number()
	for range maxPasses {
		changed := g.merge()
		next()
		g.dominate()
		if g.thread() {
			changed = true
		}
		next()
		if !changed {
			break
		}
	}
	g.merge()
	next()
}

// number gives equal values equal numbers, so that facts are compared fast.
func (g *graph) number() {
	nums := map[string]int{}
	of := func(key string) int {
		if nums[key] == 0 {
			nums[key] = len(nums) + 1
		}
		return nums[key]
	}
	for _, b := range g.order {
		switch {
		case b.leaf || b.isStore():
		case b.r != nil:
			b.num = of(b.l.key() + "?" + b.r.key())
		default:
			b.num = of(b.l.key())
			if b.l.op == vAnd && b.l.r.op == vConst {
				b.of, b.bit = of(b.l.l.key()), b.l.r.k
			}
		}
	}
}

// merge makes equal blocks one, from the end, and removes tests that decide
// nothing.
func (g *graph) merge() bool {
	same := map[string]*block{}
	now := map[*block]*block{}
	ids := map[*block]int{}
	changed := false
	for i := len(g.order) - 1; i >= 0; i-- {
		b := g.order[i]
		if !b.leaf {
			b.yes, b.no = now[b.yes], now[b.no]
		}
		keep := g.useless(b)
		if keep == b && !b.leaf {
			key := b.text(ids)
			if other, ok := same[key]; ok {
				keep = other
			} else {
				same[key] = b
			}
		}
		if keep == b {
			ids[b] = len(ids)
		} else {
			changed = true
		}
		now[b] = keep
	}
	g.root = now[g.root]
	return changed
}

// useless gives what may stand for b: its target if b decides nothing.
func (g *graph) useless(b *block) *block {
	if b.leaf || b.yes != b.no {
		return b
	}
	if b.yes == g.reject || !b.isStore() && b.l.safe() && (b.r == nil || b.r.safe()) {
		return b.yes
	}
	return b
}

// safe: computing v cannot end the program.
func (v *value) safe() bool {
	switch v.op {
	case vConst, vLen, vReg, vExt:
		return true
	case vLoad, vHead, vDiv, vMod:
		return false
	}
	return v.l.safe() && (v.r == nil || v.r.safe())
}

// text tells blocks apart.
func (b *block) text(ids map[*block]int) string {
	s := make([]byte, 0, 48)
	if b.isStore() {
		s = append(append(append(s, '='), b.to.key()...), b.set.key()...)
	} else {
		s = strconv.AppendInt(append(s, 'T', '0'+byte(b.jump)), int64(b.num), 10)
		s = strconv.AppendUint(append(s, ','), uint64(b.k), 10)
	}
	s = strconv.AppendInt(append(s, ':'), int64(ids[b.yes]), 10)
	return string(strconv.AppendInt(append(s, ':'), int64(ids[b.no]), 10))
}

// dominate finds for every block the last one that every path to it passes,
// and whether one edge alone leads to it.
func (g *graph) dominate() {
	for i, b := range g.order {
		b.index, b.dom, b.sole, b.edgesN = i, nil, nil, 0
	}
	for _, b := range g.order {
		if b.leaf {
			continue
		}
		b.lead(b.yes, true)
		if b.no != b.yes || !b.isStore() {
			b.lead(b.no, false)
		}
	}
}

// lead notes the edge from b to s.
func (b *block) lead(s *block, yes bool) {
	if s.edgesN++; s.edgesN == 1 {
		s.dom, s.sole, s.yesIn = b, b, yes
		return
	}
	s.sole = nil
	x, y := s.dom, b
	for x != y {
		for x.index > y.index {
			x = x.dom
		}
		for y.index > x.index {
			y = y.dom
		}
	}
	s.dom = x
}

// thread moves every edge past the blocks whose outcome is known on it.
func (g *graph) thread() bool {
	changed := false
	for _, b := range g.order {
		if b.leaf {
			continue
		}
		if to := b.beyond(b.yes, true); to != b.yes {
			b.yes, changed = to, true
		}
		if b.isStore() {
			b.no = b.yes
		} else if to := b.beyond(b.no, false); to != b.no {
			b.no, changed = to, true
		}
	}
	return changed
}

// beyond follows the edge from b to s as far as it is known where it leads.
func (b *block) beyond(s *block, yes bool) *block {
	for !s.leaf && !s.isStore() {
		outcome, known := b.knows(s, yes)
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

// maxFacts is how many facts are looked at for one edge: long chains of
// addresses would cost the square of their length.
const maxFacts = 400

// knows is the outcome of s's test after b went the way of yes.
func (b *block) knows(s *block, yes bool) (outcome, known bool) {
	for range maxFacts {
		if !b.isStore() {
			if outcome, known = b.implies(yes, s); known {
				return outcome, true
			}
		}
		for b.sole == nil {
			if b.dom == nil {
				return false, false
			}
			b = b.dom
		}
		yes, b = b.yesIn, b.sole
	}
	return false, false
}

// implies: what the outcome of f says of the test s.
func (f *block) implies(outcome bool, s *block) (result, known bool) {
	if f.num == s.num && f.jump == s.jump && f.k == s.k {
		return outcome, true
	}
	if f.r != nil || s.r != nil {
		return false, false
	}
	if f.jump == jEQ && outcome {
		if f.num == s.num {
			return decide(s.jump, f.k, s.k), true
		}
		if s.of != 0 && f.num == s.of {
			return decide(s.jump, f.k&s.bit, s.k), true
		}
	}
	if f.num != s.num {
		return false, false
	}
	if f.jump == jSET {
		return f.bits(outcome, s)
	}
	return f.order(outcome, s)
}

// bits is implies for a test of bits.
func (f *block) bits(outcome bool, s *block) (result, known bool) {
	switch {
	case s.jump == jSET && !outcome && s.k&^f.k == 0:
		return false, true
	case s.jump == jSET && outcome && f.k&^s.k == 0:
		return true, true
	case s.jump == jEQ && outcome == (s.k&f.k == 0):
		return false, true
	}
	return false, false
}

// order is implies for tests of size: the value is known to be low to high.
func (f *block) order(outcome bool, s *block) (result, known bool) {
	low, high := uint64(0), uint64(0xffffffff)
	switch at := uint64(f.k); {
	case f.jump == jGT && outcome:
		low = at + 1
	case f.jump == jGT:
		high = at
	case f.jump == jGE && outcome:
		low = at
	case f.jump == jGE && at > 0:
		high = at - 1
	}
	k := uint64(s.k)
	switch s.jump {
	case jEQ:
		return false, k < low || k > high
	case jGT:
		return low > k, low > k || high <= k
	case jGE:
		return low >= k, low >= k || high < k
	}
	return false, false
}
