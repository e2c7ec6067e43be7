package filter

// graph is the program as blocks: each computes a value, tests it and goes to
// one of two others, never back. A block counts on nothing that others left
// in the registers A and X, so edges may be moved; emit finds out what need
// not be loaded again.
type graph struct {
	root           *block
	accept, reject *block
	order          []*block // from the root, each before those it goes to
	whole          span
	limit          int // instructions
}

type block struct {
	leaf bool   // returns ret
	ret  uint32 // of a leaf
	// a test, see cond; or a store when to is not 0, which goes to yes
	jump    jump
	l, r    *value
	k       uint32
	to      reg
	set     *value
	yes, no *block

	num int // of equal tests: what, see number
	of  int // the value below a mask, or 0
	bit uint32

	dom      *block // the last block on every path here
	sole     *block // dom, if one edge of it alone leads here
	yesIn    bool   // by which of sole's edges
	ways     int    // edges that come here
	children []*block
	far      *block // an ancestor by dom, see hang
	depth    int
	seen     int // pass of the last visit

	in, out  held // what A and X hold
	hasIn    bool
	code     []instruction
	fromEnd  int // where the block begins, counted from the program's end
	near     int // the same of what may be jumped to instead
	defined  uint32
	hasReach bool
}

// build turns a condition to blocks. It walks from the end, so that every
// block is made knowing where it goes.
func (g *graph) build(c *cond) *block { return g.flow(c, g.accept, g.reject) }

func (g *graph) flow(c *cond, yes, no *block) *block {
	for {
		switch c.op {
		case cTrue:
			return yes
		case cFalse:
			return no
		case cNot:
			c, yes, no = c.a, no, yes
		case cAnd:
			yes = g.flow(c.b, yes, no)
			c = c.a
		case cOr:
			no = g.flow(c.b, yes, no)
			c = c.a
		case cStore:
			return &block{to: c.to, set: c.set, yes: yes, no: yes}
		default:
			return &block{jump: c.jump, l: c.l, r: c.r, k: c.k, yes: yes, no: no}
		}
	}
}

// sort lists the blocks that can be reached, each before its targets.
func (g *graph) sort(pass int) {
	g.order = g.order[:0]
	g.visit(g.root, pass)
	for i, j := 0, len(g.order)-1; i < j; i, j = i+1, j-1 {
		g.order[i], g.order[j] = g.order[j], g.order[i]
	}
}

// visit appends a block after its targets. It keeps its own stack: a long
// expression is a long chain.
func (g *graph) visit(root *block, pass int) {
	type frame struct {
		b    *block
		step int
	}
	stack := []frame{{b: root}}
	root.seen = pass
	for len(stack) > 0 {
		top := &stack[len(stack)-1]
		var next *block
		switch {
		case top.b.leaf || top.step == 2:
			g.order = append(g.order, top.b)
			stack = stack[:len(stack)-1]
			continue
		case top.step == 0:
			next = top.b.no
		default:
			next = top.b.yes
		}
		top.step++
		if next.seen != pass {
			next.seen = pass
			stack = append(stack, frame{b: next})
		}
	}
}

// isStore reports a block without a test.
func (b *block) isStore() bool { return b.to != 0 }
