package target

import (
	"errors"
	"fmt"
	"iter"
	"net/netip"
	"slices"
	"sort"
)

// Errors of a set.
var (
	ErrTooMany  = errors.New("a scan holds fewer than 2^40 addresses")
	ErrScraps   = errors.New("the targets fall into too many separate ranges")
	ErrBadRange = errors.New("a range has one family and one zone, the lower address first")
)

// Set is an ordered set of addresses, held as ranges and never expanded.
type Set struct {
	ranges []Range  // normalised
	before []uint64 // how many addresses lie before each range
	total  uint64
	names  map[netip.Addr]string
}

// NewSet makes a set of ranges in any order, overlaps allowed. IPv4-mapped
// addresses become IPv4. The slice is not kept.
func NewSet(ranges ...Range) (*Set, error) {
	rs := make([]Range, len(ranges))
	for i, r := range ranges {
		r = Range{r.First.Unmap(), r.Last.Unmap()}
		if !r.First.IsValid() || !r.Last.IsValid() || !sameLine(r.First, r.Last) || r.Last.Less(r.First) {
			return nil, fmt.Errorf("%w: %s", ErrBadRange, r)
		}
		rs[i] = r
	}
	return newSet(normalise(rs), nil)
}

// newSet takes normalised ranges; it keeps a copy without room to grow.
func newSet(rs []Range, names map[netip.Addr]string) (*Set, error) {
	if len(rs) > MaxRanges {
		return nil, fmt.Errorf("%w: %d, the limit is %d; name fewer or wider ranges", ErrScraps, len(rs), MaxRanges)
	}
	s := &Set{ranges: append(make([]Range, 0, len(rs)), rs...), before: make([]uint64, len(rs)), names: names}
	for i, r := range rs {
		s.before[i] = s.total
		n := r.Len()
		if n >= MaxAddresses || s.total+n >= MaxAddresses {
			return nil, fmt.Errorf("%w; cut the targets at %s into several scans", ErrTooMany, r)
		}
		s.total += n
	}
	return s, nil
}

// Len is how many addresses the set holds, below 2^40.
func (s *Set) Len() uint64 { return s.total }

// At is address number i, counted from 0. It panics where i is not below Len.
func (s *Set) At(i uint64) netip.Addr {
	if i >= s.total {
		panic(fmt.Sprintf("target: address %d of a set of %d", i, s.total))
	}
	k := sort.Search(len(s.before), func(k int) bool { return s.before[k] > i }) - 1
	return advance(s.ranges[k].First, i-s.before[k])
}

// Index is the number of an address; ok is false where the set does not hold
// it. IPv4-mapped addresses are found as IPv4.
func (s *Set) Index(a netip.Addr) (i uint64, ok bool) {
	a = a.Unmap()
	k := sort.Search(len(s.ranges), func(k int) bool { return order(s.ranges[k].First, a) > 0 }) - 1
	if k < 0 || !sameLine(s.ranges[k].First, a) || s.ranges[k].Last.Less(a) {
		return 0, false
	}
	_, lo := span(Range{s.ranges[k].First, a})
	return s.before[k] + lo, true
}

// Contains reports whether the set holds an address.
func (s *Set) Contains(a netip.Addr) bool {
	_, ok := s.Index(a)
	return ok
}

// Ranges gives the ranges in order: disjoint, none touching the next.
func (s *Set) Ranges() iter.Seq[Range] { return slices.Values(s.ranges) }

// Name is the name that the person typed which stands for the address, or "".
// Where several do it is the first.
func (s *Set) Name(a netip.Addr) string { return s.names[a.Unmap()] }

// Without is the set without the addresses of holes: ranges in any order, of
// any size; one without zone holds for every zone.
func (s *Set) Without(holes ...Range) (*Set, error) {
	clean := make([]Range, len(holes))
	for i, h := range holes {
		clean[i] = unmapRange(h)
	}
	return newSet(cutZones(s.ranges, clean), s.names)
}
