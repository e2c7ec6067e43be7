package tui

import "math"

// Sizes of the tracker's table, in slots: powers of two.
const (
	minSlots = 1 << 10
	maxSlots = 1 << 20
)

// remembered is what is kept of one flow between two reads. Values go by the
// flow's endpoints in their order, the lower one's sending first, so that a
// flow whose client and server are turned round stays the same.
type remembered struct {
	hash    uint64 // 0: no flow
	bytes   [2]uint64
	packets [2]uint32 // modulo 2^32
	rate    [2]float32
	read    uint16 // in which read it was last seen
	epoch   uint16 // in which its addresses were counted; see tally.epoch
}

// tracker remembers flows: a hash table with linear probing. Flows are told
// apart by 64 bits of a seeded hash; that two of a million are taken for one
// has a chance of 3 in 100 million.
type tracker struct {
	slots []remembered
	held  int
	read  uint16
	seen  int // flows met in this read
	most  int // slots at most
}

func newTracker() *tracker {
	return &tracker{slots: make([]remembered, minSlots), most: maxSlots}
}

// find gives a flow's place, or the empty one where it would be.
func (t *tracker) find(hash uint64) *remembered {
	mask := uint64(len(t.slots) - 1)
	for i := hash & mask; ; i = (i + 1) & mask {
		if s := &t.slots[i]; s.hash == hash || s.hash == 0 {
			return s
		}
	}
}

// known gives a flow that an earlier call of meet kept, or nil.
func (t *tracker) known(hash uint64) *remembered {
	if s := t.find(fixed(hash)); s.hash != 0 {
		return s
	}
	return nil
}

// meeting is how a flow that is read stands to what is remembered.
type meeting uint8

const (
	noRoom meeting = iota // it cannot be remembered
	first                 // it was not in the last read
	again                 // it was
	twice                 // it came before in this read
)

// meet gives the place of a flow that is read now.
func (t *tracker) meet(hash uint64) (*remembered, meeting) {
	hash = fixed(hash)
	s := t.find(hash)
	switch {
	case s.hash == 0:
		if s = t.room(s, hash); s == nil {
			return nil, noRoom
		}
		t.held++
	case s.read == t.read:
		return s, twice
	case s.read == t.read-1:
		t.seen++
		s.read = t.read
		return s, again
	}
	t.seen++
	unknown := float32(math.NaN()) // which is not nought
	*s = remembered{hash: hash, read: t.read, rate: [2]float32{unknown, unknown}}
	return s, first
}

// room gives the empty slot for a hash, in a larger table where need be.
func (t *tracker) room(s *remembered, hash uint64) *remembered {
	if 8*(t.held+1) <= 7*len(t.slots) {
		return s
	}
	if len(t.slots) >= t.most {
		return nil
	}
	t.rebuild(2*len(t.slots), func(*remembered) bool { return true })
	return t.find(hash)
}

// fixed keeps hashes off the value that marks an empty slot.
func fixed(hash uint64) uint64 {
	if hash == 0 {
		return 1
	}
	return hash
}

// begin starts a read.
func (t *tracker) begin() {
	t.read++
	t.seen = 0
}

// end drops flows that the read did not meet, when they are many or before
// the counter of reads comes round.
func (t *tracker) end() {
	if gone := t.held - t.seen; gone > 0 && (gone > t.held/4 || t.read == math.MaxUint16) {
		size := minSlots
		for 8*t.seen > 5*size {
			size *= 2
		}
		t.rebuild(min(size, t.most), func(s *remembered) bool { return s.read == t.read })
	}
}

// rebuild moves the flows that are to be kept into a table of another size.
func (t *tracker) rebuild(size int, keep func(*remembered) bool) {
	old := t.slots
	t.slots, t.held = make([]remembered, size), 0
	for i := range old {
		if s := &old[i]; s.hash != 0 && keep(s) {
			*t.find(s.hash) = *s
			t.held++
		}
	}
}
