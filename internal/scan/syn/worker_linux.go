package syn

import (
	"context"
	"time"
)

// canaryEvery is how many probes share one canary.
const canaryEvery = 1024

// maxDrain bounds the wait for foreign queues at the end of a session.
const maxDrain = 2 * time.Second

// worker runs one session. Workers share nothing but the sweep's progress.
type worker struct {
	s        *session
	pacer    *pacer
	progress func(n int)
	grace    time.Duration
}

// run asks all pending ports of the session's targets and listens on.
func (w *worker) run(ctx context.Context) {
	for i, t := range w.s.targets {
		t.suspect = nil
		if t.gone == nil {
			t.gone = w.sweepTarget(ctx, i, t)
		}
	}
	w.listenOn(ctx)
}

func (w *worker) sweepTarget(ctx context.Context, index int, t *target) error {
	sinceCanary := canaryEvery
	for next := 0; next < len(t.pending) && ctx.Err() == nil; {
		n := min(w.allowance(ctx), len(t.pending)-next)
		if n == 0 {
			return nil // interrupted
		}
		ports := t.pending[next : next+n]
		canary := sinceCanary >= canaryEvery
		if canary {
			sinceCanary = 0
		}
		if err := w.batch(index, t, ports, canary); err != nil {
			return err
		}
		next, sinceCanary = next+n, sinceCanary+n
		w.progress(n)
	}
	return nil
}

// batch sends one batch and reads what it brought.
func (w *worker) batch(index int, t *target, ports []uint16, canary bool) error {
	w.s.fill(index, t, ports, canary)
	if err := w.s.ask(t); err != nil {
		return err
	}
	w.s.drain(0)
	w.pacer.probed(len(ports))
	if w.pacer.observe() {
		t.suspect = append(t.suspect, ports...)
	}
	return nil
}

// allowance waits until foreign queues have room and says how many probes may
// go; 0 when interrupted.
func (w *worker) allowance(ctx context.Context) int {
	for {
		if n := w.pacer.allowance(); n > 0 {
			return n
		}
		if ctx.Err() != nil {
			return 0
		}
		w.wait(pollInterval)
	}
}

// wait lets foreign queues drain for about d, listening meanwhile.
func (w *worker) wait(d time.Duration) {
	start := time.Now()
	w.s.drain(d)
	if rest := d - time.Since(start); rest > 0 {
		time.Sleep(rest)
	}
	w.pacer.waited(time.Since(start))
	w.pacer.observe()
}

// listenOn waits until foreign queues are read, then the grace.
func (w *worker) listenOn(ctx context.Context) {
	for end := time.Now().Add(maxDrain); !w.pacer.drained() && ctx.Err() == nil && time.Now().Before(end); {
		w.wait(time.Millisecond)
	}
	for end := time.Now().Add(w.grace); ctx.Err() == nil; {
		rest := time.Until(end)
		if rest <= 0 {
			return
		}
		w.s.drain(min(rest, 20*time.Millisecond))
	}
}
