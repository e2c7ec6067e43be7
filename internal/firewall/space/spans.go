package space

import (
	"cmp"
	"slices"
)

// Span is a closed range of classes of one axis.
type Span struct{ Lo, Hi uint32 }

// Spans is a set of classes of one axis: sorted, disjoint, with gaps between.
type Spans []Span

// One is the set of a single class.
func One(n uint32) Spans { return Spans{{n, n}} }

// Join makes a set of spans in any order that may overlap; it sorts them in
// place.
func Join(s Spans) Spans {
	slices.SortFunc(s, func(a, b Span) int { return cmp.Compare(a.Lo, b.Lo) })
	out := s[:0]
	for _, v := range s {
		if n := len(out); n > 0 && uint64(v.Lo) <= uint64(out[n-1].Hi)+1 {
			out[n-1].Hi = max(out[n-1].Hi, v.Hi)
			continue
		}
		out = append(out, v)
	}
	return out
}

// from is the index of the first span that ends at n or later.
func (s Spans) from(n uint32) int {
	if len(s) < 8 {
		for i := range s {
			if s[i].Hi >= n {
				return i
			}
		}
		return len(s)
	}
	i, _ := slices.BinarySearchFunc(s, n, func(v Span, n uint32) int { return cmp.Compare(v.Hi, n) })
	return i
}

// Has reports whether the class is in the set.
func (s Spans) Has(n uint32) bool {
	i := s.from(n)
	return i < len(s) && s[i].Lo <= n
}

// Meets reports whether the sets have a class in common.
func (s Spans) Meets(o Spans) bool {
	if len(s) > len(o) {
		s, o = o, s
	}
	for _, v := range s {
		if i := o.from(v.Lo); i < len(o) && o[i].Lo <= v.Hi {
			return true
		}
	}
	return false
}

// Within reports whether all of s is in o.
func (s Spans) Within(o Spans) bool {
	for _, v := range s {
		i := o.from(v.Lo)
		if i == len(o) || o[i].Lo > v.Lo || o[i].Hi < v.Hi {
			return false
		}
	}
	return true
}

// And is the set of the classes in both.
func (s Spans) And(o Spans) Spans {
	if len(s) > len(o) {
		s, o = o, s
	}
	out := make(Spans, 0, len(s))
	for _, v := range s {
		for i := o.from(v.Lo); i < len(o) && o[i].Lo <= v.Hi; i++ {
			out = append(out, Span{max(v.Lo, o[i].Lo), min(v.Hi, o[i].Hi)})
		}
	}
	return out
}

// Minus is the set of the classes that are not in o.
func (s Spans) Minus(o Spans) Spans {
	out := make(Spans, 0, len(s)+1)
	for _, v := range s {
		out = minusSpan(out, v, o)
	}
	return out
}

func minusSpan(out Spans, v Span, o Spans) Spans {
	for i := o.from(v.Lo); i < len(o) && o[i].Lo <= v.Hi; i++ {
		if v.Lo < o[i].Lo {
			out = append(out, Span{v.Lo, o[i].Lo - 1})
		}
		if o[i].Hi >= v.Hi {
			return out
		}
		v.Lo = o[i].Hi + 1
	}
	return append(out, v)
}

// Count is the number of classes.
func (s Spans) Count() (n uint64) {
	for _, v := range s {
		n += uint64(v.Hi-v.Lo) + 1
	}
	return n
}

// common is the number of classes in both.
func (s Spans) common(o Spans) (n uint64) {
	if len(s) > len(o) {
		s, o = o, s
	}
	for _, v := range s {
		for i := o.from(v.Lo); i < len(o) && o[i].Lo <= v.Hi; i++ {
			n += uint64(min(v.Hi, o[i].Hi)-max(v.Lo, o[i].Lo)) + 1
		}
	}
	return n
}

// nth gives the class at a place, counted from 0.
func (s Spans) nth(n uint64) uint32 {
	for _, v := range s {
		size := uint64(v.Hi-v.Lo) + 1
		if n < size {
			return v.Lo + uint32(n)
		}
		n -= size
	}
	return s[len(s)-1].Hi
}
