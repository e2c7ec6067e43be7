package tui

import (
	"fmt"
	"strings"
	"time"
)

// grade is how far counts can be trusted.
type grade uint8

const (
	unknown grade = iota
	good
	fair
	poor
)

func (g grade) String() string {
	return [...]string{"Evidence unknown", "Good evidence", "Fair evidence", "Poor evidence"}[g]
}

// fairShare is up to which share of lost packets counts are still near.
const fairShare = 0.01

// gradeOf takes flow.Judge's letter, or judges by the drops.
func gradeOf(s *Status) grade {
	switch {
	case s.Err != nil:
		return poor
	case s.Grade.Letter == "A":
		return good
	case s.Grade.Letter == "B":
		return fair
	case s.Grade.Letter != "":
		return poor
	}
	return dropGrade(s)
}

func dropGrade(s *Status) grade {
	switch {
	case !s.DropsKnown:
		return unknown
	case s.Dropped == 0:
		return good
	case float64(s.Dropped) < fairShare*float64(s.Packets+s.Dropped):
		return fair
	}
	return poor
}

// evidenceLine says in one line how far the counts can be trusted, and why.
func (m *model) evidenceLine() string {
	s := &m.gauge.status
	if m.gauge.at.IsZero() {
		return ""
	}
	line := m.glyphs.spread(m.evidenceText(), m.more(), m.width)
	switch gradeOf(s) {
	case good:
		return m.paint.as(fine, line)
	case poor:
		return m.paint.as(bad, line)
	}
	return line
}

func (m *model) evidenceText() string {
	g, s := &m.gauge, &m.gauge.status
	if s.Err != nil {
		return "The source has ended: " + clean(s.Err.Error())
	}
	text := gradeOf(s).String() + ": "
	switch {
	case s.Dropped == 0 && len(s.Grade.Because) > 0 && s.Grade.Letter != "A":
		text += s.Grade.Because[0]
	default:
		text += drops(s)
	}
	if g.leftOut > 0 {
		text += "; " + several(g.leftOut, "flow", "flows") + " too many to follow"
	}
	return text
}

// more points at the sheet where it says more than the line.
func (m *model) more() string {
	if s := &m.gauge.status; len(s.Grade.Because) > 0 || m.gauge.leftOut > 0 || m.gauge.forgotten > 0 || s.Err != nil {
		return "e: why"
	}
	return ""
}

// drops says what was lost before it could be counted.
func drops(s *Status) string {
	switch {
	case !s.DropsKnown:
		return "the source does not tell what it dropped"
	case s.Dropped == 0:
		return "nothing dropped"
	}
	all := s.Packets + s.Dropped
	text := fmt.Sprintf("%s dropped (%s of %s)", percent(s.Dropped, all), count(s.Dropped), count(all))
	if dropGrade(s) == poor {
		return text + ": counts are too low"
	}
	return text + ": counts are a little low"
}

// evidenceSheet says all that is known of the source.
func (m *model) evidenceSheet() []string {
	g, s := &m.gauge, &m.gauge.status
	lines := []string{m.evidenceText(), ""}
	lines = append(lines, "Counted     "+several(s.Packets, "packet", "packets")+", "+several(s.Bytes, "byte", "bytes"))
	if s.DropsKnown {
		lines = append(lines, "Dropped     "+several(s.Dropped, "packet", "packets"))
	}
	if !s.Since.IsZero() {
		lines = append(lines, "Since       "+s.Since.In(m.zone).Format("2006-01-02 15:04:05 MST"), "For         "+clockwise(g.at.Sub(s.Since).Truncate(time.Second)))
	}
	if s.Grade.Letter != "" {
		lines = append(lines, "Grade       "+s.Grade.Letter+" (A is best, F is worst)")
	}
	for i, because := range s.Grade.Because {
		lines = append(lines, "", because+":")
		if i < len(s.Grade.Means) {
			lines = append(lines, "  "+s.Grade.Means[i])
		}
	}
	if g.leftOut > 0 {
		lines = append(lines, "", several(g.leftOut, "flow is", "flows are")+" too many to follow from one reading to the next:", "  rates and totals of ports and pairs are too low")
	}
	if g.forgotten > 0 {
		lines = append(lines, "", "Ports and pairs left out, those with the fewest bytes: "+thousands(g.forgotten))
	}
	return wrapAll(lines, m.width)
}

// wrapAll breaks lines that are too long, and keeps their indent.
func wrapAll(lines []string, width int) []string {
	var out []string
	for _, l := range lines {
		if columns(l) <= width {
			out = append(out, l)
			continue
		}
		text := strings.TrimLeft(l, " ")
		pad := l[:len(l)-len(text)]
		for _, part := range wrap(text, width-len(pad), 0) {
			out = append(out, pad+part)
		}
	}
	return out
}
