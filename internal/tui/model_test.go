package tui

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/portreeve/portreeve/internal/traffic/flow"
)

// TestPauseFreezes: while paused nothing on the screen changes by itself,
// sorting and narrowing work on what stands there, and counting goes on.
func TestPauseFreezes(t *testing.T) {
	s, feed := played(t, 80, 24)
	s.keys("p")
	frozen := s.screen()
	for n := 75; n < 80; n++ {
		s.tick(feed.pass(n))
	}
	if s.screen() != frozen {
		t.Errorf("the screen changed:\n%s\nwas\n%s", s.screen(), frozen)
	}
	packets := func() (n uint64) {
		for i := range s.model.place.rows {
			n += s.model.place.rows[i].packets()
		}
		return n
	}
	before := packets()
	s.keys("s", "r", "/", "text:tcp")
	if got := s.model.place; len(got.rows) != 4 || got.rows[0].id.port != 4444 {
		t.Errorf("sorted and narrowed: %v", s.screen())
	}
	s.keys("esc", "r")
	if got := packets(); got != before {
		t.Errorf("the filter taken away: %d packets, want the %d of before", got, before)
	}
	s.keys("p")
	s.tick(feed.pass(80))
	if packets() <= before {
		t.Errorf("nothing was counted: %d, then %d", before, packets())
	}
}

// TestPaneOutlivesItsFlow: a pane keeps what was known of a flow that is
// forgotten, and says so.
func TestPaneOutlivesItsFlow(t *testing.T) {
	s, feed := played(t, 80, 24)
	s.keys("3", "enter")
	feed.flows = feed.flows[1:]
	s.tick(night.Add(76 * time.Second))
	screen := s.screen()
	if !strings.Contains(screen, "Over, and forgotten") || !strings.Contains(screen, "10.0.0.7:51234") {
		t.Errorf("no trace of it:\n%s", screen)
	}
	s.keys("esc")
	if strings.Contains(s.screen(), "10.0.0.7:51234") {
		t.Errorf("still in the list:\n%s", s.screen())
	}
}

// TestWhatWasSelectedIsOpened: Enter opens the row that is marked, though the
// order has changed since the last key.
func TestWhatWasSelectedIsOpened(t *testing.T) {
	s, feed := played(t, 80, 24)
	s.keys("down", "down") // tcp/22
	feed.grow(4, night.Add(76*time.Second), 1, 1e12, 0, 0)
	s.tick(night.Add(76 * time.Second))
	if s.model.place.index != 0 {
		t.Fatalf("row %d, want it to have gone to the top", s.model.place.index)
	}
	s.keys("enter")
	if !strings.Contains(s.screen(), "Flows of tcp/22") {
		t.Errorf("opened another:\n%s", s.screen())
	}
	s.keys("esc", "home")
	feed.grow(2, night.Add(77*time.Second), 1, 1e13, 0, 0)
	s.tick(night.Add(77 * time.Second))
	if got := s.model.place.rows[s.model.place.index].id.port; got != 5432 {
		t.Errorf("from home on the mark is on %d, want the first row", got)
	}
}

func TestIntervals(t *testing.T) {
	s := newStage(t, someTraffic(), Options{Interval: 3 * time.Second})
	for _, step := range []struct {
		key  string
		want time.Duration
	}{{"+", 5 * time.Second}, {"-", 2 * time.Second}, {"-", time.Second}, {"-", 500 * time.Millisecond},
		{"-", 250 * time.Millisecond}, {"-", 250 * time.Millisecond}, {"=", 500 * time.Millisecond}} {
		if s.keys(step.key); s.model.interval != step.want {
			t.Errorf("%s: %v, want %v", step.key, s.model.interval, step.want)
		}
	}
}

// TestASCII: a terminal without UTF-8 gets none.
func TestASCII(t *testing.T) {
	feed := someTraffic()
	s := newStage(t, feed, Options{ASCII: true, Service: someService})
	s.size(80, 24)
	for n := range 5 {
		s.tick(feed.pass(n))
	}
	for _, keys := range [][]string{nil, {"2"}, {"3"}, {"enter"}, {"?"}, {"end"}} {
		s.keys(keys...)
		if screen := s.screen(); strings.IndexFunc(screen, func(r rune) bool { return r > '~' }) >= 0 {
			t.Errorf("%v: not ASCII:\n%s", keys, screen)
		}
	}
}

