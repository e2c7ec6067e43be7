package syn

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/portreeve/portreeve/internal/exposure"
)

// canaryEvery is how many probes share one canary.
const canaryEvery = 1024

// Sweep asks every port of every address and tells each state once, in order
// of address and port. A port of which nothing can be said is not told; a gap
// says why. The error is for a sweep that could not begin (errors.Is
// fs.ErrPermission without CAP_NET_RAW). A cancelled ctx is a gap.
func (t *Transport) Sweep(ctx context.Context, addrs []netip.Addr, ports []uint16, tell func(exposure.PortState)) (exposure.ScanStats, []exposure.Gap, error) {
	w := &sweep{t: t, patience: t.patience(), begun: time.Now()}
	for chunk := range slices.Chunk(addrs, maxChunk) {
		if err := w.chunk(ctx, chunk, ports, tell); err != nil {
			return w.stats(), w.gaps, err
		}
	}
	return w.stats(), w.gaps, nil
}

// sweep is one call of Sweep.
type sweep struct {
	t        *Transport
	patience time.Duration
	begun    time.Time
	total    sessionStats
	gaps     []exposure.Gap
	asked    bool
}

func (w *sweep) stats() exposure.ScanStats {
	lost := max(0, w.total.canariesSent-w.total.canariesIn)
	st := exposure.ScanStats{Sent: w.total.sent, Received: w.total.received, Seconds: time.Since(w.begun).Seconds(),
		Loss: exposure.ScanLoss{CanarySent: w.total.canariesSent, CanaryLost: lost}}
	if lost > 0 {
		st.Loss.Estimate = float64(lost) / float64(w.total.canariesSent)
	}
	return st
}

func (w *sweep) gap(format string, args ...any) {
	w.gaps = append(w.gaps, exposure.Gap{View: "network", Why: fmt.Sprintf(format, args...)})
}

// chunk sweeps a few addresses in up to Rounds sessions.
func (w *sweep) chunk(ctx context.Context, addrs []netip.Addr, ports []uint16, tell func(exposure.PortState)) error {
	targets := make([]*target, len(addrs))
	for i, a := range addrs {
		targets[i] = &target{addr: a, answers: make([]answer, 1<<16), pending: ports}
	}
	for round := range w.t.rounds() {
		live := pendingTargets(targets)
		if len(live) == 0 || ctx.Err() != nil && round > 0 {
			break
		}
		if err := w.round(ctx, live, round); err != nil {
			return err
		}
	}
	if ctx.Err() != nil {
		w.gap("the scan was interrupted before every port was asked")
	}
	for _, t := range targets {
		w.tell(ctx, t, ports, tell)
	}
	return nil
}

func pendingTargets(targets []*target) []*target {
	var live []*target
	for _, t := range targets {
		if t.gone == nil && len(t.pending) > 0 {
			live = append(live, t)
		}
	}
	return live
}

// round is one session over the pending ports of targets.
func (w *sweep) round(ctx context.Context, targets []*target, round int) error {
	s := openSession(targets, w.t.Device)
	defer s.close()
	if err := w.usable(targets); err != nil {
		return err
	}
	w.asked = true
	s.pacer = newPacer(w.t.Queues, s.inodes(), w.patience)
	for i, t := range targets {
		t.suspect = nil
		if t.gone == nil {
			t.gone = w.sweepTarget(ctx, s, i, t, round == 0)
		}
	}
	w.listenOn(ctx, s)
	w.finish(s, round+1 == w.t.rounds())
	return nil
}

// usable returns the first error when no target at all can be asked and none
// ever could: then another transport should be tried.
func (w *sweep) usable(targets []*target) error {
	for _, t := range targets {
		if t.gone == nil {
			return nil
		}
	}
	if w.asked {
		return nil
	}
	return targets[0].gone
}

func (w *sweep) sweepTarget(ctx context.Context, s *session, index int, t *target, first bool) error {
	sinceCanary := 0
	for next := 0; next < len(t.pending) && ctx.Err() == nil; {
		n := min(w.allowance(ctx, s), len(t.pending)-next)
		if n == 0 {
			return nil // interrupted
		}
		canary := next == 0 || sinceCanary >= canaryEvery
		if sinceCanary += n; canary {
			sinceCanary = 0
		}
		ports := t.pending[next : next+n]
		s.fill(index, t, ports, canary)
		if err := s.ask(t); err != nil {
			return err
		}
		s.drain(0)
		s.pacer.probed(n)
		if s.pacer.observe() {
			t.suspect = append(t.suspect, ports...)
		}
		next += n
		if first && w.t.Progress != nil {
			w.t.Progress(n)
		}
	}
	return nil
}

