package flow

import (
	"math"
	"time"
	"unsafe"
)

// place gives the number of a record that may be used.
func (t *Table) place() uint32 {
	if t.made >= t.max {
		number := t.victim()
		t.evict(number)
		return number
	}
	if int(t.made>>slabBits) == len(t.slabs) {
		t.addSlabs()
	}
	t.made++
	return t.made - 1
}

// From firstBlock slabs on as many are made at once as there are, up to
// lastBlock: one block fills large pages, without which each look at a flow
// costs finding its page first. What is not used of it costs nothing.
const (
	firstBlock = 16
	lastBlock  = 32
)

func (t *Table) addSlabs() {
	if len(t.slabs) < firstBlock {
		t.slabs = append(t.slabs, new(slab))
		return
	}
	block := make([]slab, min(len(t.slabs), lastBlock))
	inLargePages(unsafe.Pointer(&block[0]), uintptr(len(block))*unsafe.Sizeof(block[0]))
	for i := range block {
		t.slabs = append(t.slabs, &block[i])
	}
}

const (
	// looks are how many records are looked at to find one that may go; the
	// next search goes on behind them.
	looks = 8
	// patience is how much longer a flow with packets both ways may be silent
	// than an unanswered one.
	patience = int64(time.Minute)
)

// victim finds the record among the next ones that is missed least. All are in
// use when it is called.
func (t *Table) victim() uint32 {
	best, least := t.hand, int64(math.MaxInt64)
	for range looks {
		t.hand++
		if t.hand >= t.made {
			t.hand = 0
		}
		if worth := t.record(t.hand).worth(); worth < least {
			best, least = t.hand, worth
		}
	}
	return best
}

func (r *record) worth() int64 {
	switch {
	case r.has(bitEnded):
		return math.MinInt64
	case r.packets[0] == 0 || r.packets[1] == 0 || r.last > math.MaxInt64-patience:
		return r.last
	}
	return r.last + patience
}

// evict emits a flow and takes it out.
func (t *Table) evict(number uint32) {
	r := t.record(number)
	if !r.has(bitEnded) {
		t.index.remove(r.hash, number, t.hashAt)
	}
	t.quality.Evicted++
	if t.opt.Emit != nil {
		t.read(number, r)
		t.opt.Emit(&t.flow)
	}
	t.unlink(number)
	t.forget(number)
}

func (t *Table) forget(number uint32) {
	if t.last == number {
		t.last = none
	}
	if t.rest(number).letters > shortHistory {
		delete(t.long, number)
	}
	t.record(number).bits = 0
}

// supersede takes a flow out of the index: it has ended, and the next packet
// of its endpoints begins another. It stays in the list until room is needed.
func (t *Table) supersede(number uint32, r *record) {
	t.index.remove(r.hash, number, t.hashAt)
	r.bits |= bitEnded
}

func (t *Table) link(number uint32) {
	if t.tail == none {
		t.head = number
	} else {
		t.rest(t.tail).next = number
	}
	t.tail = number
}

func (t *Table) unlink(number uint32) {
	r := t.rest(number)
	if r.prev == none {
		t.head = r.next
	} else {
		t.rest(r.prev).next = r.next
	}
	if r.next == none {
		t.tail = r.prev
	} else {
		t.rest(r.next).prev = r.prev
	}
}
