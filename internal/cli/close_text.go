package cli

import (
	"fmt"
	"io"
	"strings"

	"github.com/portreeve/portreeve/internal/remedy/closing"
	"github.com/portreeve/portreeve/internal/report"
)

// closeText shows a plan: what it breaks first, then what is done.
func closeText(s *streams, p *closing.Plan) error {
	var b strings.Builder
	for i := range p.Closures {
		closureText(&b, &p.Closures[i])
	}
	section(&b, "\nWhat stops working:", p.Breaks)
	if len(p.Also) > 0 {
		section(&b, "\nThese ports close with it, held by the same owner:", p.Also)
	}
	if len(p.Steps) > 0 {
		b.WriteString("\nWhat is done:\n")
	}
	for i, x := range p.Steps {
		fmt.Fprintf(&b, "  %d. %s\n", i+1, report.Escape(x.What))
		for _, d := range x.Diffs {
			b.WriteString(diffLines(d))
		}
		commandLines(&b, "       ", x.Commands)
		b.WriteString("     undone by:\n")
		commandLines(&b, "       ", x.Undo)
	}
	if len(p.Manual) > 0 {
		b.WriteString("\nFor a person to do:\n")
	}
	for _, m := range p.Manual {
		fmt.Fprintf(&b, "  %s\n", report.Escape(m.What))
		if m.Command != "" {
			fmt.Fprintf(&b, "       %s\n", report.Escape(m.Command))
		}
	}
	if _, err := io.WriteString(s.out, b.String()); err != nil {
		return err
	}
	report.Notes(s.out, p.Notes, s.style(false))
	for _, r := range p.Refused {
		if r.Overridden {
			fmt.Fprintf(s.out, "Overridden (%s): %s\n", report.Escape(r.Name), report.Escape(r.Why))
		}
	}
	return nil
}

func closureText(b *strings.Builder, c *closing.Closure) {
	name := c.Port.String()
	if c.Service != "" {
		name += " (" + c.Service + ")"
	}
	fmt.Fprintf(b, "Port %s: %s\n", report.Escape(name), report.Escape(c.Why))
	for _, f := range []struct{ head, text string }{
		{"held by", c.Owner}, {"unit", c.Unit}, {"socket unit", c.Socket}, {"bound to", strings.Join(c.Bind, ", ")},
		{"by rule", strings.Join(c.Published, "; ")}, {"closed by", string(c.How)},
	} {
		if f.text != "" {
			fmt.Fprintf(b, "  %-12s %s\n", f.head, report.Escape(f.text))
		}
	}
}

func section(b *strings.Builder, head string, lines []string) {
	if len(lines) == 0 {
		return
	}
	b.WriteString(head + "\n")
	for _, l := range lines {
		b.WriteString("  " + report.Escape(l) + "\n")
	}
}

func commandLines(b *strings.Builder, indent string, lines []string) {
	for _, l := range lines {
		b.WriteString(indent + report.Escape(l) + "\n")
	}
}

// around is how many unchanged lines of a difference are shown beside the
// others.
const around = 3

// diffLines shows a difference of a file, unchanged parts cut.
func diffLines(d closing.Diff) string {
	var b strings.Builder
	fmt.Fprintf(&b, "       %s\n", report.Escape(d.Path))
	near := make([]bool, len(d.Lines))
	for i, l := range d.Lines {
		if strings.HasPrefix(l, " ") {
			continue
		}
		for j := max(0, i-around); j < min(len(near), i+around+1); j++ {
			near[j] = true
		}
	}
	cut := false
	for i, l := range d.Lines {
		switch {
		case near[i]:
			text := "       " + report.Escape(strings.ReplaceAll(l, "\t", "    "))
			b.WriteString(text + "\n")
			cut = false
		case !cut:
			b.WriteString("       …\n")
			cut = true
		}
	}
	return b.String()
}