// allowance waits until foreign queues have room and says how many probes may
// go; 0 when interrupted.
func (w *sweep) allowance(ctx context.Context, s *session) int {
	for {
		if n := s.pacer.allowance(); n > 0 {
			return n
		}
		if ctx.Err() != nil {
			return 0
		}
		w.wait(s, pollInterval)
	}
}

// wait lets foreign queues drain for about d, listening meanwhile.
func (w *sweep) wait(s *session, d time.Duration) {
	start := time.Now()
	s.drain(d)
	if rest := d - time.Since(start); rest > 0 {
		time.Sleep(rest)
	}
	took := time.Since(start)
	w.patience -= took
	s.pacer.waited(took)
	s.pacer.observe()
}

// listenOn waits until foreign queues are read, then the grace.
func (w *sweep) listenOn(ctx context.Context, s *session) {
	for end := time.Now().Add(maxDrain); !s.pacer.drained() && ctx.Err() == nil && time.Now().Before(end); {
		w.wait(s, time.Millisecond)
	}
	for end := time.Now().Add(w.t.grace()); ctx.Err() == nil; {
		rest := time.Until(end)
		if rest <= 0 {
			return
		}
		s.drain(min(rest, 20*time.Millisecond))
	}
}

// maxDrain bounds the wait for foreign queues at the end of a session.
const maxDrain = 2 * time.Second

// finish decides what the next session asks and, in the last one, says what
// stays uncertain.
func (w *sweep) finish(s *session, last bool) {
	lost := s.lost() > 0
	suspects := 0
	for _, t := range s.targets {
		suspects += len(t.suspect)
		t.pending = t.unsettled(w.t.Every || lost)
	}
	w.add(s.stats)
	if last && lost {
		w.gap("this scan's own receive queue overflowed: a port answered by a packet socket may have been missed; " +
			"raise net.core.rmem_max or scan when the host is quieter")
	}
	if last && suspects > 0 {
		w.gap("%d ports may hide an answer: packets were lost in the queue of %s each time they were asked",
			suspects, strings.Join(s.pacer.losers(), ", "))
	}
	if unread := s.pacer.unread(); last && len(unread) > 0 {
		w.gap("%s is full and is not being read: what it would answer is not known", strings.Join(unread, ", "))
	}
	if s.pacer.failed != nil {
		w.gap("packet sockets of other programs could not be watched: %v; one that reads slowly may have been missed", s.pacer.failed)
	}
}

func (w *sweep) add(st sessionStats) {
	w.total.sent += st.sent
	w.total.received += st.received
	w.total.canariesSent += st.canariesSent
	w.total.canariesIn += min(st.canariesIn, st.canariesSent)
}

// unsettled lists the pending ports to ask again, in order: those without an
// answer, those under suspicion, or every one that is not open.
func (t *target) unsettled(every bool) []uint16 {
	suspect := map[uint16]bool{}
	for _, p := range t.suspect {
		suspect[p] = true
	}
	var again []uint16
	for _, p := range t.pending {
		if a := t.answers[p]; a != synAck && (every || !a.settled() || suspect[p]) {
			again = append(again, p)
		}
	}
	return again
}

// tell gives the states of one target and says what could not be asked.
func (w *sweep) tell(ctx context.Context, t *target, ports []uint16, tell func(exposure.PortState)) {
	unknown := 0
	for _, p := range ports {
		a := t.answers[p]
		if a == unasked || a == silent && (ctx.Err() != nil || t.gone != nil) {
			unknown++
			continue
		}
		tell(exposure.PortState{Addr: t.addr, Port: p, Proto: exposure.TCP, State: meaning[a].state, Reason: meaning[a].reason})
	}
	if t.gone != nil {
		w.gap("%d of %d ports of %s were not asked: %v", unknown, len(ports), t.addr, t.gone)
	}
}
