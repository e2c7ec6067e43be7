package tui

import "math"

const (
	// chunk is how many flows' memory is taken at once.
	chunk = 1 << 12
	// maxFlows is how many flows are remembered.
	maxFlows = 900_000
	// minIndex is the smallest size of the index.
	minIndex = 1 << 10
)

// remembered is what is kept of one flow between two reads. Values go by the
// flow's endpoints in their order, the lower one's sending first, so that a
// flow whose client and server are turned round stays the same.
type remembered struct {
	hash    uint64
	bytes   [2]uint64
	packets [2]uint32 // modulo 2^32
	rate    [2]float32
	port    uint32 // where its accounts were last found
	pair    uint32
	read    uint16 // in which read it was last seen
	epoch   uint16 // in which its addresses were counted; see tally.epoch
}

// tracker remembers flows. Feeds mostly hand flows over in the same order each
// time, so they are kept in that order and the next one is looked for behind
// the last one; only where it is not there, in a hash table. Flows are told
// apart by 64 bits of a seeded hash; that two of a million are taken for one
// has a chance of 3 in 100 million.
type tracker struct {
	chunks [][]remembered
	held   int      // remembered, in this order
	index  []uint32 // by hash, linear probing: number plus one; 0 is empty
	next   int      // where the next flow is likely to be
	read   uint16
	seen   int // flows met in this read
	most   int
}

func newTracker() *tracker { return &tracker{index: make([]uint32, minIndex), most: maxFlows} }

func (t *tracker) at(n int) *remembered { return &t.chunks[n/chunk][n%chunk] }

// find gives the number of a flow, or -1, and its place in the index.
func (t *tracker) find(hash uint64) (n int, place uint64) {
	mask := uint64(len(t.index) - 1)
	for i := hash & mask; ; i = (i + 1) & mask {
		if t.index[i] == 0 {
			return -1, i
		}
		if n = int(t.index[i] - 1); t.at(n).hash == hash {
			return n, i
		}
	}
}

// known gives a flow that was met before, or nil.
func (t *tracker) known(hash uint64) *remembered {
	if s := t.guess(hash); s != nil {
		return s
	}
	if n, _ := t.find(hash); n >= 0 {
		t.next = n + 1
		return t.at(n)
	}
	return nil
}

// guess tries the flow behind the last one.
func (t *tracker) guess(hash uint64) *remembered {
	if t.next < t.held {
		if s := t.at(t.next); s.hash == hash {
			t.next++
			return s
		}
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
	s := t.known(hash)
	switch {
	case s == nil:
		if s = t.add(hash); s == nil {
			return nil, noRoom
		}
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

// add makes room for a flow; nil where there is none.
func (t *tracker) add(hash uint64) *remembered {
	if t.held >= t.most {
		return nil
	}
	if 4*(t.held+1) > 3*len(t.index) {
		t.reindex(2 * len(t.index))
	}
	if t.held == len(t.chunks)*chunk {
		t.chunks = append(t.chunks, make([]remembered, chunk))
	}
	_, place := t.find(hash)
	t.held++
	t.index[place] = uint32(t.held)
	t.next = t.held
	return t.at(t.held - 1)
}

// reindex makes the index anew, of another size.
func (t *tracker) reindex(size int) {
	t.index = make([]uint32, size)
	mask := uint64(size - 1)
	for n := range t.held {
		i := t.at(n).hash & mask
		for t.index[i] != 0 {
			i = (i + 1) & mask
		}
		t.index[i] = uint32(n + 1)
	}
}

// begin starts a read.
func (t *tracker) begin() {
	t.read++
	t.seen, t.next = 0, 0
}

// end drops flows that the read did not meet, when they are many or before
// the counter of reads comes round.
func (t *tracker) end() {
	gone := t.held - t.seen
	if gone == 0 || gone <= t.held/4 && t.read != math.MaxUint16 {
		return
	}
	kept := 0
	for n := range t.held {
		if s := t.at(n); s.read == t.read {
			*t.at(kept) = *s
			kept++
		}
	}
	t.held = kept
	used := (kept + chunk - 1) / chunk
	clear(t.chunks[used:])
	t.chunks = t.chunks[:used]
	size := minIndex
	for 8*kept > 5*size {
		size *= 2
	}
	t.reindex(size)
}
