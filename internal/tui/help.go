package tui

import (
	_ "embed"
	"strings"
)

//go:embed help.txt
var helpText string

// helpLines is the help, broken for the screen's width.
func (m *model) helpLines() []string {
	const indent = 16
	var lines []string
	for line := range strings.Lines(strings.ReplaceAll(helpText, "→", m.glyphs.arrow)) {
		line = strings.TrimRight(line, "\n")
		if columns(line) <= m.width || len(line) <= indent {
			lines = append(lines, line)
			continue
		}
		for i, rest := range wrap(line[len(head(line, indent)):], max(m.width-indent, 8), 0) {
			name := head(line, indent)
			if i > 0 {
				name = strings.Repeat(" ", indent)
			}
			lines = append(lines, name+rest)
		}
	}
	return lines
}

// sheetLines is what lies over the list.
func (m *model) sheetLines() []string {
	if m.sheet == evidence {
		return m.evidenceSheet()
	}
	return m.helpLines()
}
