package flow

import (
	"math/rand/v2"
	"slices"
)

// distinct tells whether an address was seen in a row before. It remembers 64
// bits of each, made with a seed of its own: of a million addresses two are
// taken for one another once in 40 million runs.
type distinct struct {
	seed  uint64
	slots []uint64
	used  int
}

// maxDistinct bounds what is remembered: 32 MiB.
const maxDistinct = 1 << 21

// novelty is what a distinct knows of an address.
type novelty uint8

const (
	known  novelty = iota
	novel          // not seen before
	untold         // not remembered, for lack of room
)

func (d *distinct) add(row uint32, role uint64, addr *[16]byte) novelty {
	if d.slots == nil {
		d.slots, d.seed = make([]uint64, 1<<8), rand.Uint64()
	}
	h := mix(mix(le64(addr[:])^d.seed, le64(addr[8:])), uint64(row)<<8^role^d.seed)
	if h == 0 {
		h = 1
	}
	i := d.place(h)
	switch {
	case d.slots[i] == h:
		return known
	case d.used >= maxDistinct:
		return untold
	}
	d.slots[i] = h
	d.used++
	if d.used*2 > len(d.slots) {
		d.grow()
	}
	return novel
}

// place gives the slot of h, or the empty one where it belongs.
func (d *distinct) place(h uint64) int {
	mask := len(d.slots) - 1
	i := int(h) & mask
	for d.slots[i] != 0 && d.slots[i] != h {
		i = (i + 1) & mask
	}
	return i
}

func (d *distinct) grow() {
	old := d.slots
	d.slots = make([]uint64, 2*len(old))
	for _, h := range old {
		if h != 0 {
			d.slots[d.place(h)] = h
		}
	}
}

func (d *distinct) clone() distinct {
	return distinct{seed: d.seed, slots: slices.Clone(d.slots), used: d.used}
}
