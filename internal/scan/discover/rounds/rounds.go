package rounds

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"
)

// ErrBusy is what a Line answers where its own means are short just now (a
// full queue, no descriptor left): the probe was not sent and is tried again.
var ErrBusy = errors.New("the sender's means are used up for now")

// Line sends probes to targets that it knows by number, and hears answers,
// which it hands to Run.Answer.
type Line interface {
	// Send sends one kind of probe (0 ≤ kind < Plan.Kinds) to target i. Any
	// error but ErrBusy ends the run.
	Send(i, kind int) error
	// Hear waits up to d for an answer and reads all that have come.
	Hear(d time.Duration) error
}

// Plan is what a Run needs to know.
type Plan struct {
	Targets int
	Kinds   int     // kinds of probe in a try, at least 1
	Tries   int     // for a silent target; 0: two, or what a sample says
	Rate    float64 // probes a second; above 0
	Gap     time.Duration
	Last    time.Duration
	Ask     func() error                     // looked at a few times a second; an error ends the run
	Told    func(sent, planned int)          // progress, a few times a second
	Now     func() time.Time                 // nil: time.Now
	Shuffle func(n int, swap func(i, j int)) // nil: rand.Shuffle
}

// Figures.
const (
	manySilent  = 4096 // more than that: a sample first
	sampleSize  = 1024
	maxCanaries = 256
	burst       = 10 * time.Millisecond // of the rate that may be made up for
	batch       = 32                    // probes between two looks for answers
	shortestGap = 50 * time.Millisecond
	rttFactor   = 6 // gaps are this many times the slowest answer
	lookEvery   = 250 * time.Millisecond
	patience    = 10 * time.Second // with a Line that is busy
	never       = int64(-1)
)

// Stats counts probes. Received counts every answer that was attributed.
type Stats struct {
	Sent, Received         int64
	CanarySent, CanaryLost int64
	Answered               int
}

// Run is one asking.
type Run struct {
	plan  Plan
	line  Line
	begun time.Time

	sentAt []int64 // since begun, ns; never
	state  []state
	stats  Stats

	slowest  time.Duration // of unambiguous answers
	lastSent int64
	due      float64 // probes that may be sent, as of dueAt
	dueAt    int64
	lookAt   int64
	planned  int
}

// state is what is known of a target.
type state struct {
	kind     int8 // last probe's
	by       int8 // kind that was answered
	asked    uint8
	answered bool
	canary   bool // asked again, answer not yet heard
}

// New prepares a run.
func New(p Plan, line Line) *Run {
	if p.Now == nil {
		p.Now = time.Now
	}
	if p.Shuffle == nil {
		p.Shuffle = rand.Shuffle
	}
	r := &Run{plan: p, line: line, begun: p.Now(), sentAt: make([]int64, p.Targets), state: make([]state, p.Targets)}
	for i := range r.sentAt {
		r.sentAt[i] = never
	}
	r.planned = p.Targets * p.Kinds * max(p.Tries, 1) // the most; those who answer are asked less
	return r
}

// Stats are the counts so far.
func (r *Run) Stats() Stats { return r.stats }

// Asked tells whether target i was sent a probe.
func (r *Run) Asked(i int) bool { return r.sentAt[i] != never }

// Answer takes an answer of target i to a kind of probe (-1: not known which).
// It gives whether it is the target's first and the round trip time, 0 where
// it is not known which probe was answered.
func (r *Run) Answer(i, kind int) (rtt time.Duration, first bool) {
	s := &r.state[i]
	if s.asked == 0 {
		return 0, false
	}
	r.stats.Received++
	if s.answered {
		s.canary = false
		return 0, false
	}
	s.answered, s.by = true, int8(max(kind, 0))
	r.stats.Answered++
	if s.asked == 1 || kind == int(s.kind) && int(s.asked) <= r.plan.Kinds {
		rtt = time.Duration(r.clock() - r.sentAt[i])
		r.slowest = max(r.slowest, rtt)
	}
	return rtt, true
}

func (r *Run) clock() int64 { return int64(r.plan.Now().Sub(r.begun)) }

// Run asks until all have answered or been given up. The error is the Line's,
// the context's, or Plan.Ask's; Asked tells how far it came.
func (r *Run) Run(ctx context.Context) error {
	silent := make([]int32, r.plan.Targets)
	for i := range silent {
		silent[i] = int32(i)
	}
	tries := r.plan.Tries
	if tries == 0 {
		tries = 1
		if len(silent) <= manySilent {
			tries = 2 // no need to wait and see
		}
	}
	for range tries {
		if err := r.try(ctx, silent); err != nil {
			return err
		}
		silent = r.silent(silent)
	}
	if err := r.settle(ctx); err != nil {
		return err
	}
	if silent = r.silent(silent); r.plan.Tries == 0 && tries == 1 && len(silent) > 0 {
		return r.again(ctx, silent)
	}
	return nil
}

