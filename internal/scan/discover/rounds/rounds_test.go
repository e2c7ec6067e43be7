package rounds

import (
	"context"
	"errors"
	"math/rand/v2"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// lab is a Line on a clock of its own: targets answer some kind of probe
// after their delay, and a probe may be lost.
type lab struct {
	t       *testing.T
	run     *Run
	now     time.Time
	answers func(i, kind, sent int) (time.Duration, bool)
	busy    func() bool
	flight  []arrival
	sends   []arrival // when, whom, what
	count   map[int]int
	first   map[int]time.Duration
}

type arrival struct {
	at      time.Time
	i, kind int
}

func newLab(t *testing.T, p Plan, answers func(i, kind, sent int) (time.Duration, bool)) *lab {
	l := &lab{t: t, now: time.Unix(1000, 0), answers: answers, count: map[int]int{}, first: map[int]time.Duration{}}
	p.Now = func() time.Time { return l.now }
	p.Shuffle = rand.New(rand.NewPCG(1, 2)).Shuffle
	l.run = New(p, l)
	return l
}

func (l *lab) Send(i, kind int) error {
	if l.busy != nil && l.busy() {
		return ErrBusy
	}
	l.now = l.now.Add(2 * time.Microsecond)
	l.sends = append(l.sends, arrival{l.now, i, kind})
	l.count[i]++
	if d, ok := l.answers(i, kind, l.count[i]); ok {
		l.flight = append(l.flight, arrival{l.now.Add(d), i, kind})
	}
	return nil
}

// Hear lets time pass until the first arrival, at most d.
func (l *lab) Hear(d time.Duration) error {
	end := l.now.Add(d)
	for _, a := range l.flight {
		if a.at.Before(end) {
			end = a.at
		}
	}
	if end.After(l.now) {
		l.now = end
	}
	var left []arrival
	for _, a := range l.flight {
		if a.at.After(l.now) {
			left = append(left, a)
			continue
		}
		if rtt, first := l.run.Answer(a.i, a.kind); first {
			l.first[a.i] = rtt
		}
	}
	l.flight = left
	return nil
}

func plan(n int) Plan {
	return Plan{Targets: n, Kinds: 1, Rate: 10_000, Gap: 150 * time.Millisecond, Last: 300 * time.Millisecond}
}

// Whoever answers a kind of probe within the waits is found, whatever the
// pattern; nobody is asked after his answer was heard; a target's probes keep
// their gap; kinds come in order.
func TestFindsWhoeverAnswers(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		n := rapid.IntRange(1, 300).Draw(rt, "targets")
		kinds := rapid.IntRange(1, 4).Draw(rt, "kinds")
		p := plan(n)
		p.Kinds, p.Tries = kinds, rapid.IntRange(1, 3).Draw(rt, "tries")
		p.Rate = rapid.Float64Range(50, 1e6).Draw(rt, "rate")
		want := rapid.SliceOfN(rapid.IntRange(-1, kinds-1), n, n).Draw(rt, "answers kind")
		delay := rapid.SliceOfN(rapid.IntRange(0, 299), n, n).Draw(rt, "delay ms")
		l := newLab(t, p, func(i, kind, _ int) (time.Duration, bool) {
			return time.Duration(delay[i]) * time.Millisecond, want[i] == kind
		})
		if err := l.run.Run(t.Context()); err != nil {
			rt.Fatal(err)
		}
		last := map[int]arrival{}
		for i, w := range want {
			if _, ok := l.first[i]; ok != (w >= 0) {
				rt.Fatalf("target %d answers kind %d: found %v", i, w, ok)
			}
			if w < 0 && l.count[i] != kinds*p.Tries {
				rt.Fatalf("silent target %d asked %d times", i, l.count[i])
			}
		}
		for _, s := range l.sends {
			if before, ok := last[s.i]; ok {
				if s.at.Sub(before.at) < shortestGap {
					rt.Fatalf("target %d asked again after %v", s.i, s.at.Sub(before.at))
				}
				if s.kind != (before.kind+1)%kinds {
					rt.Fatalf("kind %d after %d", s.kind, before.kind)
				}
			}
			last[s.i] = s
		}
		seconds := l.sends[len(l.sends)-1].at.Sub(l.sends[0].at).Seconds()
		if most := seconds*p.Rate + p.Rate*burst.Seconds() + 2; float64(len(l.sends)) > most {
			rt.Fatalf("%d probes in %.3f s at %.0f/s", len(l.sends), seconds, p.Rate)
		}
	})
}

