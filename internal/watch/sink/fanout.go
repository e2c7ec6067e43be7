package sink

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/portreeve/portreeve/internal/exposure"
)

// Status is how one sink is doing.
type Status struct {
	Label, Kind string
	// Queued notices wait in memory, Spooled ones (SpoolBytes) on disk.
	Queued     int
	Spooled    int
	SpoolBytes int64
	// Sent were delivered; a spooled notice counts when its receiver took it.
	Sent uint64
	// Failures counts attempts that failed and were or will be repeated.
	Failures uint64
	// Dropped were lost: the queue or the spool was full, or the end came.
	Dropped uint64
	// Parked were refused by the receiver for good; they are kept in a file.
	Parked uint64
	// LastError is the failure that goes on, "" while all is well.
	LastError string
}

const (
	defaultQueue = 4096
	// promptWait bounds how long Send waits for what is to be on disk before
	// anybody hears of the notice.
	promptWait = 250 * time.Millisecond
	// attemptWithin bounds one Send of a sink.
	attemptWithin = 30 * time.Second
	laneFirst     = 500 * time.Millisecond
	laneMost      = time.Minute
)

// Fanout hands each notice to every sink. Each sink has a queue and a worker
// of its own: one that hangs keeps neither the others nor the engine waiting.
type Fanout struct {
	lanes []*lane
	place Place
	stop  context.CancelFunc
	ctx   context.Context // of the workers: ends with Close, not with the caller's

	mu     sync.RWMutex // Send holds it for reading; Close for writing
	closed bool
}

// NewFanout has no sinks yet. Workers run until Close, also when ctx ends
// before: what was accepted is still delivered then.
func NewFanout(ctx context.Context, place Place) *Fanout {
	ctx, stop := context.WithCancel(context.WithoutCancel(ctx))
	if place.Say == nil {
		place.Say = func(string) {}
	}
	if place.Now == nil {
		place.Now = time.Now
	}
	return &Fanout{place: place, stop: stop, ctx: ctx}
}

// Open makes a Fanout with all sinks of a list that ValidateAll accepts. A
// sink whose receiver is not there now is no error; one that can never work
// is (a CA file that cannot be read, a spool that another process has).
func Open(ctx context.Context, list []Config, place Place) (*Fanout, error) {
	if err := ValidateAll(list); err != nil {
		return nil, err
	}
	f := NewFanout(ctx, place)
	for i := range list {
		s, err := f.open(&list[i])
		if err != nil {
			_ = f.Close(ctx)
			return nil, fmt.Errorf("sink %s: %w", list[i].Label(), err)
		}
		f.add(&list[i], s)
	}
	return f, nil
}

// Add joins another sink, before the first Send.
func (f *Fanout) Add(label string, s Sink) { f.add(&Config{Kind: label}, s) }

func (f *Fanout) add(c *Config, s Sink) {
	l := &lane{
		label: c.Label(), kind: c.Kind, sink: s, least: exposure.Severity(c.MinSeverity).Rank(), place: &f.place,
		stop: f.stop, queue: make(chan *item, max(c.Queue, 0)+defaultQueue*btoi(c.Queue == 0)), over: make(chan struct{}),
	}
	f.lanes = append(f.lanes, l)
	go l.work(f.ctx)
}

func btoi(b bool) int {
	if b {
		return 1
	}
	return 0
}

// Send hands a notice to all sinks and never waits for a receiver. Those with
// a spool come first, and Send waits (at most 250 ms, and not again while
// the disk stays that slow) until the notice is written there: whoever sees it
// elsewhere knows that killing the process does not lose it. A full queue
// drops the notice for its sink, which is counted and told. The error is for
// a Fanout that is closed. The notice must not be changed afterwards.
func (f *Fanout) Send(ctx context.Context, n *Notice) error {
	f.mu.RLock()
	defer f.mu.RUnlock()
	if f.closed {
		return errors.New("send a notice: the sinks are closed")
	}
	var written []*item
	for _, l := range f.lanes {
		if l.prompt() {
			if it := l.put(n); it != nil {
				written = append(written, it)
			}
		}
	}
	await(ctx, written)
	for _, l := range f.lanes {
		if !l.prompt() {
			l.put(n)
		}
	}
	return nil
}

// await waits for what is being written, and no longer for a lane that was too
// slow once, until it is quick again.
func await(ctx context.Context, written []*item) {
	if len(written) == 0 {
		return
	}
	timer := time.NewTimer(promptWait)
	defer timer.Stop()
	for i, it := range written {
		select {
		case <-it.done:
			continue
		case <-timer.C:
		case <-ctx.Done():
		}
		for _, late := range written[i:] {
			late.lane.slow.Store(true)
		}
		return
	}
}

// Reopen makes sinks that write files open them anew (SIGHUP, after log
// rotation).
func (f *Fanout) Reopen() {
	for _, l := range f.lanes {
		if r, ok := l.sink.(interface{ Reopen() }); ok {
			r.Reopen()
		}
	}
}

// Status tells how each sink is doing, in the order of the configuration.
func (f *Fanout) Status() []Status {
	out := make([]Status, len(f.lanes))
	for i, l := range f.lanes {
		out[i] = l.status()
	}
	return out
}

// Close delivers what is queued until ctx ends, then gives up what remains:
// it is counted, told, and in the error. What is spooled stays on disk for the
// next start.
func (f *Fanout) Close(ctx context.Context) error {
	f.mu.Lock()
	was := f.closed
	f.closed = true
	f.mu.Unlock()
	if was {
		return nil
	}
	defer f.stop()
	for _, l := range f.lanes {
		close(l.queue)
	}
	var errs []error
	var mu sync.Mutex
	var all sync.WaitGroup
	for _, l := range f.lanes {
		all.Go(func() {
			if err := l.close(ctx); err != nil {
				mu.Lock()
				defer mu.Unlock()
				errs = append(errs, fmt.Errorf("sink %s: %w", l.label, err))
			}
		})
	}
	all.Wait()
	return errors.Join(errs...)
}
