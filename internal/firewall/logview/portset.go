package logview

import (
	"math/bits"
	"slices"
)

// portset is a set of ports: a sorted list while small, then a bitmap.
type portset struct {
	list []uint16
	bits *[1024]uint64
	cut  bool // a port had no room
}

// room is what all lists of a view may take together, in bytes.
type room struct{ left int }

// maxList is where a bitmap (8 KiB) is no larger than the list's next growth.
const maxList = 2048

func (p *portset) add(port uint16, r *room) {
	if p.bits != nil {
		p.bits[port>>6] |= 1 << (port & 63)
		return
	}
	i, found := slices.BinarySearch(p.list, port)
	if found {
		return
	}
	if len(p.list) == cap(p.list) && !p.grow(r) {
		p.cut = true
		return
	}
	if p.bits != nil {
		p.add(port, r)
		return
	}
	p.list = slices.Insert(p.list, i, port)
}

// grow doubles the list or makes it a bitmap.
func (p *portset) grow(r *room) bool {
	size := max(2*cap(p.list), 4)
	if size > maxList {
		return p.spread(r)
	}
	if r.left < 2*(size-cap(p.list)) {
		return false
	}
	r.left -= 2 * (size - cap(p.list))
	list := make([]uint16, len(p.list), size)
	copy(list, p.list)
	p.list = list
	return true
}

func (p *portset) spread(r *room) bool {
	const size = 8 << 10
	if r.left < size-2*cap(p.list) {
		return false
	}
	r.left -= size - 2*cap(p.list)
	p.bits = new([1024]uint64)
	for _, port := range p.list {
		p.bits[port>>6] |= 1 << (port & 63)
	}
	p.list = nil
	return true
}

// free gives the set's room back.
func (p *portset) free(r *room) {
	r.left += 2 * cap(p.list)
	if p.bits != nil {
		r.left += 8 << 10
	}
	*p = portset{}
}

func (p *portset) merge(o *portset, r *room) {
	p.cut = p.cut || o.cut
	o.each(func(port uint16) { p.add(port, r) })
}

// each calls f for every port, in order.
func (p *portset) each(f func(uint16)) {
	for _, port := range p.list {
		f(port)
	}
	if p.bits == nil {
		return
	}
	for i, word := range p.bits {
		for ; word != 0; word &= word - 1 {
			f(uint16(i<<6 | bits.TrailingZeros64(word)))
		}
	}
}

// ranges gives the set as runs.
func (p *portset) ranges() []PortRange {
	var out []PortRange
	p.each(func(port uint16) {
		if n := len(out); n > 0 && out[n-1].High+1 == port && port != 0 {
			out[n-1].High = port
			return
		}
		out = append(out, PortRange{Low: port, High: port})
	})
	return out
}
