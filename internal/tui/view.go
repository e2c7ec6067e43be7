package tui

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// The smallest screen with room for something.
const (
	leastWidth  = 40
	leastHeight = 10
)

// Lines of the screen that are no rows.
const (
	headLines = 4 // title, rates, evidence, place
	footLines = 1
)

func (m *model) tooSmall() bool { return m.width < leastWidth || m.height < leastHeight }

// room is how many rows, or lines of a pane, there is room for.
func (m *model) room() int {
	n := m.height - headLines - footLines
	if m.sheet == noSheet && !m.place.exact {
		n-- // names of columns
	}
	return max(n, 1)
}

// frame draws the screen: height lines of at most width columns.
func (m model) frame() []string {
	if m.tooSmall() {
		return m.small()
	}
	lines := []string{m.titleLine(), m.rateLine(), m.evidenceLine(), m.placeLine()}
	switch {
	case m.sheet != noSheet:
		lines = append(lines, m.part(m.sheetLines(), m.sheetTop)...)
	case m.place.exact:
		lines = append(lines, m.part(m.pane(), m.place.top)...)
	default:
		lines = append(lines, m.list()...)
	}
	for len(lines) < m.height-footLines {
		lines = append(lines, "")
	}
	return append(lines, m.footLine())
}

// small says what is missing.
func (m *model) small() []string {
	var lines []string
	text := fmt.Sprintf("More room is needed: %d x %d at least, this is %d x %d. q quits.", leastWidth, leastHeight, m.width, m.height)
	if m.width > 0 {
		lines = wrap(text, m.width, 0)
	}
	return lines[:min(len(lines), max(m.height, 0))]
}

// part gives the lines of a longer text that are on the screen.
func (m *model) part(text []string, top int) []string {
	top = clamp(top, len(text)-m.room())
	var lines []string
	for _, l := range text[top:min(top+m.room(), len(text))] {
		lines = append(lines, m.glyphs.cut(l, m.width))
	}
	return lines
}

func (m *model) titleLine() string {
	s := &m.gauge.status
	words := []string{m.title, strings.Join(s.Interfaces, ", ")}
	if m.filter != "" {
		words = append(words, "only "+m.filter)
	}
	words = append(words, s.Source)
	words = slices.DeleteFunc(words, func(w string) bool { return w == "" })
	line := m.glyphs.spread(strings.Join(words, "  "), m.clock(), m.width)
	return m.paint.as(title, line)
}

// clock is how long counting goes on, or when the screen was frozen.
func (m *model) clock() string {
	g := &m.gauge
	switch {
	case g.at.IsZero():
		return ""
	case m.paused:
		return "PAUSED at " + g.at.In(m.zone).Format(time.TimeOnly)
	case !g.resetAt.IsZero():
		return "reset " + clockwise(g.at.Sub(g.resetAt)) + " ago"
	case g.status.Since.IsZero():
		return ""
	}
	return clockwise(g.at.Sub(g.status.Since))
}

func (m *model) rateLine() string {
	g := &m.gauge
	if g.at.IsZero() {
		return m.glyphs.left("Reading ...", m.width)
	}
	text := fmt.Sprintf("%s packets/s  %s", count(uint64(g.pace+0.5)), bits(g.rate))
	every := "every " + m.interval.String()
	room := m.width - columns(text) - columns(every) - 4
	if room >= 8 {
		text += "  " + m.glyphs.spark(g.past, min(samples, len(g.past), room))
	}
	return m.glyphs.spread(text, every, m.width)
}

// placeLine says what is shown, how sorted, and which part.
func (m *model) placeLine() string {
	p := &m.place
	text, span := m.placeName(), m.span()
	switch {
	case m.sheet == help:
		text, span = "Help", ""
	case m.sheet == evidence:
		text, span = "Evidence: what the counts are worth", ""
	case p.exact:
		span = ""
	default:
		o := m.orders[p.view]
		text += " by " + o.key.words() + ", " + o.ends()
		if m.search != "" && !m.prompt {
			text += "  / " + m.search
		}
	}
	return m.paint.as(heading, m.glyphs.spread(text, span, m.width))
}

