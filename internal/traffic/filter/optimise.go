package filter

// maxPasses bounds the optimiser; a program is right after any number.
const maxPasses = 40

// spare is how many times as many blocks as instructions are allowed are
// worth the optimiser's time: it does not make more of them fit.
const spare = 16

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
		if len(g.order) > spare*g.limit {
			g.tooLong(len(g.order))
		}
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
	same := map[identity]*block{}
	now := make(map[*block]*block, len(g.order))
	changed := false
	for i := len(g.order) - 1; i >= 0; i-- {
		b := g.order[i]
		if !b.leaf {
			b.yes, b.no = now[b.yes], now[b.no]
		}
		keep := g.useless(b)
		if keep == b && !b.leaf {
			key := b.identity()
			if other, ok := same[key]; ok {
				keep = other
			} else {
				same[key] = b
			}
		}
		if keep != b {
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

// identity is what equal blocks have in common.
type identity struct {
	num     int
	jump    jump
	k       uint32
	to      reg
	set     string
	yes, no *block
}

func (b *block) identity() identity {
	i := identity{num: b.num, jump: b.jump, k: b.k, to: b.to, yes: b.yes, no: b.no}
	if b.isStore() {
		i.set = b.set.key()
	}
	return i
}
