package syn

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/portreeve/portreeve/internal/exposure"
)

// maxWorkers bounds the sessions that run side by side; the kernel's own work
// on loopback is what takes the time.
const maxWorkers = 4

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

	progress sync.Mutex
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
	g := exposure.Gap{View: "network", Why: fmt.Sprintf(format, args...)}
	if !slices.Contains(w.gaps, g) {
		w.gaps = append(w.gaps, g)
	}
}

// chunk sweeps a few addresses in up to Rounds sessions.
func (w *sweep) chunk(ctx context.Context, addrs []netip.Addr, ports []uint16, tell func(exposure.PortState)) error {
	targets := make([]*target, len(addrs))
	for i, a := range addrs {
		targets[i] = &target{addr: a, answers: make([]answer, 1<<16), pending: ports}
	}
	for round := range w.t.rounds() {
		live := pendingTargets(targets)
		if len(live) == 0 || ctx.Err() != nil {
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

// round asks the pending ports of targets, in a session per worker.
func (w *sweep) round(ctx context.Context, targets []*target, round int) error {
	workers := w.open(targets, round == 0)
	defer func() {
		for _, k := range workers {
			k.s.close()
		}
	}()
	if err := w.usable(targets); err != nil {
		return err
	}
	var running sync.WaitGroup
	for _, k := range workers {
		running.Go(func() { k.run(ctx) })
	}
	running.Wait()
	w.finish(workers, round+1 == w.t.rounds())
	return nil
}

// open makes the sessions here, in the goroutine of the caller, whose thread
// decides the network namespace.
func (w *sweep) open(targets []*target, first bool) []*worker {
	n := min(runtime.GOMAXPROCS(0), maxWorkers, len(targets))
	progress := func(int) {}
	if first && w.t.Progress != nil {
		progress = w.report
	}
	groups := deal(targets, n)
	workers := make([]*worker, n)
	own := map[uint64]bool{}
	for i, group := range groups {
		workers[i] = &worker{s: openSession(group), progress: progress, grace: w.t.grace()}
		workers[i].s.inodes(own)
	}
	pacer := newPacer(w.t.Queues, own, w.patience)
	for _, k := range workers {
		k.pacer = pacer
	}
	return workers
}

// deal gives each of n groups every n-th target.
func deal(targets []*target, n int) [][]*target {
	groups := make([][]*target, n)
	for i, t := range targets {
		groups[i%n] = append(groups[i%n], t)
	}
	return groups
}

func (w *sweep) report(n int) {
	w.progress.Lock()
	defer w.progress.Unlock()
	w.t.Progress(n)
}

// usable returns the error of a target that shows that this host or process
// cannot make such a sweep at all (an address that cannot be asked is a gap):
// then another transport should be tried.
func (w *sweep) usable(targets []*target) error {
	for _, t := range targets {
		var addrErr *addressError
		if t.gone != nil && !errors.As(t.gone, &addrErr) {
			return t.gone
		}
	}
	return nil
}

// finish decides what the next session asks and, in the last one, says what
// stays uncertain.
func (w *sweep) finish(workers []*worker, last bool) {
	pacer := workers[0].pacer
	w.patience = pacer.patience
	suspects, lost := 0, false
	for _, k := range workers {
		overrun := k.s.lost() > 0
		for _, t := range k.s.targets {
			suspects += len(t.suspect)
			t.pending = t.unsettled(w.t.Every || overrun)
		}
		lost = lost || overrun
		w.add(k.s.stats)
	}
	if last && lost {
		w.gap("this scan's own receive queue overflowed: a port answered by a packet socket may have been missed; " +
			"raise net.core.rmem_max or scan when the host is quieter")
	}
	if last && suspects > 0 {
		w.gap("%d ports may hide an answer: packets were lost in the queue of %s each time they were asked",
			suspects, strings.Join(pacer.losers(), ", "))
	}
	if unread := pacer.unread(); len(unread) > 0 {
		w.gap("%s is full and is not being read, or too slowly to wait for: what it would answer is not known", strings.Join(unread, ", "))
	}
	if pacer.failed != nil {
		w.gap("packet sockets of other programs could not be watched: %v; one that reads slowly may have been missed", pacer.failed)
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