func (m *model) placeName() string {
	p := &m.place
	switch {
	case p.exact:
		return "One flow"
	case p.view == ports:
		return "Ports"
	case p.view == pairs:
		return "Pairs"
	case p.scope.hasProto:
		return "Flows of " + portText(p.scope)
	case p.scope.hasAddress:
		return "Flows " + addrText(p.scope.client) + " " + m.glyphs.arrow + " " + addrText(p.scope.server)
	}
	return "Flows"
}

// list draws the names of the columns and the rows.
func (m *model) list() []string {
	p := &m.place
	cols := m.layout(m.width - 1)
	lines := []string{m.headLine(cols)}
	if len(p.rows) == 0 {
		return append(lines, m.glyphs.cut(m.nothing(), m.width))
	}
	for i := p.top; i < min(p.top+m.room(), len(p.rows)); i++ {
		lines = append(lines, m.rowLine(cols, &p.rows[i], i == p.index))
	}
	return lines
}

// nothing says why a list is empty.
func (m *model) nothing() string {
	switch {
	case !m.place.filled:
		return " Reading ..."
	case m.search != "":
		return " Nothing matches. Esc takes the filter away."
	case m.place.scope != rowID{}:
		return " Its flows are over. Esc goes back."
	}
	return " Nothing was seen yet."
}

func (m *model) headLine(cols []column) string {
	var b strings.Builder
	for i := range cols {
		b.WriteByte(' ')
		if c := &cols[i]; c.right {
			b.WriteString(m.glyphs.right(c.head, c.width))
		} else {
			b.WriteString(m.glyphs.left(c.head, c.width))
		}
	}
	return m.paint.as(title, m.glyphs.cut(b.String(), m.width))
}

func (m *model) rowLine(cols []column, r *row, selected bool) string {
	var b strings.Builder
	for i := range cols {
		mark := " "
		if i == 0 && selected {
			mark = ">"
		}
		b.WriteString(mark)
		b.WriteString(m.cell(&cols[i], r))
	}
	if !selected {
		return m.glyphs.cut(strings.TrimRight(b.String(), " "), m.width)
	}
	return m.paint.as(marked, m.glyphs.left(b.String(), m.width))
}

// hint is a key and what it does.
type hint struct{ key, does string }

// footLine shows the keys that help here; those at the end are always there.
func (m *model) footLine() string {
	if m.prompt {
		text := "/ " + m.search + "_"
		if columns(text) > m.width {
			text = m.glyphs.ellipsis + tail(text, m.width-1)
		}
		return m.paint.as(title, m.glyphs.spread(text, m.promptHelp(text), m.width))
	}
	last := []hint{{"?", "help"}, {"q", "quit"}}
	line, room := "", m.width-columns(hints(last))
	for _, h := range m.hints() {
		next := hints([]hint{h}) + "  "
		if columns(line)+columns(next) > room {
			break
		}
		line += next
	}
	return m.paint.as(title, line+hints(last))
}

// promptHelp says how to leave the prompt, where there is room for it.
func (m *model) promptHelp(text string) string {
	const help = "enter keeps it, esc drops it"
	if columns(text)+1+len(help) > m.width {
		return ""
	}
	return help
}

func hints(list []hint) string {
	var words []string
	for _, h := range list {
		words = append(words, h.key+" "+h.does)
	}
	return strings.Join(words, "  ")
}

func (m *model) hints() []hint {
	var list []hint
	switch {
	case m.paused:
		list = append(list, hint{"PAUSED, still counting: p", "goes on"})
	case m.sheet != noSheet:
		return []hint{{"esc", "back"}, {"up/down", "scroll"}}
	}
	if m.place.exact {
		return append(list, hint{"esc", "back"}, hint{"up/down", "scroll"}, hint{"p", "pause"})
	}
	if len(m.stack) > 0 {
		list = append(list, hint{"esc", "back"})
	} else {
		list = append(list, hint{"1", "ports"}, hint{"2", "pairs"}, hint{"3", "flows"})
	}
	list = append(list, hint{"s", "sort"}, hint{"/", "filter"}, hint{"enter", "open"})
	if !m.paused {
		list = append(list, hint{"p", "pause"})
	}
	return append(list, hint{"r", "reverse"}, hint{"t", "totals"}, hint{"-/+", "interval"}, hint{"z", "reset"})
}
