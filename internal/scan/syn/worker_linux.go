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
	losses   int // of foreign queues, when last looked
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
		canary := sinceCanary >= canaryEvery
		if canary {
			sinceCanary = 0
		}
		n, err := w.batch(ctx, index, t, t.pending[next:], canary)
		if err != nil {
			return err
		}
		next, sinceCanary = next+n, sinceCanary+n
		w.progress(n)
	}
	return nil
}

// batch sends as many of the ports as may go and reads what they brought; it
// returns how many went. While a foreign queue hears the probes, one worker
// sends at a time.
func (w *worker) batch(ctx context.Context, index int, t *target, ports []uint16, canary bool) (int, error) {
	if w.pacer.hears() {
		w.pacer.turn.Lock()
		defer w.pacer.turn.Unlock()
	}
	ports = ports[:min(w.allowance(ctx), len(ports))]
	if len(ports) == 0 {
		return 0, nil // interrupted
	}
	w.s.fill(index, t, ports, canary)
	if err := w.s.ask(t); err != nil {
		return 0, err
	}
	w.s.drain(0)
	if losses := w.pacer.observe(len(ports)); losses != w.losses {
		w.losses = losses
		t.suspect = append(t.suspect, ports...)
	}
	return len(ports), nil
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
	w.pacer.observe(0)
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