// again is the second try where the plan leaves that to us.
func (r *Run) again(ctx context.Context, silent []int32) error {
	if len(silent) <= manySilent {
		return r.tryAndSettle(ctx, silent)
	}
	r.plan.Shuffle(len(silent), func(i, j int) { silent[i], silent[j] = silent[j], silent[i] })
	before := r.stats.Answered
	if err := r.canaries(ctx); err != nil {
		return err
	}
	if err := r.tryAndSettle(ctx, silent[:sampleSize]); err != nil {
		return err
	}
	r.countCanaries()
	if r.stats.Answered == before && r.stats.CanaryLost == 0 {
		return nil
	}
	return r.tryAndSettle(ctx, r.silent(silent[sampleSize:]))
}

func (r *Run) tryAndSettle(ctx context.Context, who []int32) error {
	r.planned = int(r.stats.Sent) + len(who)*r.plan.Kinds
	if err := r.try(ctx, who); err != nil {
		return err
	}
	return r.settle(ctx)
}

// canaries asks some that have answered once more, in the way they answered.
func (r *Run) canaries(ctx context.Context) error {
	for i := range r.state {
		s := &r.state[i]
		if !s.answered || r.stats.CanarySent == maxCanaries {
			continue
		}
		s.canary = true
		r.stats.CanarySent++
		if err := r.send(ctx, i, int(s.by)); err != nil {
			return err
		}
	}
	return nil
}

func (r *Run) countCanaries() {
	for i := range r.state {
		if r.state[i].canary {
			r.stats.CanaryLost++
		}
	}
}

// silent keeps those that have not answered, in place.
func (r *Run) silent(who []int32) []int32 {
	left := who[:0]
	for _, i := range who {
		if !r.state[i].answered {
			left = append(left, i)
		}
	}
	return left
}

// try sends every kind of probe to whoever is silent when it is his turn.
func (r *Run) try(ctx context.Context, who []int32) error {
	for kind := range r.plan.Kinds {
		for _, i := range who {
			if r.state[i].answered {
				continue
			}
			if err := r.rest(ctx, int(i)); err != nil {
				return err
			}
			if r.state[i].answered {
				continue
			}
			if err := r.send(ctx, int(i), kind); err != nil {
				return err
			}
		}
	}
	return nil
}

// rest leaves a target the gap since its last probe.
func (r *Run) rest(ctx context.Context, i int) error {
	for r.sentAt[i] != never && !r.state[i].answered {
		left := time.Duration(r.sentAt[i]-r.clock()) + r.gap()
		if left <= 0 {
			return nil
		}
		if err := r.hear(ctx, left); err != nil {
			return err
		}
	}
	return nil
}

// gap shortens the plan's to what the answers heard so far suggest.
func (r *Run) gap() time.Duration {
	if r.slowest == 0 {
		return r.plan.Gap
	}
	return min(r.plan.Gap, max(shortestGap, rttFactor*r.slowest))
}

// settle waits for answers to the last probes.
func (r *Run) settle(ctx context.Context) error {
	for r.stats.Answered < r.plan.Targets || r.stats.CanarySent > 0 {
		left := time.Duration(r.lastSent-r.clock()) + r.plan.Last
		if left <= 0 {
			return nil
		}
		if err := r.hear(ctx, left); err != nil {
			return err
		}
	}
	return nil
}

// send sends one probe when the rate allows.
func (r *Run) send(ctx context.Context, i, kind int) error {
	if err := r.turn(ctx); err != nil {
		return err
	}
	for busy := r.clock(); ; {
		s := &r.state[i]
		before, at := *s, r.sentAt[i]
		s.kind, s.asked = int8(kind), min(s.asked, 254)+1
		r.sentAt[i] = r.clock()
		err := r.line.Send(i, kind)
		if err == nil {
			r.stats.Sent++
			r.lastSent = r.sentAt[i]
			r.due--
			return r.breathe(ctx)
		}
		r.sentAt[i], s.kind, s.asked = at, before.kind, before.asked
		if !errors.Is(err, ErrBusy) {
			return err
		}
		if time.Duration(r.clock()-busy) > patience {
			return fmt.Errorf("no probe could be sent for %v: %w", patience, err)
		}
		if err := r.hear(ctx, 2*time.Millisecond); err != nil {
			return err
		}
	}
}

// breathe looks for answers once a batch.
func (r *Run) breathe(ctx context.Context) error {
	if r.stats.Sent%batch == 0 {
		return r.hear(ctx, 0)
	}
	return nil
}

// turn waits until the rate allows one more probe.
func (r *Run) turn(ctx context.Context) error {
	for {
		now := r.clock()
		r.due = min(r.due+float64(now-r.dueAt)*r.plan.Rate/1e9, max(1, r.plan.Rate*burst.Seconds()))
		r.dueAt = now
		if r.due >= 1 {
			return nil
		}
		if err := r.hear(ctx, time.Duration((1-r.due)/r.plan.Rate*1e9)+1); err != nil {
			return err
		}
	}
}

// hear listens, and a few times a second looks around.
func (r *Run) hear(ctx context.Context, d time.Duration) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if now := r.clock(); now >= r.lookAt {
		r.lookAt = now + int64(lookEvery)
		if err := r.look(); err != nil {
			return err
		}
	}
	return r.line.Hear(min(d, lookEvery/2))
}

func (r *Run) look() error {
	if r.plan.Told != nil {
		r.plan.Told(min(int(r.stats.Sent), r.planned), r.planned)
	}
	if r.plan.Ask != nil {
		return r.plan.Ask()
	}
	return nil
}
