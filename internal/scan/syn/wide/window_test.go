package wide

import (
	"testing"
	"time"

	"pgregory.net/rapid"
)

// Whatever the order of settling, a window never holds two probes in one
// slot, finds each by its slot, and its base is the first that is unsettled.
func TestWindowAgainstASet(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := newWindow(1 << 10)
		open := map[uint64]bool{}
		begun := uint64(0)
		for range rapid.IntRange(1, 4000).Draw(t, "steps") {
			if w.room() > 0 && (len(open) == 0 || rapid.Bool().Draw(t, "begin")) {
				if n := w.begin(); n != begun {
					t.Fatalf("probe %d begins, want %d", n, begun)
				}
				open[begun] = true
				begun++
				continue
			}
			n := w.base.Load() + rapid.Uint64Range(0, begun-w.base.Load()-1).Draw(t, "which")
			if open[n] {
				if got, ok := w.number(w.slot(n)); !ok || got != n {
					t.Fatalf("slot of %d holds %d, %v", n, got, ok)
				}
				delete(open, n)
				w.settle(n)
			}
		}
		base := begun
		for n := range open {
			base = min(base, n)
		}
		if w.base.Load() != base {
			t.Fatalf("base %d, want %d", w.base.Load(), base)
		}
	})
}

// A queue gives back what was put, in order, however it grew.
func TestQueueIsFirstInFirstOut(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var q queue
		in, out := uint64(0), uint64(0)
		for range rapid.IntRange(0, 3000).Draw(t, "steps") {
			if q.n == 0 || rapid.Bool().Draw(t, "push") {
				q.push(waiting{number: in})
				in++
			} else if got := q.pop().number; got != out {
				t.Fatalf("%d comes out, want %d", got, out)
			} else {
				out++
			}
		}
	})
}

// The clock on the wall may be set while a scan runs; a packet's time follows
// the one that only runs.
func TestArrivalWithoutAWallClock(t *testing.T) {
	begun := time.Now()
	woke := begun.Add(3 * time.Second) // by both clocks
	for _, c := range []struct{ at, want time.Duration }{
		{-time.Millisecond, 2999 * time.Millisecond}, {2 * time.Millisecond, 3002 * time.Millisecond},
		{time.Hour, 3 * time.Second}, {-time.Hour, 3 * time.Second},
	} {
		if got := arrival(begun, woke, woke.Round(0).Add(c.at)); time.Duration(got)*time.Microsecond != c.want {
			t.Errorf("stamped %v after: %v, want %v", c.at, time.Duration(got)*time.Microsecond, c.want)
		}
	}
}
