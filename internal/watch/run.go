package watch

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/portreeve/portreeve/internal/exposure"
	"github.com/portreeve/portreeve/internal/host/event"
)

// Paces of the loop.
const (
	// DefaultReconcile is how often a listing looks for what events missed.
	DefaultReconcile = time.Minute
	// soon is how long after a listing that differs another one follows.
	soon = time.Second
	// tickPace is the shortest time between two looks at what is due.
	tickPace = 20 * time.Millisecond
	// eventQueue is how many events may wait; beyond it the kernel's buffer
	// takes them, and says when it is full.
	eventQueue = 4096
	// batch is how many events are handled before what they mean is told.
	batch = 256
	// retryListing is the pace when events ended and only listings are left.
	retryListing = 2 * time.Second
)

// Events are the kernel's own words on listeners (event.Stream is one). Run
// calls fn with one event after another until ctx ends.
type Events interface {
	Run(ctx context.Context, fn func(event.Event) error) error
}

// Job is something done by the clock beside the watch.
type Job struct {
	Name string
	// Group is whose findings it brings; several jobs may share one. Empty:
	// Name.
	Group string
	// Next is when to run it the next time; zero never again.
	Next func(after time.Time) time.Time
	// Run gives all findings that hold now.
	Run func(ctx context.Context) ([]exposure.Finding, error)
}

// Loop is what Run needs. Tell, Say and Jobs' results are called, and
// Control's functions run, by Run's own goroutine, one at a time.
type Loop struct {
	Engine *Engine
	Events Events // nil: listings alone
	// List gives all listeners.
	List func(ctx context.Context) (exposure.Snapshot, error)
	// Tell takes what there is to say. Its error ends the watch.
	Tell func(Out) error
	// Say takes what went wrong and is being dealt with.
	Say func(text string)
	// Reconcile is the time between listings; 0 is DefaultReconcile.
	Reconcile time.Duration
	Jobs      []Job
	// Control carries what must be done between two events: a reload.
	Control <-chan func(*Engine)
	// Alive is called every AliveEvery while the loop turns; 0 never.
	Alive      func()
	AliveEvery time.Duration
}

// listed is one listing's result.
type listed struct {
	snap  exposure.Snapshot
	begun time.Time
	err   error
}

// loop is a running Loop.
type loop struct {
	Loop
	events  chan event.Event
	ended   chan error
	results chan listed
	found   chan func(*Engine)
	busy    bool // a listing is under way
	again   bool // another is wanted after it
	timer   *time.Timer
	listAt  *time.Timer
	day     int
	ticked  time.Time
}

// Run follows the events until ctx ends (nil), or Tell fails (its error). At
// the end closings that wait are told, and all goroutines have ended.
func Run(ctx context.Context, l Loop) error {
	if l.Reconcile <= 0 {
		l.Reconcile = DefaultReconcile
	}
	r := &loop{Loop: l, events: make(chan event.Event, eventQueue), ended: make(chan error, 1),
		results: make(chan listed), found: make(chan func(*Engine)), day: time.Now().YearDay()}
	ctx, stop := context.WithCancel(ctx)
	var helpers sync.WaitGroup
	defer helpers.Wait()
	defer stop()
	if l.Events != nil {
		helpers.Go(func() { r.ended <- l.Events.Run(ctx, r.take(ctx)) })
	}
	for i := range l.Jobs {
		helpers.Go(func() { r.job(ctx, &l.Jobs[i]) })
	}
	r.timer, r.listAt = time.NewTimer(0), time.NewTimer(l.Reconcile)
	defer r.timer.Stop()
	defer r.listAt.Stop()
	return r.turn(ctx, &helpers)
}

