package tui

import (
	"context"
	"fmt"
	"runtime/debug"
	"slices"
	"sync"
	"time"

	"github.com/portreeve/portreeve/internal/traffic/flow"
)

// want is what the screen asks of the engine. Equal wants ask for the same.
type want struct {
	query    query
	interval time.Duration
	resets   int // how often totals were to begin anew
	first    int // the first row on the screen: owners are asked from there on
	paused   bool
}

// Messages that the engine sends to the screen.
type (
	pageMsg struct {
		page  page
		gauge gauge
	}
	ownersMsg map[rowID]string
	brokenMsg struct{ err error }
)

// engine reads the feed, in a goroutine of its own.
type engine struct {
	feed   Feed
	tally  *tally
	now    func() time.Time
	owners *owners
	send   func(any)

	// The run's own.
	status  Status
	resetAt time.Time
	resets  int

	mu     sync.Mutex // guards wanted
	wanted want
	wake   chan struct{}
}

func newEngine(feed Feed, o *Options, w want) *engine {
	return &engine{feed: feed, tally: newTally(o.Service), now: time.Now, wanted: w,
		owners: newOwners(o.Owner), wake: make(chan struct{}, 1)}
}

// ask tells the engine what the screen wants now. It does not block.
func (e *engine) ask(w want) {
	e.mu.Lock()
	e.wanted = w
	e.mu.Unlock()
	select {
	case e.wake <- struct{}{}:
	default:
	}
}

func (e *engine) asked() want {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.wanted
}

// run reads at each interval, and between them what the screen asks for.
func (e *engine) run(ctx context.Context, send func(any)) {
	e.send = send
	defer e.catch()
	w := e.asked()
	e.answer(ctx, w, true)
	ticks := time.NewTicker(w.interval)
	defer ticks.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticks.C:
			e.answer(ctx, e.asked(), true)
		case <-e.wake:
			w = e.turn(ctx, w, e.asked(), ticks)
		case found := <-e.owners.found:
			e.owners.store(found)
			e.send(ownersMsg(found))
		}
	}
}

// catch turns a failure into a message: the terminal is to be restored first.
func (e *engine) catch() {
	if r := recover(); r != nil {
		e.send(brokenMsg{fmt.Errorf("%v\n%s", r, debug.Stack())})
	}
}

// turn does what changed between two wants.
func (e *engine) turn(ctx context.Context, old, w want, ticks *time.Ticker) want {
	if w.interval != old.interval {
		ticks.Reset(w.interval)
	}
	if w.resets != e.resets {
		e.resets, e.resetAt = w.resets, e.now()
		e.tally.reset()
	}
	e.answer(ctx, w, false)
	return w
}

// answer sends the page that is wanted; it counts too when it is time to.
func (e *engine) answer(ctx context.Context, w want, count bool) {
	c := newCollector(w.query, newMatcher(w.query.filter, e.tally.service, e.owners.of))
	each := func(f *flow.Flow, rate [2]float64) bool {
		c.take(f, rate)
		return ctx.Err() == nil
	}
	switch {
	case count:
		e.status = cleanStatus(e.tally.sample(e.feed, e.now(), each))
	case c.needsFlows():
		e.status = cleanStatus(e.feed.Read(func(f *flow.Flow) bool { return each(f, e.tally.rateOf(f)) }))
	}
	if ctx.Err() != nil {
		return // what was read may be a part only
	}
	l := e.tally.ports
	if w.query.view == pairs {
		l = e.tally.pairs
	}
	if w.query.view != flows {
		c.accounts(l)
	}
	p := c.page(l)
	e.owners.wish(p.rows, w.first)
	e.send(pageMsg{page: p, gauge: e.gauge()})
}

func (e *engine) gauge() gauge {
	t := e.tally
	return gauge{at: e.tally.at, status: e.status, rate: t.totals.rate, pace: t.totals.pace,
		past: t.totals.past.values(), resetAt: e.resetAt, leftOut: t.leftOut,
		forgotten: t.ports.forgotten + t.pairs.forgotten, atLeast: t.met.full}
}

// cleanStatus makes a status's texts safe to show.
func cleanStatus(s Status) Status {
	s.Interfaces, s.Source, s.Grade.Letter = cleanAll(s.Interfaces), clean(s.Source), clean(s.Grade.Letter)
	s.Grade.Because, s.Grade.Means = cleanAll(s.Grade.Because), cleanAll(s.Grade.Means)
	return s
}

func cleanAll(list []string) []string {
	list = slices.Clone(list)
	for i := range list {
		list[i] = clean(list[i])
	}
	return list
}
