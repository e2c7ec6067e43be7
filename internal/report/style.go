package report

import (
	"strings"

	"github.com/mattn/go-runewidth"
	"github.com/portreeve/portreeve/internal/exposure"
)

// Style says how wide the page is and whether colour may repeat the words.
type Style struct {
	Width   int // columns; 0: no limit (output that no terminal shows)
	Color   bool
	Verbose bool
}

// SGR colours (ECMA-48).
const (
	red    = "31"
	yellow = "33"
	green  = "32"
	cyan   = "36"
	bold   = "1"
	dim    = "2"
)

func (st Style) paint(code, s string) string {
	if !st.Color || code == "" || s == "" {
		return s
	}
	return "\x1b[" + code + "m" + s + "\x1b[0m"
}

func severityColor(s exposure.Severity) string {
	switch s {
	case exposure.High:
		return red + ";" + bold
	case exposure.Medium:
		return yellow + ";" + bold
	case exposure.Low:
		return cyan
	}
	return dim
}

func verdictColor(v exposure.Verdict) string {
	switch v {
	case exposure.Hidden, exposure.Exposed:
		return red
	case exposure.Review, exposure.Unneeded:
		return yellow
	case exposure.Expected:
		return green
	}
	return ""
}

// wrap breaks text at spaces into lines of at most width columns, each
// indented; a word that is wider stands alone.
func wrap(text string, width, indent int) []string {
	pad := strings.Repeat(" ", indent)
	if width <= 0 {
		return []string{pad + text}
	}
	var lines []string
	line := pad
	for word := range strings.FieldsSeq(text) {
		if line != pad && runewidth.StringWidth(line)+1+runewidth.StringWidth(word) > width {
			lines = append(lines, line)
			line = pad
		}
		if line != pad {
			line += " "
		}
		line += word
	}
	if line != pad {
		lines = append(lines, line)
	}
	return lines
}

// fit pads or cuts to exactly n columns; a cut shows as "…".
func fit(s string, n int) string {
	if w := runewidth.StringWidth(s); w <= n {
		return s + strings.Repeat(" ", n-w)
	}
	return runewidth.FillRight(runewidth.Truncate(s, n, "…"), n)
}

// para breaks a text into lines; those after the first begin at column hang,
// the first where its own blanks say.
func para(text string, width, hang int) []string {
	body := strings.TrimLeft(text, " ")
	lines := wrap(body, width, hang)
	lines[0] = text[:len(text)-len(body)] + strings.TrimLeft(lines[0], " ")
	return lines
}
