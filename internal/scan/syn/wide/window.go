package wide

import (
	"sync/atomic"
	"time"
)

// clock is microseconds since a sweep began; it wraps after 71 minutes, so
// only differences below half of that count.
type clock uint32

func since(begun, t time.Time) clock { return clock(t.Sub(begun).Microseconds()) }

// arrival is when a packet came that the kernel stamped with at, by the clock
// on the wall: that may be set while a scan runs. woke, of the same moment or
// so, has both clocks.
func arrival(begun, woke, at time.Time) clock {
	before := woke.Round(0).Sub(at)
	if before.Abs() > time.Second {
		before = 0
	}
	return since(begun, woke) - clock(before.Microseconds())
}

// sub is c - o, negative where o is later.
func (c clock) sub(o clock) time.Duration { return time.Duration(int32(c-o)) * time.Microsecond }

// answer is what the receiver tells the sender of one slot: code, try, TTL,
// lap and time of arrival in one word, so that it is written and read at once.
// The lap tells an answer to the probe that is in the slot now from one to a
// probe that was in it before. Zero is no answer.
type answer uint64

func newAnswer(c code, try, ttl, lap uint8, at clock) answer {
	return answer(c) | answer(try)<<8 | answer(ttl)<<16 | answer(lap)<<24 | answer(at)<<32
}

// lapOf is the lap of a probe: how often its slot was used before, cut to a
// byte.
func lapOf(number uint64) uint8 { return uint8(number >> slotBits) }

func (a answer) code() code { return code(a) }
func (a answer) try() uint8 { return uint8(a >> 8) }
func (a answer) ttl() uint8 { return uint8(a >> 16) }
func (a answer) lap() uint8 { return uint8(a >> 24) }
func (a answer) at() clock  { return clock(a >> 32) }

// slots are the places of a window or of the canaries. The receiver writes
// answers, the sender reads and clears them.
type slots []atomic.Uint64

// hear notes an answer; the stronger one stays. first tells that there was
// none.
func (s slots) hear(slot uint32, a answer) (first bool) {
	for {
		old := answer(s[slot].Load())
		stale := old.lap() != a.lap()
		if !stale && old.code() >= a.code() {
			return false
		}
		if s[slot].CompareAndSwap(uint64(old), uint64(a)) {
			return stale || old == 0
		}
	}
}

// read gives the answer to a probe of a lap, or zero.
func (s slots) read(slot uint32, lap uint8) answer {
	if a := answer(s[slot].Load()); a.lap() == lap {
		return a
	}
	return 0
}

func (s slots) clear(slot uint32) { s[slot].Store(0) }

// window is the probes that have begun: numbers base to next. Only the sender
// uses it, but for answers, base and next.
type window struct {
	answers slots
	mask    uint64
	settled []bool
	base    atomic.Uint64
	next    atomic.Uint64
}

func newWindow(work uint64) *window {
	size := uint64(1 << 10)
	for size < work && size < maxWindow {
		size *= 2
	}
	return &window{answers: make(slots, size), mask: size - 1, settled: make([]bool, size)}
}

func (w *window) slot(number uint64) uint32 { return uint32(number & w.mask) }

// answer is what a probe of the window was answered, or zero.
func (w *window) answer(n uint64) answer { return w.answers.read(w.slot(n), lapOf(n)) }

// room is how many probes may begin.
func (w *window) room() int { return int(w.mask + 1 - (w.next.Load() - w.base.Load())) }

// number finds the probe that is in a slot; ok is false where none is.
func (w *window) number(slot uint32) (n uint64, ok bool) {
	base, next := w.base.Load(), w.next.Load()
	if uint64(slot) > w.mask {
		return 0, false
	}
	n = base + (uint64(slot)-base)&w.mask
	return n, n < next
}

// begin takes the next number; its slot is empty.
func (w *window) begin() uint64 {
	n := w.next.Load()
	w.answers.clear(w.slot(n))
	w.settled[w.slot(n)] = false
	w.next.Store(n + 1)
	return n
}

// settle is the end of a probe; the base follows.
func (w *window) settle(n uint64) {
	w.settled[w.slot(n)] = true
	base, next := w.base.Load(), w.next.Load()
	for base < next && w.settled[w.slot(base)] {
		base++
	}
	w.base.Store(base)
}

// waiting is one try that is not settled.
type waiting struct {
	number uint64
	sent   clock
	level  uint8
	was    uint8 // level of the try before
	try    uint8
}

// queue is first in, first out; it grows as needed.
type queue struct {
	ring  []waiting
	first int
	n     int
}

func (q *queue) push(w waiting) {
	if q.n == len(q.ring) {
		bigger := make([]waiting, max(2*len(q.ring), 256))
		for i := range q.n {
			bigger[i] = q.ring[(q.first+i)&(len(q.ring)-1)]
		}
		q.ring, q.first = bigger, 0
	}
	q.ring[(q.first+q.n)&(len(q.ring)-1)] = w
	q.n++
}

func (q *queue) front() *waiting { return &q.ring[q.first] }

func (q *queue) pop() waiting {
	w := q.ring[q.first]
	q.first = (q.first + 1) & (len(q.ring) - 1)
	q.n--
	return w
}
