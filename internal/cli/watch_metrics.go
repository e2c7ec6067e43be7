package cli

import (
	"context"
	"maps"
	"net"
	"sync"
	"time"

	"github.com/portreeve/portreeve/internal/watch"
	"github.com/portreeve/portreeve/internal/watch/sink"
)

// watchMetrics counts for Prometheus. A nil one counts nothing.
type watchMetrics struct {
	listener net.Listener
	lost     func() uint64

	mu      sync.Mutex
	figures sink.Figures
	sinks   func() []sink.Status
}

// openMetrics listens where --listen or the configuration says.
func (w *watcher) openMetrics(ctx context.Context) error {
	addr := orName(w.f.listen, w.config.Listen)
	if addr == "" {
		return nil
	}
	ln, err := sink.ListenMetrics(ctx, addr)
	if err != nil {
		return usage("choose a free port: --listen 127.0.0.1:9464", "%w", err)
	}
	w.metrics = &watchMetrics{listener: ln, lost: w.stream.Lost, sinks: w.sinks.Status, figures: sink.Figures{
		Version: version(), Started: time.Now(), Changes: map[string]uint64{}, Findings: map[string]int{}}}
	return nil
}

// serve answers until ctx ends.
func (m *watchMetrics) serve(ctx context.Context, say func(string)) {
	if err := sink.ServeMetrics(ctx, m.listener, m.text, func() error { return nil }); err != nil && ctx.Err() == nil {
		say("metrics are not served any more: " + err.Error())
	}
}

func (m *watchMetrics) text() ([]byte, error) {
	m.mu.Lock()
	f := m.figures
	f.Changes, f.Findings = maps.Clone(f.Changes), maps.Clone(f.Findings)
	sinks := m.sinks
	m.mu.Unlock()
	f.Lost = m.lost()
	return sink.AppendMetrics(nil, &f, sinks()), nil
}

// count takes what is told.
func (m *watchMetrics) count(out *watch.Out, open int) {
	if m == nil {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.figures.Listeners = open
	for i := range out.Changes {
		m.figures.Changes[string(out.Changes[i].Kind)]++
	}
	for i := range out.Verdicts {
		v := &out.Verdicts[i]
		m.stands(string(v.Finding.Severity), !v.Resolved)
	}
}

func (m *watchMetrics) stands(severity string, more bool) {
	if more {
		m.figures.Findings[severity]++
	} else if m.figures.Findings[severity] > 0 {
		m.figures.Findings[severity]--
	}
}

// listed notes a whole listing of so many listeners.
func (m *watchMetrics) listed(at time.Time, open int) {
	if m == nil {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.figures.Listings++
	m.figures.Listed, m.figures.Listeners = at, open
}

// told are findings that stood before this start.
func (m *watchMetrics) told(list []watch.Remembered) {
	if m == nil {
		return
	}
	for i := range list {
		m.stands(string(list[i].Finding.Severity), true)
	}
}

// through names the sinks that are in use now.
func (m *watchMetrics) through(f *sink.Fanout) {
	if m == nil {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.sinks = f.Status
}
