package space

import "slices"

// Space is how many classes each axis has.
type Space []uint32

// Dim is the part of a box on one axis.
type Dim struct {
	Axis int32
	Set  Spans
}

// Box is a set of packets: on each axis that it names the classes there,
// sorted by axis. It never names an axis with an empty set, and should not
// name one with the full set.
type Box []Dim

// full is the set of all classes of an axis.
func (sp Space) full(axis int32) Spans { return Spans{{0, sp[axis] - 1}} }

// Limit gives the part of the box with the classes on the axis; ok is false
// when nothing is left.
func (sp Space) Limit(b Box, axis int32, set Spans) (Box, bool) {
	i := b.at(axis)
	if i < len(b) && b[i].Axis == axis {
		set = b[i].Set.And(set)
		if len(set) == 0 {
			return nil, false
		}
		out := slices.Clone(b)
		out[i].Set = set
		return out, true
	}
	switch {
	case len(set) == 0:
		return nil, false
	case set[0].Lo == 0 && set[0].Hi >= sp[axis]-1:
		return b, true
	}
	return slices.Insert(slices.Clone(b), i, Dim{axis, set}), true
}

func (b Box) at(axis int32) int {
	for i := range b {
		if b[i].Axis >= axis {
			return i
		}
	}
	return len(b)
}

// Axis gives the box's classes on an axis; nil when it is open there.
func (b Box) Axis(axis int32) Spans {
	if i := b.at(axis); i < len(b) && b[i].Axis == axis {
		return b[i].Set
	}
	return nil
}

// with replaces or adds the classes on one axis.
func (b Box) with(axis int32, set Spans) Box {
	i := b.at(axis)
	if i < len(b) && b[i].Axis == axis {
		out := slices.Clone(b)
		out[i].Set = set
		return out
	}
	return slices.Insert(slices.Clone(b), i, Dim{axis, set})
}

// Open gives the box with the axis left open.
func (b Box) Open(axis int32) Box {
	i := b.at(axis)
	if i == len(b) || b[i].Axis != axis {
		return b
	}
	return slices.Delete(slices.Clone(b), i, i+1)
}

// Meets reports whether the boxes have a packet in common.
func (b Box) Meets(o Box) bool {
	for i, j := 0, 0; i < len(b) && j < len(o); {
		switch {
		case b[i].Axis < o[j].Axis:
			i++
		case b[i].Axis > o[j].Axis:
			j++
		case !b[i].Set.Meets(o[j].Set):
			return false
		default:
			i, j = i+1, j+1
		}
	}
	return true
}

// And is the set of the packets in both; ok is false when there are none.
func (b Box) And(o Box) (out Box, ok bool) {
	out = make(Box, 0, len(b)+len(o))
	i, j := 0, 0
	for i < len(b) && j < len(o) {
		switch {
		case b[i].Axis < o[j].Axis:
			out = append(out, b[i])
			i++
		case b[i].Axis > o[j].Axis:
			out = append(out, o[j])
			j++
		default:
			both := b[i].Set.And(o[j].Set)
			if len(both) == 0 {
				return nil, false
			}
			out = append(out, Dim{b[i].Axis, both})
			i, j = i+1, j+1
		}
	}
	return append(append(out, b[i:]...), o[j:]...), true
}

// Within reports whether every packet of b is in o.
func (b Box) Within(o Box) bool {
	i := 0
	for _, d := range o {
		for i < len(b) && b[i].Axis < d.Axis {
			i++
		}
		if i == len(b) || b[i].Axis != d.Axis || !b[i].Set.Within(d.Set) {
			return false
		}
	}
	return true
}

// Has reports whether the point is in the box.
func (b Box) Has(p Point) bool {
	for i := range b {
		if !b[i].Set.Has(p[b[i].Axis]) {
			return false
		}
	}
	return true
}

