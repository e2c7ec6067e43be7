package tui

import "charm.land/lipgloss/v2"

// paint colours what words say already. It uses the terminal's own sixteen
// colours, and those few that are read on dark and on light; without colour
// text goes through as it is, without any escape.
type paint struct {
	on                               bool
	selected, title, head, bad, good lipgloss.Style
}

func newPaint(on bool) *paint {
	plain := lipgloss.NewStyle().Inline(true)
	return &paint{
		on:       on,
		selected: plain.Reverse(true),
		title:    plain.Bold(true),
		head:     plain.Bold(true).Foreground(lipgloss.Blue),
		bad:      plain.Bold(true).Foreground(lipgloss.Red),
		good:     plain.Foreground(lipgloss.Green),
	}
}

func (p *paint) as(style lipgloss.Style, text string) string {
	if !p.on || text == "" {
		return text
	}
	return style.Render(text)
}
