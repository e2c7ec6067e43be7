package main

import (
	"fmt"
	"strings"
	"time"
)

// result is a measured section.
type result struct {
	situation string // one paragraph: what was there
	rows      []row
	grids     []grid
	goals     []reached
	notes     []string
}

// grid is a table of words; its first two columns stand left.
type grid struct {
	head []string
	rows [][]string
}

// reached is a goal of a section and whether its figures met it.
type reached struct {
	text string // the goal and the figure
	met  bool
}

func (r reached) String() string {
	if r.met {
		return r.text + ": met"
	}
	return r.text + ": **missed**"
}

// row is one contest, measured.
type row struct {
	what, ours, theirs string
	timing             timing
	oursKiB, theirsKiB int64 // peak resident memory; 0 where not measured
	answers            string
	goal               goal
}

// goal is what a row has to reach; zero fields ask for nothing.
type goal struct {
	ratio   float64       // at least this many times as fast
	within  time.Duration // ours takes at most this
	peakKiB int64         // ours peaks at most at this
}

// text says the goal and whether the row met it.
func (g goal) text(r row) string {
	var parts []string
	say := func(met bool, format string, args ...any) {
		word := "missed"
		if met {
			word = "met"
		}
		parts = append(parts, fmt.Sprintf(format, args...)+" "+word)
	}
	if g.ratio > 0 {
		say(r.timing.ratio >= g.ratio, "≥ %.3g×", g.ratio)
	}
	if g.within > 0 {
		say(r.timing.ours <= g.within, "≤ %s", seconds(g.within))
	}
	if g.peakKiB > 0 {
		say(r.oursKiB <= g.peakKiB, "≤ %s", memory(g.peakKiB))
	}
	if parts == nil {
		return "–"
	}
	return strings.Join(parts, ", ")
}

// markdown renders a section's body.
func (r result) markdown() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s\n\n", r.situation)
	if len(r.rows) > 0 {
		writeRows(&b, r.rows)
	}
	for _, g := range r.grids {
		b.WriteString(g.markdown() + "\n")
	}
	for _, g := range r.goals {
		fmt.Fprintf(&b, "- Goal: %s\n", g)
	}
	for _, n := range r.notes {
		fmt.Fprintf(&b, "\n- %s", n)
	}
	if len(r.notes) > 0 {
		b.WriteString("\n")
	}
	return b.String()
}

func writeRows(b *strings.Builder, rows []row) {
	b.WriteString("| what | ours | theirs | ours takes | theirs takes | times as fast (least–most) | our peak | their peak | same answer | goal |\n")
	b.WriteString("| --- | --- | --- | ---: | ---: | ---: | ---: | ---: | --- | --- |\n")
	for _, row := range rows {
		t := row.timing
		fmt.Fprintf(b, "| %s | `%s` | `%s` | %s | %s | %.3g (%.3g–%.3g, %d rounds) | %s | %s | %s | %s |\n",
			row.what, row.ours, row.theirs, seconds(t.ours), seconds(t.theirs),
			t.ratio, t.least, t.most, t.rounds,
			memory(row.oursKiB), memory(row.theirsKiB), row.answers, row.goal.text(row))
	}
}

func (g grid) markdown() string {
	var b strings.Builder
	line := func(cells []string) { b.WriteString("| " + strings.Join(cells, " | ") + " |\n") }
	marks := make([]string, len(g.head))
	for i := range marks {
		marks[i] = "---:"
		if i < 2 {
			marks[i] = "---"
		}
	}
	line(g.head)
	line(marks)
	for _, cells := range g.rows {
		line(cells)
	}
	return b.String()
}

func seconds(d time.Duration) string {
	if d < time.Second {
		return fmt.Sprintf("%.3g ms", float64(d)/float64(time.Millisecond))
	}
	return fmt.Sprintf("%.3g s", d.Seconds())
}

func memory(kib int64) string {
	if kib == 0 {
		return "–"
	}
	return fmt.Sprintf("%.3g MiB", float64(kib)/1024)
}
