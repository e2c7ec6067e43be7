package target

import (
	"cmp"
	"encoding/binary"
	"math"
	"math/bits"
	"net/netip"
	"slices"
)

// Range is the addresses First to Last, both included: of one family, of one
// zone, First not after Last.
type Range struct{ First, Last netip.Addr }

// Single is the range of one address.
func Single(a netip.Addr) Range { return Range{a, a} }

// PrefixRange is the range of a prefix; one within ::ffff:0:0/96 is the IPv4
// that it stands for. An invalid prefix gives the zero Range.
func PrefixRange(p netip.Prefix) Range {
	p = p.Masked()
	return unmapRange(Range{p.Addr(), lastOf(p)})
}

// unmapRange reads a range within ::ffff:0:0/96 as IPv4.
func unmapRange(r Range) Range {
	if r.First.Is4In6() && r.Last.Is4In6() {
		return Range{r.First.Unmap(), r.Last.Unmap()}
	}
	return r
}

func lastOf(p netip.Prefix) netip.Addr {
	b := p.Addr().AsSlice()
	for bit := p.Bits(); bit < len(b)*8; bit++ {
		b[bit/8] |= 0x80 >> (bit % 8)
	}
	last, _ := netip.AddrFromSlice(b)
	return last
}

func (r Range) String() string {
	if r.First == r.Last {
		return r.First.String()
	}
	return r.First.String() + "-" + r.Last.String()
}

// Len is how many addresses the range holds, math.MaxUint64 where there are
// more.
func (r Range) Len() uint64 {
	hi, lo := span(r)
	if hi != 0 || lo == math.MaxUint64 {
		return math.MaxUint64
	}
	return lo + 1
}

// span is Last minus First as a 128-bit number.
func span(r Range) (hi, lo uint64) {
	firstHi, firstLo := number(r.First)
	lastHi, lastLo := number(r.Last)
	lo, borrow := bits.Sub64(lastLo, firstLo, 0)
	hi, _ = bits.Sub64(lastHi, firstHi, borrow)
	return hi, lo
}

func number(a netip.Addr) (hi, lo uint64) {
	b := a.As16()
	return binary.BigEndian.Uint64(b[:8]), binary.BigEndian.Uint64(b[8:])
}

// advance is the address n after a; the caller knows that there is one.
func advance(a netip.Addr, n uint64) netip.Addr {
	if n == 0 {
		return a
	}
	if a.Is4() {
		b := a.As4()
		binary.BigEndian.PutUint32(b[:], binary.BigEndian.Uint32(b[:])+uint32(n))
		return netip.AddrFrom4(b)
	}
	hi, lo := number(a)
	lo, carry := bits.Add64(lo, n, 0)
	var b [16]byte
	binary.BigEndian.PutUint64(b[:8], hi+carry)
	binary.BigEndian.PutUint64(b[8:], lo)
	return netip.AddrFrom16(b).WithZone(a.Zone())
}

// order is the order of a set: IPv4, IPv6 without zone, then by zone.
func order(a, b netip.Addr) int {
	if a.Zone() == b.Zone() {
		return a.Compare(b) // the family first
	}
	return cmp.Or(cmp.Compare(a.BitLen(), b.BitLen()), cmp.Compare(a.Zone(), b.Zone()))
}

// normalise sorts ranges and merges those that overlap or touch, in place.
func normalise(rs []Range) []Range {
	slices.SortFunc(rs, func(a, b Range) int { return order(a.First, b.First) })
	out := rs[:0]
	for _, r := range rs {
		if n := len(out); n > 0 && touches(out[n-1], r) {
			out[n-1].Last = later(out[n-1].Last, r.Last)
			continue
		}
		out = append(out, r)
	}
	return out
}

// touches reports that b, which does not begin before a, begins inside of a
// or right after it.
func touches(a, b Range) bool {
	return sameLine(a.First, b.First) && (!a.Last.Less(b.First) || a.Last.Next() == b.First)
}

// sameLine reports addresses of one family and zone.
func sameLine(a, b netip.Addr) bool { return a.BitLen() == b.BitLen() && a.Zone() == b.Zone() }

func later(a, b netip.Addr) netip.Addr {
	if a.Less(b) {
		return b
	}
	return a
}

// cut takes holes out of from; both are normalised and of one order. The
// result is normalised.
func cut(from, holes []Range) []Range {
	var out []Range
	for _, r := range from {
		for len(holes) > 0 && order(holes[0].Last, r.First) < 0 {
			holes = holes[1:]
		}
		out = appendRest(out, r, holes)
	}
	return out
}

// appendRest appends what the holes leave of r.
func appendRest(out []Range, r Range, holes []Range) []Range {
	for _, h := range holes {
		if order(r.Last, h.First) < 0 {
			break
		}
		if r.First.Less(h.First) {
			out = append(out, Range{r.First, h.First.Prev()})
		}
		if !h.Last.Less(r.Last) {
			return out
		}
		r.First = h.Last.Next()
	}
	return append(out, r)
}

// cutZones is cut, where holes without zone hold for every zone. Neither is
// changed; holes need no order.
func cutZones(from, holes []Range) []Range {
	holes = normalise(slices.Clone(holes))
	var out []Range
	for len(from) > 0 {
		zone, n := from[0].First.Zone(), 1
		for n < len(from) && from[n].First.Zone() == zone {
			n++
		}
		out = append(out, cut(from[:n], holesFor(zone, holes))...)
		from = from[n:]
	}
	return out
}

// holesFor gives the holes that hold for a zone, with that zone.
func holesFor(zone string, holes []Range) []Range {
	if zone == "" {
		return holes
	}
	var mine []Range
	for _, h := range holes {
		if h.First.Is6() && (h.First.Zone() == "" || h.First.Zone() == zone) {
			mine = append(mine, Range{h.First.WithZone(zone), h.Last.WithZone(zone)})
		}
	}
	return normalise(mine)
}
