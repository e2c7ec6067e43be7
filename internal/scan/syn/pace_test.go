package syn

import (
	"errors"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// fakeQueue is a reader with a queue: each probe costs bytes, each millisecond
// drains some.
type fakeQueue struct {
	q    Queue
	cost uint64
	rate uint64 // bytes a millisecond
}

func (f *fakeQueue) Queues() ([]Queue, error) { return []Queue{f.q}, nil }

func (f *fakeQueue) probe(n int) {
	for range n {
		if f.q.Used+f.cost > f.q.Limit {
			f.q.Drops++
			continue
		}
		f.q.Used += f.cost
	}
}

func (f *fakeQueue) tick() { f.q.Used -= min(f.q.Used, f.rate) }

// A reader that empties its queue at any pace never loses a packet, and the
// sweep ends.
func TestPacerNeverOverrunsProperty(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		f := &fakeQueue{q: Queue{ID: 7, Limit: 212992}, cost: uint64(rapid.IntRange(0, priorCost).Draw(t, "cost")),
			rate: uint64(rapid.IntRange(1<<10, 1<<20).Draw(t, "rate"))}
		p := newPacer(f, nil, time.Hour)
		for left, steps := 20000, 0; left > 0; steps++ {
			n := min(p.allowance(), left)
			if n == 0 {
				f.tick()
				p.waited(time.Millisecond)
				p.observe(0)
			}
			f.probe(n)
			p.observe(n)
			if left -= n; steps > 1<<20 {
				t.Fatal("no end")
			}
		}
		if f.q.Drops > 0 || len(p.losers()) > 0 || len(p.unread()) > 0 {
			t.Fatalf("%d drops, losers %v, unread %v", f.q.Drops, p.losers(), p.unread())
		}
	})
}

// A reader that never reads is waited for once, then named.
func TestPacerGivesUpOnStuckReader(t *testing.T) {
	f := &fakeQueue{q: Queue{ID: 7, Name: "tcpdump[12]", Limit: 212992}, cost: 3000}
	p := newPacer(f, nil, time.Hour)
	waited := time.Duration(0)
	for left := 65535; left > 0; {
		n := min(p.allowance(), left)
		if n == 0 {
			p.waited(time.Millisecond)
			waited += time.Millisecond
		}
		f.probe(n)
		p.observe(n)
		left -= n
	}
	if waited > 2*stuckAfter {
		t.Errorf("waited %v", waited)
	}
	if got := p.unread(); len(got) != 1 || got[0] != "tcpdump[12]" {
		t.Errorf("unread %v", got)
	}
}

// Patience bounds the waiting for a reader that crawls.
func TestPacerPatience(t *testing.T) {
	f := &fakeQueue{q: Queue{ID: 7, Limit: 212992}, cost: 3000, rate: 1}
	p := newPacer(f, nil, 100*time.Millisecond)
	waits := 0
	for left := 65535; left > 0; {
		n := min(p.allowance(), left)
		if n == 0 {
			waits++
			f.tick()
			p.waited(time.Millisecond)
		}
		f.probe(n)
		p.observe(n)
		left -= n
	}
	if waits > 1000 {
		t.Errorf("%d waits of 1 ms with a patience of 100 ms", waits)
	}
}

// Our own sockets and queues that hear nothing do not slow the sweep; a watch
// that fails is remembered, not fatal.
func TestPacerMindsOnlyForeignReaders(t *testing.T) {
	own := &fakeQueue{q: Queue{ID: 7, Limit: 212992, Used: 212992}}
	if p := newPacer(own, map[uint64]bool{7: true}, time.Hour); p.allowance() != freeBatch {
		t.Error("minds our own queue")
	}
	deaf := &fakeQueue{q: Queue{ID: 8, Limit: 212992}}
	p := newPacer(deaf, nil, time.Hour)
	for range 10 {
		p.observe(p.allowance())
	}
	if p.allowance() != freeBatch || p.hears() {
		t.Error("minds a queue that hears nothing")
	}
	broken := newPacer(brokenWatch{}, nil, time.Hour)
	if broken.failed == nil || broken.allowance() != freeBatch {
		t.Error("a broken watch should be remembered")
	}
}

type brokenWatch struct{}

func (brokenWatch) Queues() ([]Queue, error) { return nil, errors.New("refused") }
