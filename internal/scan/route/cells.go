package route

import (
	"cmp"
	"encoding/binary"
	"net/netip"
	"slices"
	"sort"
)

// point is an address as a number; IPv4 uses lo only.
type point struct{ hi, lo uint64 }

func pointOf(a netip.Addr) point {
	if a.Is4() {
		b := a.As4()
		return point{lo: uint64(binary.BigEndian.Uint32(b[:]))}
	}
	b := a.As16()
	return point{binary.BigEndian.Uint64(b[:8]), binary.BigEndian.Uint64(b[8:])}
}

func (p point) compare(q point) int {
	return cmp.Or(cmp.Compare(p.hi, q.hi), cmp.Compare(p.lo, q.lo))
}

// next is the point after p; ok is false after the last of the family.
func (p point) next(is4 bool) (q point, ok bool) {
	switch {
	case is4:
		return point{lo: p.lo + 1}, p.lo < 1<<32-1
	case p.lo < 1<<64-1:
		return point{p.hi, p.lo + 1}, true
	}
	return point{p.hi + 1, 0}, p.hi < 1<<64-1
}

// cuts divides one family's addresses into cells: [cut, next cut).
type cuts []point

// add cuts at both ends of a prefix.
func (c *cuts) add(p netip.Prefix) {
	*c = append(*c, pointOf(p.Masked().Addr()))
	if after, ok := lastOf(p).next(p.Addr().Is4()); ok {
		*c = append(*c, after)
	}
}

// addMatches cuts wherever the length of the common prefix with a changes.
func (c *cuts) addMatches(a netip.Addr) {
	for bits := 1; bits <= a.BitLen(); bits++ {
		c.add(netip.PrefixFrom(a, bits))
	}
}

// lastOf is the last address of a prefix.
func lastOf(p netip.Prefix) point {
	first := pointOf(p.Masked().Addr())
	free := p.Addr().BitLen() - p.Bits()
	switch {
	case free >= 128:
		return point{1<<64 - 1, 1<<64 - 1}
	case free >= 64:
		return point{first.hi | (1<<(free-64) - 1), 1<<64 - 1}
	}
	return point{first.hi, first.lo | (1<<free - 1)}
}

// sealed is c in order and without repetition.
func (c cuts) sealed() cuts {
	slices.SortFunc(c, point.compare)
	return slices.Clip(slices.Compact(c))
}

// cell numbers the cell that an address lies in.
func (c cuts) cell(a netip.Addr) int {
	p := pointOf(a)
	return sort.Search(len(c), func(i int) bool { return c[i].compare(p) > 0 })
}
