package cli

import (
	"context"
	"sync"
	"time"

	"github.com/portreeve/portreeve/internal/audit"
	"github.com/portreeve/portreeve/internal/exposure"
	"github.com/portreeve/portreeve/internal/host"
	"github.com/portreeve/portreeve/internal/scan"
)

// recheckTries is how often a suspect is asked; it must answer each time. The
// pauses between are uneven, so that a listener that opens and closes at an
// even pace does not meet every try.
const recheckTries = 4

// recheck asks the suspects again while it watches the listeners, and asks the
// targets of published ports.
func (g *gatherer) recheck(ctx context.Context) {
	if suspects := audit.Suspects(g.in); len(suspects) > 0 {
		g.in.Seen = g.watchListeners(ctx, func() { g.askAgain(ctx, suspects) })
	}
	targets := audit.Targets(g.in)
	if len(targets) == 0 {
		return
	}
	for _, st := range scan.Reach(ctx, targets) {
		if st.State != "" {
			g.in.Rechecked = append(g.in.Rechecked, st)
		}
	}
}

// askAgain settles the suspects: one that misses a single try came and went.
func (g *gatherer) askAgain(ctx context.Context, suspects []exposure.Endpoint) {
	o := scan.AskOptions{Tries: recheckTries}
	if q := newQueues(ctx); q != nil {
		defer q.close()
		o.Queues = q
	}
	answers, err := scan.Ask(ctx, suspects, o)
	if err != nil {
		g.gap("network", "ports without a listener could not be asked again: "+err.Error())
		return
	}
	for _, a := range answers {
		if !a.Always() {
			a.State = exposure.Closed
		}
		g.in.Rechecked = append(g.in.Rechecked, a.PortState)
	}
}

func sleep(ctx context.Context, d time.Duration) bool {
	select {
	case <-ctx.Done():
		return false
	case <-time.After(d):
		return true
	}
}

// watchListeners lists this namespace's listeners again and again while fn
// runs, and returns every endpoint that was ever among them.
func (g *gatherer) watchListeners(ctx context.Context, fn func()) []exposure.Endpoint {
	ctx, stop := context.WithCancel(ctx)
	seen := map[exposure.Endpoint]bool{}
	var watch sync.WaitGroup
	watch.Go(func() {
		for ctx.Err() == nil {
			eps, err := host.Listening(ctx)
			if err != nil {
				return
			}
			for _, ep := range eps {
				seen[ep] = true
			}
		}
	})
	fn()
	stop()
	watch.Wait()
	out := make([]exposure.Endpoint, 0, len(seen))
	for ep := range seen {
		out = append(out, ep)
	}
	return out
}
