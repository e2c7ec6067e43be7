package watch

import (
	"time"

	"github.com/portreeve/portreeve/internal/exposure"
)

// flap is how often an endpoint changed lately.
type flap struct {
	first, last time.Time // of the changes counted
	count       int
	// While it flaps: what was held back since the last notice, the last of
	// it, and when the next notice may come.
	flapping bool
	held     int
	latest   *Told
	next     time.Time
	interval time.Duration
}

// flapping gives a change to the sinks, or holds it back while its endpoint
// changes too often.
func (e *Engine) flapping(t *Told) {
	f, ok := e.flaps.get(t.Endpoint)
	if !ok {
		f = &flap{first: t.At}
	}
	if !f.flapping && t.At.Sub(f.first) > e.o.Flap.Within {
		*f = flap{first: t.At}
	}
	f.last = t.At
	f.count++
	e.flaps.put(t.Endpoint, f)
	switch {
	case f.flapping:
		f.held++
		f.latest = t
		e.holding[t.Endpoint] = f
	case f.count > e.o.Flap.Changes:
		f.flapping, f.interval = true, e.o.Flap.First
		f.next = t.At.Add(f.interval)
		e.send(t, f.count)
	default:
		e.send(t, 0)
	}
}

func (e *Engine) send(t *Told, repeats int) {
	e.out.Notices = append(e.out.Notices, Notice{ID: changeID(t), Change: t.Change, Repeats: repeats,
		Maintenance: t.Maintenance, Host: t.Host})
}

// tickFlaps tells what was held back, and forgets endpoints that are calm.
func (e *Engine) tickFlaps(now time.Time) {
	e.flaps.each(func(ep exposure.Endpoint, f *flap) {
		switch {
		case f.flapping && f.held > 0 && !now.Before(f.next):
			e.send(f.latest, f.held)
			f.held = 0
			delete(e.holding, ep)
			f.interval = min(2*f.interval, e.o.Flap.Most)
			f.next = now.Add(f.interval)
		case f.held == 0 && !now.Before(f.calm(e)):
			e.flaps.drop(ep)
		}
	})
}

// calm is when an endpoint that changes no more is forgotten. One that flaps
// must be quiet for as long as it was last made to wait.
func (f *flap) calm(e *Engine) time.Time {
	if f.flapping {
		return f.last.Add(max(f.interval, e.o.Flap.Within))
	}
	return f.last.Add(e.o.Flap.Within)
}

// nextFlap: forgetting calm endpoints can wait until something else is due. It
// is asked after every event, so it looks only at those that hold something.
func (e *Engine) nextFlap() time.Time {
	var next time.Time
	for _, f := range e.holding {
		next = earlier(next, f.next)
	}
	return next
}

// forgetFlap tells what an endpoint held back that is let go for others.
func (e *Engine) forgetFlap(ep exposure.Endpoint, f *flap) {
	delete(e.holding, ep)
	if f.held > 0 {
		e.send(f.latest, f.held)
	}
}
