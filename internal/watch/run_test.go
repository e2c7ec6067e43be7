package watch

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/portreeve/portreeve/internal/exposure"
	"github.com/portreeve/portreeve/internal/history/drift"
	"github.com/portreeve/portreeve/internal/host/event"
)

// script gives events at their times, then waits for the end or fails.
type script struct {
	steps []step
	fail  error
}

type step struct {
	after time.Duration
	ev    event.Event
}

func (s script) Run(ctx context.Context, fn func(event.Event) error) error {
	for _, st := range s.steps {
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(st.after):
		}
		st.ev.At = time.Now()
		if err := fn(st.ev); err != nil {
			return err
		}
	}
	if s.fail != nil {
		return s.fail
	}
	<-ctx.Done()
	return nil
}

func ev(kind event.Kind, cookie uint64, s exposure.Socket) event.Event {
	return event.Event{Kind: kind, Socket: s, Cookie: cookie, Source: "bpf"}
}

// ran is what a loop said.
type ran struct {
	kinds []drift.Kind
	pages []string
	said  []string
}

// runFor runs a loop for some of the bubble's time.
func runFor(t *testing.T, d time.Duration, l Loop) *ran {
	t.Helper()
	got := &ran{}
	l.Tell = func(out Out) error {
		for _, c := range out.Changes {
			got.kinds = append(got.kinds, c.Kind)
		}
		for _, n := range out.Notices {
			if n.Finding != nil {
				got.pages = append(got.pages, n.Finding.ID)
			}
		}
		return nil
	}
	l.Say = func(text string) { got.said = append(got.said, text) }
	ctx, stop := context.WithTimeout(t.Context(), d)
	defer stop()
	if err := Run(ctx, l); err != nil {
		t.Error(err)
	}
	return got
}

// nothing lists no socket.
func nothing(context.Context) (exposure.Snapshot, error) { return exposure.Snapshot{}, nil }

func listing1(s ...exposure.Socket) func(context.Context) (exposure.Snapshot, error) {
	return func(context.Context) (exposure.Snapshot, error) {
		return exposure.Snapshot{Sockets: slices.Clone(s)}, nil
	}
}

// A week in a bubble: a service that restarts, and one that opens what it
// should not.
func TestRunForAWeek(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := Loop{Engine: NewEngine(judged()), List: listing1(web, evil), Events: script{steps: []step{
			{time.Second, ev(event.Opened, 1, web)},
			{time.Hour, ev(event.Closed, 1, web)},
			{time.Second, ev(event.Opened, 2, web)},
			{time.Hour, ev(event.Opened, 3, evil)},
		}}}
		got := runFor(t, 7*24*time.Hour, l)
		if !slices.Equal(got.kinds, []drift.Kind{drift.Opened, drift.Opened, drift.Replaced}) && !slices.Equal(got.kinds, []drift.Kind{drift.Opened, drift.Replaced, drift.Opened}) {
			t.Errorf("%v", got.kinds)
		}
		if !slices.Equal(got.pages, []string{bad4444}) {
			t.Errorf("paged for %q", got.pages)
		}
	})
}

// Thousands of events at once: none is dropped on the way.
func TestRunDropsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const n = 10_000
		var steps []step
		for i := range uint64(n) {
			s := listener("p", 1, "127.0.0.1", uint16(i%60_000+1))
			steps = append(steps, step{0, ev(event.Opened, i+1, s)}, step{0, ev(event.Closed, i+1, s)})
		}
		got := runFor(t, time.Minute, Loop{Engine: NewEngine(Options{Settle: DefaultSettle}), List: nothing, Events: script{steps: steps}})
		if len(got.kinds) != 2*n {
			t.Errorf("%d changes, want %d", len(got.kinds), 2*n)
		}
	})
}

// After lost events a listing tells what was missed, at once and not a minute
// later; a closing that waits is told at the end.
func TestRunAfterALoss(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := NewEngine(Options{Settle: DefaultSettle})
		e.Start([]exposure.Socket{web}, time.Now())
		l := Loop{Engine: e, List: listing1(evil), Events: script{steps: []step{{time.Second, event.Event{Kind: event.Lost, Missed: 3}}}}}
		got := runFor(t, 3*time.Second, l)
		if !slices.Equal(got.kinds, []drift.Kind{drift.Opened, drift.Closed}) {
			t.Errorf("%v", got.kinds)
		}
		if len(got.said) != 1 || !strings.Contains(got.said[0], "3 events") {
			t.Errorf("%q", got.said)
		}
	})
}

// When the kernel's events end, listings take their place.
func TestRunWithoutEvents(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := Loop{Engine: NewEngine(Options{}), List: listing1(web), Events: script{fail: errors.New("gone")}}
		got := runFor(t, 10*time.Second, l)
		if !slices.Equal(got.kinds, []drift.Kind{drift.Opened}) || len(got.said) != 1 {
			t.Errorf("%v, %q", got.kinds, got.said)
		}
	})
}

// Jobs run by the clock, their findings come and go, and the watchdog is told.
func TestRunJobs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		runs, alive := 0, 0
		f := exposure.Finding{ID: "x", Rule: "x", Severity: exposure.High, Endpoint: "tcp/0.0.0.0:1"}
		job := Job{Name: "audit", Next: Times{Every: time.Hour}.Next, Run: func(context.Context) ([]exposure.Finding, error) {
			runs++
			switch runs {
			case 1:
				return []exposure.Finding{f}, nil
			case 2:
				return nil, errors.New("no luck")
			case 3:
				return []exposure.Finding{f}, nil
			}
			return nil, nil
		}}
		l := Loop{Engine: NewEngine(judged()), List: listing1(web), Jobs: []Job{job}, Alive: func() { alive++ }, AliveEvery: time.Minute}
		l.Engine.Start([]exposure.Socket{web}, time.Now())
		got := runFor(t, 5*time.Hour, l)
		if runs < 4 || alive < 290 {
			t.Errorf("%d runs, %d signs of life", runs, alive)
		}
		if !slices.Equal(got.pages, []string{"x", "x"}) || len(got.said) != 1 {
			t.Errorf("told %q, said %q", got.pages, got.said)
		}
	})
}

// An error of Tell (nobody reads the output) ends the run.
func TestRunEndsWithTell(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gone := errors.New("nobody reads")
		err := Run(t.Context(), Loop{Engine: NewEngine(Options{}), List: nothing, Say: func(string) {}, Tell: func(Out) error { return gone },
			Events: script{steps: []step{{time.Second, ev(event.Opened, 1, web)}}}})
		if !errors.Is(err, gone) {
			t.Error(err)
		}
	})
}