func (r *loop) take(ctx context.Context) func(event.Event) error {
	return func(ev event.Event) error {
		select {
		case r.events <- ev:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (r *loop) turn(ctx context.Context, helpers *sync.WaitGroup) error {
	alive := r.alive()
	defer alive.Stop()
	for {
		select {
		case <-ctx.Done():
			return r.finish()
		case ev := <-r.events:
			r.handle(ctx, ev, helpers)
		case err := <-r.ended:
			r.deaf(ctx, err)
		case <-r.listAt.C:
			r.list(ctx, helpers)
		case res := <-r.results:
			r.compare(ctx, res, helpers)
		case do := <-r.Control:
			do(r.Engine)
		case do := <-r.found:
			do(r.Engine)
		case <-alive.C:
			r.Alive()
			continue
		case <-r.timer.C:
			r.tick(time.Now())
		}
		r.overdue(time.Now())
		if err := r.tell(); err != nil {
			return err
		}
		r.arm()
	}
}

func (r *loop) alive() *time.Ticker {
	if r.Alive == nil || r.AliveEvery <= 0 {
		t := time.NewTicker(time.Hour)
		t.Stop()
		return t
	}
	return time.NewTicker(r.AliveEvery)
}

// handle takes an event and those that wait behind it.
func (r *loop) handle(ctx context.Context, ev event.Event, helpers *sync.WaitGroup) {
	for n := 1; ; n++ {
		r.one(ctx, ev, helpers)
		if n == batch {
			return
		}
		select {
		case ev = <-r.events:
		default:
			return
		}
	}
}

func (r *loop) one(ctx context.Context, ev event.Event, helpers *sync.WaitGroup) {
	if ev.Kind != event.Lost {
		r.Engine.Event(ev)
		return
	}
	how := "an unknown number of"
	if ev.Missed > 0 {
		how = fmt.Sprint(ev.Missed)
	}
	r.Say(how + " events of the kernel were lost; the listeners are listed again")
	r.list(ctx, helpers)
}

// list begins a listing, or asks for another after the one that runs.
func (r *loop) list(ctx context.Context, helpers *sync.WaitGroup) {
	if r.busy {
		r.again = true
		return
	}
	r.busy = true
	helpers.Go(func() {
		begun := time.Now()
		snap, err := r.List(ctx)
		select {
		case r.results <- listed{snap, begun, err}:
		case <-ctx.Done():
		}
	})
}

func (r *loop) compare(ctx context.Context, res listed, helpers *sync.WaitGroup) {
	r.busy = false
	next := r.Reconcile
	switch {
	case res.err != nil && ctx.Err() == nil:
		r.Say("the listeners could not be listed: " + res.err.Error())
	case res.err == nil && r.Engine.Listed(res.snap.Sockets, res.begun, time.Now()):
		next = min(soon, next)
	}
	r.listAt.Reset(next)
	if r.again {
		r.again = false
		r.list(ctx, helpers)
	}
}

// deaf: there are no events any more.
func (r *loop) deaf(ctx context.Context, err error) {
	if ctx.Err() != nil {
		return
	}
	why := "the source ended"
	if err != nil {
		why = err.Error()
	}
	r.Reconcile = min(r.Reconcile, retryListing)
	r.listAt.Reset(0)
	r.Say(fmt.Sprintf("the kernel's events cannot be followed any more (%s): the listeners are listed every %s instead; what lives shorter is missed", why, r.Reconcile))
}

// tick does what is due, and judges anew when the day (UTC) is another.
func (r *loop) tick(now time.Time) {
	if day := now.UTC().YearDay(); day != r.day {
		r.day = day
		r.Engine.Rejudge(now)
	}
	r.ticked = now
	r.Engine.Tick(now)
}

// overdue ticks where a stream of events would keep the timer from firing.
func (r *loop) overdue(now time.Time) {
	if now.Sub(r.ticked) < tickPace {
		return
	}
	if next := r.Engine.Next(); !next.IsZero() && !now.Before(next) {
		r.tick(now)
	}
}

// arm sets the timer to what is due next.
func (r *loop) arm() {
	next := r.Engine.Next()
	wait := r.Reconcile
	if !next.IsZero() {
		wait = min(wait, max(time.Until(next), tickPace))
	}
	r.timer.Reset(wait)
}

func (r *loop) tell() error {
	out := r.Engine.Take()
	if len(out.Changes)+len(out.Notices)+len(out.Verdicts)+len(out.Lost) == 0 {
		return nil
	}
	return r.Tell(out)
}

// finish takes what came before the end.
func (r *loop) finish() error {
	for {
		select {
		case ev := <-r.events:
			if ev.Kind != event.Lost {
				r.Engine.Event(ev)
			}
			continue
		default:
		}
		r.Engine.Tick(time.Now())
		r.Engine.Finish()
		return r.tell()
	}
}

// job runs one job by the clock.
func (r *loop) job(ctx context.Context, j *Job) {
	for {
		next := j.Next(time.Now())
		if next.IsZero() || !sleepUntil(ctx, next) {
			return
		}
		found, err := j.Run(ctx)
		done := func(e *Engine) {
			if err != nil {
				r.Say(j.Name + ": " + err.Error())
				return
			}
			now := time.Now()
			e.Found(orText(j.Group, j.Name), found, now)
			e.Tick(now)
		}
		select {
		case r.found <- done:
		case <-ctx.Done():
			return
		}
	}
}

// longestSleep: a clock that is set, or a machine that slept, is noticed.
const longestSleep = time.Minute

func sleepUntil(ctx context.Context, at time.Time) bool {
	for {
		left := time.Until(at)
		if left <= 0 {
			return ctx.Err() == nil
		}
		t := time.NewTimer(min(left, longestSleep))
		select {
		case <-ctx.Done():
			t.Stop()
			return false
		case <-t.C:
		}
	}
}
