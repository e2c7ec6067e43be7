package space

import (
	"cmp"
	"math"
	"slices"
)

// Index finds the first box of a list that holds a point or meets a box.
type Index struct {
	sp    Space
	boxes []Box
	top   level
}

// level is the boxes of one node: some looked at one by one, the others in a
// tree on the axis in which each is narrowest.
type level struct {
	first  int32 // the lowest number in it
	plain  []int32
	groups []group
}

// group is a segment tree on one axis: the node at k has the children 2k+1 and
// 2k+2 and halves its parent's classes.
type group struct {
	axis  int32
	first int32
	nodes map[uint32]*level
}

// fewBoxes are looked at one by one.
const fewBoxes = 24

// NewIndex makes an index of a list; the list must not change.
func NewIndex(sp Space, boxes []Box) *Index {
	x := &Index{sp: sp, boxes: boxes}
	ids := make([]int32, len(boxes))
	for i := range ids {
		ids[i] = int32(i)
	}
	x.top = x.build(ids, nil)
	return x
}

func (x *Index) build(ids []int32, done []int32) level {
	l := level{first: math.MaxInt32}
	if len(ids) > 0 {
		l.first = ids[0]
	}
	if len(ids) <= fewBoxes {
		l.plain = ids
		return l
	}
	byAxis := map[int32][]int32{}
	for _, id := range ids {
		axis := x.narrowest(x.boxes[id], done)
		if axis < 0 {
			l.plain = append(l.plain, id)
			continue
		}
		byAxis[axis] = append(byAxis[axis], id)
	}
	for axis, members := range byAxis {
		l.groups = append(l.groups, x.tree(axis, members, append(slices.Clone(done), axis)))
	}
	slices.SortFunc(l.groups, func(a, b group) int { return cmp.Compare(a.first, b.first) })
	return l
}

// narrowest is the axis of which the box takes the smallest part; -1 when it
// takes more than half of every axis that is not done.
func (x *Index) narrowest(b Box, done []int32) int32 {
	best, part := int32(-1), 0.5
	for _, d := range b {
		if slices.Contains(done, d.Axis) {
			continue
		}
		if p := float64(d.Set.Count()) * float64(len(d.Set)) / float64(x.sp[d.Axis]); p < part {
			best, part = d.Axis, p
		}
	}
	return best
}

func (x *Index) tree(axis int32, ids []int32, done []int32) group {
	g := group{axis: axis, first: ids[0], nodes: map[uint32]*level{}}
	at := map[uint32][]int32{}
	for _, id := range ids {
		for _, s := range x.boxes[id].Axis(axis) {
			place(at, 0, Span{0, x.sp[axis] - 1}, s, id)
		}
	}
	for k, members := range at {
		l := x.build(slices.Compact(members), done)
		g.nodes[k] = &l
	}
	// Nodes above one that holds something must be there to lead to it.
	for k := range at {
		for k > 0 {
			k = (k - 1) / 2
			if g.nodes[k] == nil {
				g.nodes[k] = &level{first: math.MaxInt32}
			}
		}
	}
	return g
}

// place puts a box at the nodes that its span is made of.
func place(at map[uint32][]int32, k uint32, node, s Span, id int32) {
	if s.Lo <= node.Lo && node.Hi <= s.Hi {
		at[k] = append(at[k], id)
		return
	}
	mid := node.Lo + (node.Hi-node.Lo)/2
	if s.Lo <= mid {
		place(at, 2*k+1, Span{node.Lo, mid}, s, id)
	}
	if s.Hi > mid {
		place(at, 2*k+2, Span{mid + 1, node.Hi}, s, id)
	}
}

// None is what First and Meeting give when no box fits.
const None = math.MaxInt32

// First gives the number of the first box, counted from from, that holds the
// point; None when there is none.
func (x *Index) First(p Point, from int) int {
	return int(x.first(&x.top, p, int32(from), None))
}

func (x *Index) first(l *level, p Point, from, best int32) int32 {
	for _, id := range l.plain {
		if id >= best {
			break
		}
		if id >= from && x.boxes[id].Has(p) {
			best = id
			break
		}
	}
	for i := range l.groups {
		g := &l.groups[i]
		if g.first >= best {
			break
		}
		node, k := Span{0, x.sp[g.axis] - 1}, uint32(0)
		for {
			sub := g.nodes[k]
			if sub == nil {
				break
			}
			if sub.first < best {
				best = x.first(sub, p, from, best)
			}
			if node.Lo == node.Hi {
				break
			}
			if mid := node.Lo + (node.Hi-node.Lo)/2; p[g.axis] <= mid {
				k, node.Hi = 2*k+1, mid
			} else {
				k, node.Lo = 2*k+2, mid+1
			}
		}
	}
	return best
}

// Meeting gives the number of the first box, counted from from, that has a
// packet in common with b; None when there is none.
func (x *Index) Meeting(b Box, from int) int {
	return int(x.meeting(&x.top, b, int32(from), None))
}

func (x *Index) meeting(l *level, b Box, from, best int32) int32 {
	for _, id := range l.plain {
		if id >= best {
			break
		}
		if id >= from && x.boxes[id].Meets(b) {
			best = id
			break
		}
	}
	for i := range l.groups {
		g := &l.groups[i]
		if g.first >= best {
			break
		}
		set := b.Axis(g.axis)
		if set == nil {
			set = x.sp.full(g.axis)
		}
		best = x.meetingIn(g, 0, Span{0, x.sp[g.axis] - 1}, set, b, from, best)
	}
	return best
}

func (x *Index) meetingIn(g *group, k uint32, node Span, set Spans, b Box, from, best int32) int32 {
	sub := g.nodes[k]
	if sub == nil || !set.Meets(Spans{node}) {
		return best
	}
	if sub.first < best {
		best = x.meeting(sub, b, from, best)
	}
	if node.Lo == node.Hi {
		return best
	}
	mid := node.Lo + (node.Hi-node.Lo)/2
	best = x.meetingIn(g, 2*k+1, Span{node.Lo, mid}, set, b, from, best)
	return x.meetingIn(g, 2*k+2, Span{mid + 1, node.Hi}, set, b, from, best)
}

// AllMeeting gives the numbers of all boxes that have a packet in common with
// b, in ascending order.
func (x *Index) AllMeeting(b Box) []int {
	all := collect{x: x, b: b}
	all.level(&x.top)
	slices.Sort(all.ids)
	return slices.Compact(all.ids) // a box may stand in several nodes
}

type collect struct {
	x   *Index
	b   Box
	ids []int
}

func (c *collect) level(l *level) {
	for _, id := range l.plain {
		if c.x.boxes[id].Meets(c.b) {
			c.ids = append(c.ids, int(id))
		}
	}
	for i := range l.groups {
		g := &l.groups[i]
		set := c.b.Axis(g.axis)
		if set == nil {
			set = c.x.sp.full(g.axis)
		}
		c.tree(g, 0, Span{0, c.x.sp[g.axis] - 1}, set)
	}
}

func (c *collect) tree(g *group, k uint32, node Span, set Spans) {
	sub := g.nodes[k]
	if sub == nil {
		return
	}
	if i := set.from(node.Lo); i == len(set) || set[i].Lo > node.Hi {
		return
	}
	c.level(sub)
	if node.Lo == node.Hi {
		return
	}
	mid := node.Lo + (node.Hi-node.Lo)/2
	c.tree(g, 2*k+1, Span{node.Lo, mid}, set)
	c.tree(g, 2*k+2, Span{mid + 1, node.Hi}, set)
}
