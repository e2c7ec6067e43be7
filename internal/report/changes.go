package report

import (
	"fmt"
	"io"
	"strings"
	"time"
)

// Plan is what applying rules would change.
type Plan struct {
	Parts []PlanPart
	// Kept are sessions that are let in, Refused what would be refused; Notes
	// are sentences for whoever decides.
	Kept, Refused, Notes []string
}

// PlanPart is what one backend would change. A line of Diff begins with ' ',
// '-' or '+'. Untried says why it was not tried beforehand.
type PlanPart struct {
	Backend string
	Diff    []string
	Untried string
}

// PlanText shows what applying rules would change.
func PlanText(w io.Writer, p *Plan, st Style) error {
	var b strings.Builder
	for _, part := range p.Parts {
		fmt.Fprintf(&b, "%s:\n", part.Backend)
		for _, line := range part.Diff {
			b.WriteString(diffText(line, st))
		}
		if part.Untried != "" {
			b.WriteString(strings.Join(para("  not tried beforehand: "+Escape(part.Untried), st.Width, 4), "\n") + "\n")
		}
	}
	for _, s := range p.Kept {
		b.WriteString(strings.Join(para("kept: "+Escape(s), st.Width, 2), "\n") + "\n")
	}
	for _, u := range p.Refused {
		for _, line := range para("would refuse: "+Escape(u), st.Width, 2) {
			b.WriteString(st.paint(yellow, line) + "\n")
		}
	}
	_, err := io.WriteString(w, b.String())
	if err == nil {
		Notes(w, p.Notes, st)
	}
	return err
}

func diffText(line string, st Style) string {
	text := "  " + Escape(strings.ReplaceAll(line, "\t", "    "))
	switch {
	case strings.HasPrefix(line, "+"):
		text = st.paint(green, text)
	case strings.HasPrefix(line, "-"):
		text = st.paint(red, text)
	}
	return text + "\n"
}

// AppliedText says what to do now.
func AppliedText(w io.Writer, until time.Time, notes []string, st Style) error {
	Notes(w, notes, st)
	_, err := fmt.Fprintf(w, "\n%s\n  portreeve rules confirm   keep the rules: open a new session, type it there\n  portreeve rules undo      take them back now\n",
		st.paint(bold, "Applied. At "+until.Local().Format("15:04:05")+" the rules are taken back, unless confirmed."))
	return err
}

// Change is one entry of the journal.
type Change struct {
	ID       string
	Made     time.Time
	Backends []string
	State    string
}

// ChangesText lists the journal.
func ChangesText(w io.Writer, list []Change, st Style) error {
	if len(list) == 0 {
		_, err := fmt.Fprintln(w, "No rules were applied here.")
		return err
	}
	cols := []column{{head: "CHANGE"}, {head: "MADE"}, {head: "BY"}, {head: "STATE"}}
	var rows [][]string
	for _, l := range list {
		rows = append(rows, []string{Escape(l.ID), stamp(l.Made), Escape(strings.Join(l.Backends, " ")), Escape(l.State)})
	}
	return writeTable(w, st, cols, rows)
}
