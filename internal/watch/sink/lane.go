package sink

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/portreeve/portreeve/internal/report"
)

// lane is one sink with its queue and its worker.
type lane struct {
	label, kind string
	sink        Sink
	least       int // rank of the least severity; -1: all
	place       *Place
	queue       chan *item
	stop        context.CancelFunc // ends the workers of all lanes
	over        chan struct{}      // closed when the worker ended
	slow        atomic.Bool        // the disk under the spool does not keep up

	sent, failures, dropped atomic.Uint64
	untold                  atomic.Uint64 // dropped since it was last said

	mu    sync.Mutex
	err   string    // the failure that goes on
	since time.Time // of it
	told  time.Time // when it was last said
}

type item struct {
	lane   *lane
	notice *Notice
	done   chan struct{} // closed when the sink has it, or never will; may be nil
}

// reporter is a sink that delivers later, by its own spool.
type reporter interface{ report(st *Status) }

// prompt: the sink keeps notices on disk, which is to happen before others
// are told.
func (l *lane) prompt() bool {
	_, ok := l.sink.(reporter)
	return ok
}

// wants reports whether the sink is to get a notice.
func (l *lane) wants(n *Notice) bool {
	if l.least <= 0 {
		return true
	}
	// The end of a finding goes where its beginning went.
	return n.Finding != nil && n.Finding.Severity.Rank() >= l.least
}

// put queues a notice. It returns the item when it is worth to wait for it.
func (l *lane) put(n *Notice) *item {
	if !l.wants(n) {
		return nil
	}
	it := &item{lane: l, notice: n}
	if l.prompt() {
		it.done = make(chan struct{})
	}
	select {
	case l.queue <- it:
	default:
		l.drop(1, "its queue is full")
		return nil
	}
	if l.slow.Load() || it.done == nil {
		return nil
	}
	return it
}

func (l *lane) work(ctx context.Context) {
	defer close(l.over)
	for it := range l.queue {
		begun := time.Now()
		l.deliver(ctx, it.notice)
		if time.Since(begun) < promptWait/2 {
			l.slow.Store(false)
		}
		if it.done != nil {
			close(it.done)
		}
	}
}

// deliver tries until the sink has the notice, it never will, or ctx ends.
func (l *lane) deliver(ctx context.Context, n *Notice) {
	wait := backoff{first: laneFirst, most: laneMost}
	for {
		err := l.try(ctx, n)
		switch {
		case err == nil:
			l.well()
			return
		case ctx.Err() != nil:
			l.drop(1, "the end came first")
			return
		case isPermanent(err):
			l.drop(1, err.Error())
			return
		}
		l.failed(err)
		if !pause(ctx, wait.next()) {
			l.drop(1, "the end came first")
			return
		}
	}
}

func (l *lane) try(ctx context.Context, n *Notice) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	ctx, cancel := context.WithTimeout(ctx, attemptWithin)
	defer cancel()
	return l.sink.Send(ctx, n)
}

// sayEvery is how often a failure that goes on is said again.
const sayEvery = 10 * time.Minute

func (l *lane) failed(err error) {
	l.failures.Add(1)
	l.mu.Lock()
	defer l.mu.Unlock()
	now := l.place.Now()
	if l.err == "" {
		l.since = now
	}
	text := err.Error()
	fresh := l.err != text
	l.err = text
	if l.told.IsZero() || now.Sub(l.told) >= sayEvery || fresh && now.Sub(l.told) >= sayEvery/10 {
		l.told = now
		l.say("%s; %d notices wait, it is tried again", l.err, len(l.queue)+1)
	}
}

func (l *lane) well() {
	l.sent.Add(1)
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.err != "" {
		l.say("works again after %s", l.place.Now().Sub(l.since).Round(time.Second))
		l.err, l.told = "", time.Time{}
	}
	if n := l.untold.Swap(0); n > 0 {
		l.say("%d more notices were dropped meanwhile", n)
	}
}

// drop counts lost notices, and says so: at once, then at most every minute.
func (l *lane) drop(n uint64, why string) {
	l.dropped.Add(n)
	l.mu.Lock()
	defer l.mu.Unlock()
	now := l.place.Now()
	if l.told.IsZero() || now.Sub(l.told) >= sayEvery/10 {
		l.told = now
		l.say("%d notices dropped: %s", n+l.untold.Swap(0), why)
		return
	}
	l.untold.Add(n)
}

func (l *lane) say(format string, args ...any) {
	l.place.Say(report.Escape("sink " + l.label + ": " + fmt.Sprintf(format, args...)))
}

func (l *lane) status() Status {
	st := Status{Label: l.label, Kind: l.kind, Queued: len(l.queue), Sent: l.sent.Load(), Failures: l.failures.Load(), Dropped: l.dropped.Load()}
	l.mu.Lock()
	st.LastError = l.err
	l.mu.Unlock()
	if r, ok := l.sink.(reporter); ok {
		r.report(&st)
	}
	return st
}

// stuckWithin is how long a worker may take to notice its end.
const stuckWithin = 500 * time.Millisecond

// close waits for the worker until ctx ends, then closes the sink. A worker
// that hangs in a write that cannot be interrupted is left behind.
func (l *lane) close(ctx context.Context) error {
	select {
	case <-l.over:
	case <-ctx.Done():
		l.stop()
		select {
		case <-l.over:
		case <-time.After(stuckWithin):
			l.drop(uint64(len(l.queue)+1), "the end came first")
			return fmt.Errorf("%d notices were dropped, the last write hangs", l.dropped.Load())
		}
	}
	if err := l.sink.Close(ctx); err != nil {
		return err
	}
	if n := l.dropped.Load(); n > 0 {
		return fmt.Errorf("%d notices were dropped", n)
	}
	return nil
}