// The rate is kept within 5 %.
func TestKeepsRate(t *testing.T) {
	for _, rate := range []float64{100, 5000, 100_000} {
		p := plan(int(rate) * 2)
		p.Rate, p.Tries = rate, 1
		l := newLab(t, p, func(int, int, int) (time.Duration, bool) { return 0, false })
		if err := l.run.Run(t.Context()); err != nil {
			t.Fatal(err)
		}
		seconds := l.sends[len(l.sends)-1].at.Sub(l.sends[0].at).Seconds()
		if got := float64(len(l.sends)) / seconds; got < rate*0.95 || got > rate*1.05 {
			t.Errorf("rate %.0f instead of %.0f", got, rate)
		}
	}
}

// A round trip is timed only where it is plain which probe was answered.
func TestTimesOnlyPlainAnswers(t *testing.T) {
	p := plan(2)
	p.Tries = 2
	l := newLab(t, p, func(i, _, sent int) (time.Duration, bool) {
		return 20 * time.Millisecond, i == 0 || sent == 2
	})
	if err := l.run.Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	if l.first[0].Truncate(time.Millisecond) != 20*time.Millisecond || l.first[1] != 0 {
		t.Errorf("round trips %v", l.first)
	}
}

// A large empty range is asked once and a sample twice; where the sample or a
// canary shows loss, everybody silent is asked twice.
func TestSamplesLargeRanges(t *testing.T) {
	const n = 20_000
	up := func(i int) bool { return i%100 == 0 }
	for _, c := range []struct {
		name    string
		answers func(i, kind, sent int) (time.Duration, bool)
		most    int
		found   int
	}{
		{"no loss", func(i, _, _ int) (time.Duration, bool) { return time.Millisecond, up(i) }, n + sampleSize + maxCanaries, 200},
		{"half lost at first", func(i, _, sent int) (time.Duration, bool) {
			return time.Millisecond, up(i) && (sent == 2 || i%200 == 0)
		}, 2*n + maxCanaries, 200},
		{"a canary is lost", func(i, _, sent int) (time.Duration, bool) {
			return time.Millisecond, up(i) && (sent == 1) != (i == 500)
		}, 2*n + maxCanaries, 200},
	} {
		t.Run(c.name, func(t *testing.T) {
			l := newLab(t, plan(n), c.answers)
			if err := l.run.Run(t.Context()); err != nil {
				t.Fatal(err)
			}
			if c.name == "no loss" {
				if s := l.run.Stats(); s.CanarySent != 200 || s.CanaryLost != 0 {
					t.Errorf("canaries %+v", s)
				}
			}
			if len(l.first) != c.found || len(l.sends) > c.most {
				t.Errorf("found %d with %d probes", len(l.first), len(l.sends))
			}
		})
	}
}

// Small ranges are asked twice in full.
func TestAsksSmallRangesTwice(t *testing.T) {
	l := newLab(t, plan(manySilent), func(i, _, sent int) (time.Duration, bool) { return 0, sent == 2 })
	if err := l.run.Run(t.Context()); err != nil || len(l.first) != manySilent {
		t.Errorf("found %d, %v", len(l.first), err)
	}
}

// A busy sender is waited for, then given up with its error.
func TestWaitsForBusySender(t *testing.T) {
	l := newLab(t, plan(10), func(int, int, int) (time.Duration, bool) { return time.Millisecond, true })
	until := l.now.Add(time.Second)
	l.busy = func() bool { return l.now.Before(until) }
	if err := l.run.Run(t.Context()); err != nil || len(l.first) != 10 {
		t.Errorf("found %d, %v", len(l.first), err)
	}
	l = newLab(t, plan(10), func(int, int, int) (time.Duration, bool) { return 0, false })
	l.busy = func() bool { return true }
	if err := l.run.Run(t.Context()); !errors.Is(err, ErrBusy) || l.run.Asked(0) {
		t.Errorf("error %v, asked %v", err, l.run.Asked(0))
	}
}

// A cancelled context and a failed look end the run at once.
func TestEnds(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	silent := func(int, int, int) (time.Duration, bool) { return 0, false }
	l := newLab(t, plan(1000), silent)
	l.busy = func() bool {
		if len(l.sends) == 500 {
			cancel()
		}
		return false
	}
	if err := l.run.Run(ctx); !errors.Is(err, context.Canceled) || len(l.sends) > 500+batch {
		t.Errorf("%v after %d probes", err, len(l.sends))
	}
	gone := errors.New("interface gone")
	p := plan(10_000)
	p.Ask = func() error {
		if len(l.sends) > 2000 {
			return gone
		}
		return nil
	}
	l = newLab(t, p, silent)
	if err := l.run.Run(t.Context()); !errors.Is(err, gone) || len(l.sends) > 6000 || l.run.Asked(9999) || !l.run.Asked(0) {
		t.Errorf("%v after %d probes", err, len(l.sends))
	}
}

// Answers of those who were not asked count for nothing.
func TestIgnoresUnaskedAnswers(t *testing.T) {
	l := newLab(t, plan(3), nil)
	if _, first := l.run.Answer(1, 0); first || l.run.Stats().Answered != 0 {
		t.Error("an unasked target answered")
	}
}
