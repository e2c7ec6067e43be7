package main

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// trial is one run of a scanner, judged.
type trial struct {
	took    time.Duration
	peakKiB int64
	found   int      // of the truth
	missed  []string // the first few
	wrong   []string // called open and not so: the first few
	wrongs  int
	said    finding // without open
	arrived float64 // probes a second, as the target counted; 0 where it did not
	// unfinished is a run that was ended because it took too long; it said
	// nothing.
	unfinished bool
}

// shownMistakes bounds the lists of a trial.
const shownMistakes = 12

// judge compares what a scanner found with the truth.
func judge(truth, open answer) trial {
	var t trial
	for _, key := range slices.Sorted(maps.Keys(truth)) {
		if open[key] {
			t.found++
		} else if len(t.missed) < shownMistakes {
			t.missed = append(t.missed, key)
		}
	}
	for _, key := range slices.Sorted(maps.Keys(open)) {
		if truth[key] {
			continue
		}
		if t.wrongs++; len(t.wrong) < shownMistakes {
			t.wrong = append(t.wrong, key)
		}
	}
	return t
}

// String is one line of the log of a run.
func (t trial) String() string {
	if t.unfinished {
		return "not done after " + seconds(t.took)
	}
	s := fmt.Sprintf("%8s %9s  found %d", seconds(t.took), memory(t.peakKiB), t.found)
	if t.arrived > 0 {
		s += fmt.Sprintf("  %.0f probes/s", t.arrived)
	}
	if t.said.loss > 0 {
		s += fmt.Sprintf("  loss %.3g", t.said.loss)
	}
	if len(t.missed) > 0 {
		s += "  MISSED " + strings.Join(t.missed, ", ")
	}
	if t.wrongs > 0 {
		s += fmt.Sprintf("  WRONG %d: %s", t.wrongs, strings.Join(t.wrong, ", "))
	}
	return s
}

// trials are the runs of one scanner; those of another with the same index
// are their pairs.
type trials struct {
	what, shown string
	runs        []trial
}

// givenUp reports whether the last run was not waited for.
func (ts trials) givenUp() bool { return len(ts.runs) > 0 && ts.runs[len(ts.runs)-1].unfinished }

// of takes one figure out of every run.
func (ts trials) of(figure func(trial) float64) []float64 {
	out := make([]float64, len(ts.runs))
	for i, t := range ts.runs {
		out[i] = figure(t)
	}
	return out
}

func (t trial) foundPorts() float64  { return float64(t.found) }
func (t trial) arrivalRate() float64 { return t.arrived }
func (t trial) ownRate() float64     { return t.said.sent / max(t.said.seconds, 1e-3) }
func (t trial) lossShare() float64   { return t.said.loss }
func (t trial) closedPorts() float64 { return float64(t.said.closed) }
func (t trial) memory() float64      { return float64(t.peakKiB) }

// complete counts the runs that found all of the truth and nothing else.
func (ts trials) complete(truth int) int {
	n := 0
	for _, t := range ts.runs {
		if t.found == truth && t.wrongs == 0 {
			n++
		}
	}
	return n
}

func (ts trials) wrongs() int {
	n := 0
	for _, t := range ts.runs {
		n += t.wrongs
	}
	return n
}

// against is how our times compare with theirs, over the rounds that both ran.
func (ts trials) against(theirs trials) timing {
	var pairs []pair
	for i := range min(len(ts.runs), len(theirs.runs)) {
		pairs = append(pairs, pair{ts.runs[i].took, theirs.runs[i].took})
	}
	return sumUp(pairs)
}

// huntGrid is the table of a hunt; the first scanner is ours. The figures of
// more are written in columns after it.
func huntGrid(truth int, sides []trials, more ...column) grid {
	g := grid{head: []string{"scanner", "command", "takes", "times as fast is ours (least–most)", "peak", "all found", "found of " + thousands(truth) + ", mean (least)", "wrongly open"}}
	for _, c := range more {
		g.head = append(g.head, c.head)
	}
	for i, s := range sides {
		found, versus := s.of(trial.foundPorts), sides[0].against(s)
		cells := []string{s.what, "`" + s.shown + "`", seconds(versus.theirs), "–",
			memory(int64(slices.Max(s.of(trial.memory)))),
			fmt.Sprintf("%d of %d runs", s.complete(truth), len(s.runs)),
			fmt.Sprintf("%.6g (%s)", mean(found), thousands(int(slices.Min(found)))), fmt.Sprint(s.wrongs())}
		if s.givenUp() {
			cells[2], cells[4], cells[5], cells[6] = "more than "+cells[2], "–", "ended, not done", "–"
		}
		if i > 0 && !s.givenUp() {
			cells[3] = fmt.Sprintf("%.3g (%.3g–%.3g, %d rounds)", versus.ratio, versus.least, versus.most, versus.rounds)
		}
		for _, c := range more {
			cells = append(cells, c.cell(s))
		}
		g.rows = append(g.rows, cells)
	}
	return g
}

// column is one more figure of a hunt's table.
type column struct {
	head string
	cell func(trials) string
}

// spread shows a figure's median with its extremes, in the form of format;
// a dash where no run has it.
func spread(head, format string, figure func(trial) float64) column {
	return column{head, func(ts trials) string {
		v := ts.of(figure)
		if slices.Max(v) == 0 {
			return "–"
		}
		return fmt.Sprintf(format+" ("+format+"–"+format+")", median(v), slices.Min(v), slices.Max(v))
	}}
}

// thousands writes 131072 as 131,072.
func thousands(n int) string {
	s := fmt.Sprint(n)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// asFast is the goal of a ratio to another side.
func asFast(sides []trials, other int, want float64) reached {
	t := sides[0].against(sides[other])
	return reached{fmt.Sprintf("at least %.3g× as fast as `%s`: %.3g×", want, sides[other].shown, t.ratio), t.ratio >= want}
}

// everyPort is the goal to find all in all runs.
func everyPort(ours trials, truth int) reached {
	n := ours.complete(truth)
	return reached{fmt.Sprintf("all %d open ports in every run: %d of %d", truth, n, len(ours.runs)), n == len(ours.runs)}
}
