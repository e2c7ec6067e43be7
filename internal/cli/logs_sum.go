package cli

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/portreeve/portreeve/internal/exposure"
	"github.com/portreeve/portreeve/internal/firewall/fwlog"
	"github.com/portreeve/portreeve/internal/firewall/logview"
	"github.com/portreeve/portreeve/internal/report"
)

// logSum is what some of the lines sum up to.
type logSum struct {
	view    *logview.View
	formats map[string]uint64
	// last is the format of so many events, not in formats yet: most lines
	// are of the format of the one before.
	last string
	many uint64
}

func (f *logFlags) newSum(seed uint64) *logSum {
	return &logSum{view: logview.New(f.viewOptions(seed)), formats: map[string]uint64{}}
}

func (f *logFlags) viewOptions(seed uint64) logview.Options {
	o := logview.Options{Own: f.networks, Outside: f.outside, Width: f.width, Seed: seed}
	switch f.by {
	case byPair:
		o.Views = logview.ByPair
	case bySource:
		o.Views = logview.BySource
	case byRule:
		o.Views = logview.ByRule
	case byTime:
		o.Views = logview.ByTime
	default:
		o.Views = logview.ByPort
	}
	if !f.json { // the text names who scanned, whatever its rows are
		o.Views |= logview.BySource
	}
	return o
}

func (f *logFlags) count(c *logSum, kind fwlog.Kind, e *fwlog.Event) {
	switch {
	case kind != fwlog.IsEvent:
		if e.Limited {
			c.view.Add(e)
		}
	case f.wants(e):
		c.format(e.Format)
		c.view.Add(e)
	}
}

func (c *logSum) format(name string) {
	if name != c.last {
		c.settle()
		c.last = name
	}
	c.many++
}

func (c *logSum) settle() {
	if c.many > 0 {
		c.formats[c.last] += c.many
		c.many = 0
	}
}

// sumUp reads everything and tells what it comes to.
func sumUp(ctx context.Context, s *streams, f *logFlags) error {
	r := &logRun{s: s, f: f}
	sums := &logSums{f: f, seed: logview.RandomSeed()}
	var total *logSum
	if f.follow {
		total = sums.take()
	}
	err := r.each(ctx, func(ctx context.Context, src *logSource) (fwlog.Stats, error) {
		if f.follow {
			return r.scan(ctx, src, func(_ int64, kind fwlog.Kind, e *fwlog.Event) bool {
				r.mu.Lock()
				defer r.mu.Unlock()
				f.count(total, kind, e)
				return true
			})
		}
		return parallel(ctx, r, src, fwlog.Work[*logSum]{
			New:  sums.take,
			Take: func(c *logSum, _ int64, kind fwlog.Kind, e *fwlog.Event) { f.count(c, kind, e) },
			Done: func(c *logSum) error { sums.give(c); return nil },
		})
	})
	if err != nil {
		return err
	}
	return r.conclude(r.tell(sums.all(total)))
}

// logSums are counted in by one worker each, and used again: to merge them at
// the end of every part costs more than the counting.
type logSums struct {
	f    *logFlags
	seed uint64

	mu   sync.Mutex
	free []*logSum
}

func (p *logSums) take() *logSum {
	p.mu.Lock()
	defer p.mu.Unlock()
	if n := len(p.free); n > 0 {
		c := p.free[n-1]
		p.free = p.free[:n-1]
		return c
	}
	return p.f.newSum(p.seed)
}

func (p *logSums) give(c *logSum) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.free = append(p.free, c)
}

// all is what everybody counted, in with what total has.
func (p *logSums) all(total *logSum) *logSum {
	if total == nil {
		total = p.take()
	}
	for i, c := range p.free {
		total.merge(c)
		p.free[i] = nil // its memory may be used again
	}
	return total
}

func (c *logSum) merge(o *logSum) {
	c.view.Merge(o.view)
	o.settle()
	for name, n := range o.formats {
		c.formats[name] += n
	}
}

func (r *logRun) tell(total *logSum) error {
	by := r.f.by
	if by == "" {
		by = byPort
	}
	total.settle()
	book := openBook()
	l := &report.Logs{
		Taken: time.Now().UTC(), Host: hostname(), Source: r.sourceName(), By: by, Result: total.view.Result(),
		Lines: uint64(r.stats.Lines), Unknown: uint64(r.stats.Unknown), Known: uint64(r.stats.Known), Formats: total.formats, Gaps: r.gaps,
		Service: func(proto uint8, port uint16) string { return book.Name(exposure.ProtoByNumber(proto), port) },
	}
	if r.f.json {
		return report.LogsJSON(r.s.out, l)
	}
	return report.LogsText(r.s.out, l, r.s.style(r.f.verbose))
}

// sourceName says what was read.
func (r *logRun) sourceName() string {
	sources := r.f.sources(r.s)
	if len(sources) == 1 {
		return sources[0].name
	}
	return fmt.Sprintf("%d logs", len(sources))
}
