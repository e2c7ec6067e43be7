package tui

import (
	"fmt"
	"strings"
	"time"
)

// pane lists all that is known of one flow, in lines.
func (m *model) pane() []string {
	if len(m.place.rows) == 0 {
		if !m.place.filled {
			return []string{" Reading ..."}
		}
		return []string{" This flow is over, and forgotten. Esc goes back."}
	}
	r := &m.place.rows[0]
	var lines []string
	if m.place.gone {
		lines = []string{"Over, and forgotten: this is the last that was known."}
	}
	for _, e := range m.entries(r) {
		text := fmt.Sprintf("%-12s%s", e[0], e[1])
		lines = append(lines, wrapped(text, e[0], m.width)...)
	}
	return lines
}

// wrapped breaks an entry's words below its name.
func wrapped(text, name string, width int) []string {
	const indent = 12
	if columns(text) <= width {
		return []string{text}
	}
	value := strings.TrimPrefix(text, fmt.Sprintf("%-12s", name))
	lines := wrap(value, max(width-indent, 8), 0)
	for i := range lines {
		if i == 0 {
			lines[i] = fmt.Sprintf("%-12s%s", name, lines[i])
		} else {
			lines[i] = strings.Repeat(" ", indent) + lines[i]
		}
	}
	return lines
}

// entries are names and values, in the order of their use.
func (m *model) entries(r *row) [][2]string {
	f := r.flow
	list := [][2]string{
		{"Client", clientText(r.id)},
		{"Server", serverText(r.id)},
		{"Protocol", m.protocol(r)},
	}
	if m.hasOwners {
		list = append(list, [2]string{"Process", m.process(r)})
	}
	list = append(list,
		[2]string{"To server", amount(r, toServer)},
		[2]string{"From server", amount(r, fromServer)},
		[2]string{"Rate", fmt.Sprintf("%s  %s", bits(r.bothWays()), m.glyphs.spark(m.past.values(), min(samples, int(m.past.held), m.width-30)))},
		[2]string{"State", m.words.say("state", f.State.String())},
		[2]string{"Oriented by", m.words.say("oriented", f.OrientedBy.String())},
		[2]string{"First", m.moment(f.First)},
		[2]string{"Last", m.moment(f.Last)},
	)
	list = append(list, m.rare(r)...)
	return append(list, m.historyEntries(f.History)...)
}

// rare are entries that few flows have.
func (m *model) rare(r *row) (list [][2]string) {
	f := r.flow
	if f.Label != "" {
		list = append(list, [2]string{"Part of", clean(f.Label)})
	}
	if f.HasVLAN {
		list = append(list, [2]string{"VLAN", fmt.Sprint(f.VLAN & 0x0fff)})
	}
	if f.Depth > 0 {
		list = append(list, [2]string{"Tunnels", m.words.tunnels(f)})
	}
	if f.Refused > 0 {
		list = append(list, [2]string{"Refused", m.words.refused(f)})
	}
	return list
}

func (m *model) historyEntries(letters string) (list [][2]string) {
	if letters == "" {
		return nil
	}
	const most = 60
	list = append(list, [2]string{"History", clean(m.glyphs.cut(letters, most))})
	for _, meaning := range m.words.history(letters) {
		list = append(list, [2]string{"", meaning})
	}
	return list
}

func (m *model) protocol(r *row) string {
	text := protoName(r.id.proto)
	switch {
	case isICMP(r.id.proto):
		text += fmt.Sprintf(", type %d, code or answer's type %d", r.id.clientPort, r.id.port)
	case r.service != "":
		text += ", " + r.service
	}
	return text
}

func (m *model) process(r *row) string {
	name, asked := m.owners[r.id]
	switch {
	case !asked:
		return "being looked up"
	case name == "":
		return "none of this host"
	}
	return name
}

// amount writes a direction's totals whole.
func amount(r *row, way int) string {
	v := r.total[way]
	return fmt.Sprintf("%s, %s, %s", several(v.packets, "packet", "packets"), several(v.bytes, "byte", "bytes"), bits(r.rate[way]))
}

func (m *model) moment(unixNano int64) string {
	at := time.Unix(0, unixNano).In(m.zone)
	text := at.Format("2006-01-02 15:04:05.000 MST")
	if past := ago(m.since(unixNano)); past != "now" {
		return text + ", " + past + " ago"
	}
	return text + ", now"
}
