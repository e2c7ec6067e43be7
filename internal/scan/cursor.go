package scan

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
)

// Work is what a transport asks: probe i of Len, in the order of asking.
type Work interface {
	Len() uint64
	At(i uint64) (netip.Addr, uint16)
}

// cursor knows which probes of a work list are settled: all below base, some
// from there to top, none beyond. Memory follows what lies between.
type cursor struct {
	base, top uint64
	bits      []uint64 // a ring of bits by number
}

func (c *cursor) size() uint64 { return uint64(len(c.bits)) * 64 }

// done notes that probe i is settled.
func (c *cursor) done(i uint64) {
	if i < c.base {
		return
	}
	for i-c.base >= c.size() {
		c.grow()
	}
	c.bits[i/64%uint64(len(c.bits))] |= 1 << (i % 64)
	c.top = max(c.top, i+1)
	for c.base < c.top && c.has(c.base) {
		c.bits[c.base/64%uint64(len(c.bits))] &^= 1 << (c.base % 64)
		c.base++
	}
}

// has tells whether probe i, between base and top, is settled.
func (c *cursor) has(i uint64) bool {
	return c.bits[i/64%uint64(len(c.bits))]&(1<<(i%64)) != 0
}

func (c *cursor) grow() {
	old := *c
	c.bits = make([]uint64, max(16, 2*len(old.bits)))
	for i := old.base; i < old.top; i++ {
		if old.has(i) {
			c.bits[i/64%uint64(len(c.bits))] |= 1 << (i % 64)
		}
	}
}

// Progress mark of a cursor as it is stored: Top, and the numbers below it
// that are not settled, as varints of the differences.
type mark struct {
	Top   uint64 `json:"top"`
	Holes []byte `json:"holes,omitempty"`
}

func (c *cursor) mark() mark {
	m := mark{Top: c.top}
	last := uint64(0)
	for i := c.base; i < c.top; i++ {
		if !c.has(i) {
			m.Holes = binary.AppendUvarint(m.Holes, i-last)
			last = i
		}
	}
	return m
}

var errMark = errors.New("the stored position is damaged")

// holes reads the numbers back.
func (m mark) holes() ([]uint64, error) {
	var out []uint64
	last := uint64(0)
	for b := m.Holes; len(b) > 0; {
		d, n := binary.Uvarint(b)
		if n <= 0 || last+d >= m.Top || len(out) > 0 && d == 0 {
			return nil, fmt.Errorf("%w: byte %d of its holes", errMark, len(m.Holes)-len(b))
		}
		last, b = last+d, b[n:]
		out = append(out, last)
	}
	return out, nil
}

// cursor restores the cursor that gave the mark.
func (m mark) cursor() (*cursor, error) {
	holes, err := m.holes()
	if err != nil {
		return nil, err
	}
	c := &cursor{base: m.Top, top: m.Top}
	if len(holes) == 0 {
		return c, nil
	}
	c.base = holes[0]
	for m.Top-c.base > c.size() {
		c.bits = make([]uint64, max(16, 2*len(c.bits)))
	}
	next := 0
	for i := c.base; i < m.Top; i++ {
		if next < len(holes) && holes[next] == i {
			next++
			continue
		}
		c.bits[i/64%uint64(len(c.bits))] |= 1 << (i % 64)
	}
	return c, nil
}

// remainder is the part of a work list that a mark leaves.
type remainder struct {
	Work
	holes []uint64
	top   uint64
}

func newRemainder(w Work, m mark) (remainder, error) {
	holes, err := m.holes()
	if err == nil && m.Top > w.Len() {
		err = fmt.Errorf("%w: it is beyond the end of the scan", errMark)
	}
	return remainder{w, holes, m.Top}, err
}

func (r remainder) Len() uint64 { return uint64(len(r.holes)) + r.Work.Len() - r.top }

// number is the whole list's number of probe j.
func (r remainder) number(j uint64) uint64 {
	if j < uint64(len(r.holes)) {
		return r.holes[j]
	}
	return j - uint64(len(r.holes)) + r.top
}

func (r remainder) At(j uint64) (netip.Addr, uint16) { return r.Work.At(r.number(j)) }