// TestEvidenceWords: drops in words with a grade.
func TestEvidenceWords(t *testing.T) {
	for _, tc := range []struct {
		want   string
		status Status
	}{
		{"Good evidence: nothing dropped", Status{DropsKnown: true, Packets: 10}},
		{"Evidence unknown: the source does not tell what it dropped", Status{Packets: 10}},
		{"Fair evidence: 0.5 % dropped (5 of 1,000): counts are a little low", Status{DropsKnown: true, Packets: 995, Dropped: 5}},
		{"Poor evidence: 3 % dropped (30 of 1,000): counts are too low", Status{DropsKnown: true, Packets: 970, Dropped: 30}},
		{"Poor evidence: 100 % dropped (30 of 30): counts are too low", Status{DropsKnown: true, Dropped: 30}},
		{`The source has ended: eth0\x1b is gone`, Status{DropsKnown: true, Err: errors.New("eth0\x1b is gone")}},
		{"Poor evidence: all one-sided", Status{DropsKnown: true, Grade: flow.Grade{Letter: "C", Because: []string{"all one-sided"}}}},
		{"Good evidence: nothing dropped", Status{DropsKnown: true, Grade: flow.Grade{Letter: "A", Because: []string{"giants"}}}},
	} {
		m := model{gauge: gauge{status: tc.status}}
		if got := m.evidenceText(); got != tc.want {
			t.Errorf("%q, want %q", got, tc.want)
		}
	}
}

func TestUnits(t *testing.T) {
	for v, want := range map[float64]string{0: "0", 0.4: "0", 1: "1", 999.4: "999", 999.5: "1.00k", 1000: "1.00k", 9994: "9.99k", 9996: "10.0k",
		99_940: "99.9k", 99_960: "100k", 999_499: "999k", 999_500: "1.00M", 1.234e9: "1.23G", 1e21: "1000E"} {
		if got := si(v); got != want {
			t.Errorf("si(%v) = %s, want %s", v, got, want)
		}
	}
	for n, want := range map[uint64]string{0: "0", 999: "999", 1000: "1,000", 999_999: "999,999", 1_000_000: "1.00M"} {
		if got := count(n); got != want {
			t.Errorf("count(%d) = %s, want %s", n, got, want)
		}
	}
	if got := bits(1_250_000); got != "10.0 Mbit/s" {
		t.Errorf("bits: %s", got)
	}
	for d, want := range map[time.Duration]string{time.Second: "now", 99 * time.Second: "99s", 100 * time.Second: "1m", 3 * time.Hour: "3h", 1000 * 24 * time.Hour: "999d", -time.Hour: "now"} {
		if got := ago(d); got != want || len(got) > 4 {
			t.Errorf("ago(%v) = %s, want %s", d, got, want)
		}
	}
	if got := clockwise(50*time.Hour + 61*time.Second); got != "2 d 2:01:01" {
		t.Errorf("clockwise: %s", got)
	}
}

// TestWordsAreComplete: each state, orientation and history letter that flows
// can have is explained.
func TestWordsAreComplete(t *testing.T) {
	w := newWords()
	for s := flow.OTH; s <= flow.SHR; s++ {
		if !strings.Contains(w.say("state", s.String()), ": ") {
			t.Errorf("state %s is not explained", s)
		}
	}
	for o := flow.ByFirstPacket; o <= flow.ByRegistry; o++ {
		if !strings.Contains(w.say("oriented", o.String()), ": ") {
			t.Errorf("%s is not explained", o)
		}
	}
	for _, text := range w.history("^ShADadFfRrCcGgTtWwIiQqXx") {
		if strings.Contains(text, "not known") {
			t.Error(text)
		}
	}
	if got := w.history("Z\x1b"); got[1] != `\x1b not known` {
		t.Errorf("%q", got)
	}
}

// TestOwnersAreAskedAgain: who was nobody's may come to be somebody's; who is
// known is not asked about again.
func TestOwnersAreAskedAgain(t *testing.T) {
	calls := map[uint16]int{}
	feed := someTraffic()
	s := newStage(t, feed, Options{Owner: func(_ context.Context, f *flow.Flow) string {
		calls[f.ServerPort]++
		if f.ServerPort == 22 && calls[22] > 1 {
			return "sshd"
		}
		return map[uint16]string{443: "nginx"}[f.ServerPort]
	}})
	s.size(80, 24)
	s.keys("3")
	for n := range 30 {
		s.tick(feed.pass(n))
	}
	if calls[443] != 2 || calls[22] != 2 || calls[5432] < 3 || calls[5432] > 10 {
		t.Errorf("asked: %v", calls)
	}
	if !strings.Contains(s.screen(), "sshd") {
		t.Errorf("not shown:\n%s", s.screen())
	}
}

func FuzzClean(f *testing.F) {
	for _, seed := range []string{"", "sshd", "\x1b[31m", "\u202egnp", "e\u0301", "日本", "\xff\xfe", "\U0001f468\u200d\U0001f469"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got := clean(s)
		if !utf8.ValidString(got) || columns(got) != otherWidth(got) {
			t.Errorf("%q: %q of %d and %d columns", s, got, columns(got), otherWidth(got))
		}
		for _, n := range []int{0, 1, 2, 7} {
			for _, part := range []string{newGlyphs(false).cut(got, n), newGlyphs(true).cutMiddle(got, n, 3), newGlyphs(false).left(got, n), newGlyphs(false).right(got, n)} {
				if columns(part) > n {
					t.Errorf("%q is wider than %d", part, n)
				}
			}
			for _, line := range wrap(got, n, 2) {
				if columns(line) > n {
					t.Errorf("%q is wider than %d", line, n)
				}
			}
		}
	})
}