// Minus gives what is left of b without o, as disjoint boxes.
func (sp Space) Minus(b, o Box) (out []Box) {
	if !b.Meets(o) {
		return []Box{b}
	}
	for _, d := range o {
		have := b.Axis(d.Axis)
		if have == nil {
			have = sp.full(d.Axis)
		}
		if rest := have.Minus(d.Set); len(rest) > 0 {
			out = append(out, b.with(d.Axis, rest))
		}
		b = b.with(d.Axis, have.And(d.Set))
	}
	return out
}

// MinusAll gives what is left of a region without others; ok is false when it
// would take more than most boxes.
func (sp Space) MinusAll(region, others []Box, most int) (out []Box, ok bool) {
	out = region
	for _, o := range others {
		if !slices.ContainsFunc(out, o.Meets) {
			continue
		}
		var next []Box
		for _, b := range out {
			next = append(next, sp.Minus(b, o)...)
		}
		out = next
		if len(out) > most {
			return nil, false
		}
	}
	return out, true
}

// AndAll gives what two regions have in common; ok is false when it would
// take more than most boxes.
func AndAll(a, b []Box, most int) (out []Box, ok bool) {
	for _, x := range a {
		for _, y := range b {
			if both, some := x.And(y); some {
				out = append(out, both)
			}
		}
		if len(out) > most {
			return nil, false
		}
	}
	return out, true
}

// Equal reports whether both boxes limit the same axes to the same classes.
func (b Box) Equal(o Box) bool {
	return slices.EqualFunc(b, o, func(x, y Dim) bool { return x.Axis == y.Axis && slices.Equal(x.Set, y.Set) })
}

// Point is one packet: its class on each axis.
type Point []uint32

// Corner gives the packet of the box with the lowest class on each axis.
func (sp Space) Corner(b Box) Point {
	p := make(Point, len(sp))
	for _, d := range b {
		p[d.Axis] = d.Set[0].Lo
	}
	return p
}

// Sample fills p with a packet of the box that seed chooses; the same seed
// gives the same packet.
func (sp Space) Sample(p Point, b Box, seed uint64) {
	j := 0
	for i := range p {
		seed = seed*6364136223846793005 + 1442695040888963407 // Knuth's MMIX generator
		if j < len(b) && int(b[j].Axis) == i {
			p[i] = b[j].Set.nth((seed >> 33) % b[j].Set.Count())
			j++
			continue
		}
		p[i] = uint32((seed >> 33) % uint64(sp[i]))
	}
}

// share is which part of b also is in o, by the number of classes.
func (sp Space) share(b, o Box) float64 {
	part := 1.0
	for _, d := range o {
		have := b.Axis(d.Axis)
		if have == nil {
			part *= float64(d.Set.Count()) / float64(sp[d.Axis])
			continue
		}
		part *= float64(have.common(d.Set)) / float64(have.Count())
	}
	return part
}

// Merge joins boxes that differ on one axis only, as long as there are any.
func (sp Space) Merge(region []Box) []Box {
	for again := true; again; {
		again = false
		for i := 0; i < len(region); i++ {
			for j := i + 1; j < len(region); j++ {
				if one, ok := sp.join(region[i], region[j]); ok {
					region = slices.Delete(slices.Clone(region), j, j+1)
					region[i] = one
					again, j = true, i
				}
			}
		}
	}
	return region
}

// join makes one box of two that are alike but for one axis, or of which one
// holds the other.
func (sp Space) join(a, b Box) (Box, bool) {
	switch {
	case a.Within(b):
		return b, true
	case b.Within(a):
		return a, true
	case len(a) != len(b):
		return nil, false
	}
	at := -1
	for i := range a {
		switch {
		case a[i].Axis != b[i].Axis:
			return nil, false
		case slices.Equal(a[i].Set, b[i].Set):
		case at >= 0:
			return nil, false
		default:
			at = i
		}
	}
	set := Join(slices.Concat(a[at].Set, b[at].Set))
	if len(set) == 1 && set[0].Lo == 0 && set[0].Hi >= sp[a[at].Axis]-1 {
		return a.Open(a[at].Axis), true
	}
	return a.with(a[at].Axis, set), true
}
