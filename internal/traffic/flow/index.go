package flow

import "unsafe"

// index finds records by hash: open addressing with 32-bit slots, each a
// record's number plus one and some bits of the hash, so that a look-up reads
// one line of the index and one record.
type index struct {
	slots []uint32
	used  int
}

const (
	// numberBits bounds the records that a table may have.
	numberBits = 22
	numberMask = 1<<numberBits - 1
	minSlots   = 1 << 10
)

func newIndex() index { return index{slots: make([]uint32, minSlots)} }

// home is a hash's first slot: its upper bits are in tag, so the lower ones.
func (x *index) home(hash uint32) uint32 { return hash & uint32(len(x.slots)-1) }

// tag is of bits that home does not use until the index has 2^22 slots.
func tag(hash uint32) uint32 { return hash &^ numberMask }

// put adds a record that is not there; at most half the slots are ever used.
func (x *index) put(hash, number uint32) {
	i := x.home(hash)
	for x.slots[i] != 0 {
		i = x.next(i)
	}
	x.slots[i] = tag(hash) | (number + 1)
	x.used++
}

func (x *index) next(i uint32) uint32 { return (i + 1) & uint32(len(x.slots)-1) }

// find gives the slot of a record that is there.
func (x *index) find(hash, number uint32) uint32 {
	i, want := x.home(hash), tag(hash)|(number+1)
	for x.slots[i] != want {
		i = x.next(i)
	}
	return i
}

// remove takes a record out and closes the hole, so that no dead slots pile up.
func (x *index) remove(hash, number uint32, hashAt func(number uint32) uint32) {
	hole := x.find(hash, number)
	x.used--
	for i := x.next(hole); x.slots[i] != 0; i = x.next(i) {
		home := x.home(hashAt(x.slots[i]&numberMask - 1))
		// The one at i may move to the hole unless its home lies behind it.
		if (i-home)&uint32(len(x.slots)-1) >= (i-hole)&uint32(len(x.slots)-1) {
			x.slots[hole] = x.slots[i]
			hole = i
		}
	}
	x.slots[hole] = 0
}

// grow doubles the slots when half are in use.
func (x *index) grow(hashAt func(number uint32) uint32) {
	if x.used*2 < len(x.slots) {
		return
	}
	old := x.slots
	x.slots, x.used = make([]uint32, 2*len(old)), 0
	inLargePages(unsafe.Pointer(&x.slots[0]), 4*uintptr(len(x.slots)))
	for _, s := range old {
		if s != 0 {
			number := s&numberMask - 1
			x.put(hashAt(number), number)
		}
	}
}
