package tui

import (
	"strconv"
	"time"

	"github.com/portreeve/portreeve/internal/traffic/flow"
)

// column is one column of a list.
type column struct {
	head    string
	width   int // at least
	most    int // grows up to this where a row needs it; 0: does not
	whole   int // columns of a higher rank give way until so much of it shows
	rank    int // narrow screens show low ranks
	right   bool
	middle  bool // a cut is in the middle
	history bool // takes what is left
	text    func(m *model, r *row) string
}

// columns lists what a list shows, from left to right.
func (m *model) columns() []column {
	switch m.place.view {
	case ports:
		return m.portColumns()
	case pairs:
		return m.pairColumns()
	}
	return m.flowColumns()
}

func (m *model) portColumns() []column {
	return []column{
		{head: "PORT", width: 9, most: 13, whole: 13, rank: 1, text: func(_ *model, r *row) string { return portText(r.id) }},
		{head: "SERVICE", width: 10, most: 20, rank: 4, text: serviceText},
		m.direction(toServer, "TO", 6, 2),
		m.direction(fromServer, "FROM", 8, 3),
		number("PACKETS", 7, 5, func(r *row) string { return count(r.packets()) }),
		number("BYTES", 5, 6, func(r *row) string { return si(float64(r.bytes())) }),
		number("CLIENTS", 7, 7, func(r *row) string { return m.atLeast(r.clients) }),
		number("SERVERS", 7, 8, func(r *row) string { return m.atLeast(r.servers) }),
		number("PKT/s", 5, 10, func(r *row) string { return si(r.pace) }),
		m.lastColumn(11),
		{head: "HISTORY", width: 8, rank: 9, history: true},
	}
}

func (m *model) pairColumns() []column {
	return []column{
		{head: "CLIENT", width: 15, most: 39, whole: 20, rank: 1, middle: true, text: func(_ *model, r *row) string { return addrText(r.id.client) }},
		{head: "SERVER", width: 15, most: 39, whole: 20, rank: 1, middle: true, text: func(_ *model, r *row) string { return addrText(r.id.server) }},
		m.direction(toServer, "TO", 6, 2),
		m.direction(fromServer, "FROM", 8, 3),
		number("PACKETS", 7, 6, func(r *row) string { return count(r.packets()) }),
		number("BYTES", 5, 4, func(r *row) string { return si(float64(r.bytes())) }),
		number("FLOWS", 5, 7, func(r *row) string { return si(float64(r.flows)) }),
		m.lastColumn(8),
		number("PKT/s", 5, 9, func(r *row) string { return si(r.pace) }),
	}
}

func (m *model) flowColumns() []column {
	rate := number("b/s", 5, 2, func(r *row) string { return si(8 * r.bothWays()) })
	bytes := number("BYTES", 5, 8, func(r *row) string { return si(float64(r.bytes())) })
	if m.totals {
		rate, bytes = bytes, rate
		rate.rank, bytes.rank = bytes.rank, rate.rank
	}
	cols := []column{
		{head: "PROTO", width: 5, most: 7, rank: 3, text: func(_ *model, r *row) string { return protoName(r.id.proto) }},
		{head: "CLIENT", width: 15, most: 47, whole: 21, rank: 1, middle: true, text: func(_ *model, r *row) string { return clientText(r.id) }},
		{head: "", width: 1, rank: 1, text: arrowText},
		{head: "SERVER", width: 15, most: 47, whole: 21, rank: 1, middle: true, text: func(_ *model, r *row) string { return serverText(r.id) }},
		rate,
		{head: "STATE", width: 6, rank: 4, text: func(_ *model, r *row) string { return r.flow.State.String() }},
		{head: "BY", width: 8, most: 12, whole: 12, rank: 6, text: func(_ *model, r *row) string { return r.flow.OrientedBy.String() }},
		bytes,
		number("PACKETS", 7, 9, func(r *row) string { return count(r.packets()) }),
		m.lastColumn(10),
		{head: "SERVICE", width: 9, most: 20, rank: 11, text: labelText},
	}
	if m.hasOwners {
		return append(cols, column{head: "PROCESS", width: 9, most: 40, whole: 18, rank: 5, text: ownerText})
	}
	cols[len(cols)-1].rank = 5
	return cols
}

// atLeast writes a number of addresses, marked where there may be more.
func (m *model) atLeast(n uint64) string {
	if m.gauge.atLeast {
		return si(float64(n)) + "+"
	}
	return count(n)
}

// direction is one way's rate or total.
func (m *model) direction(way int, name string, width, rank int) column {
	if m.totals {
		return number(name+" B", width, rank, func(r *row) string { return si(float64(r.total[way].bytes)) })
	}
	return number(name+" b/s", width, rank, func(r *row) string { return si(8 * r.rate[way]) })
}

func number(head string, width, rank int, text func(*row) string) column {
	return column{head: head, width: width, rank: rank, right: true, text: func(_ *model, r *row) string { return text(r) }}
}

func (m *model) lastColumn(rank int) column {
	return number("LAST", 4, rank, func(r *row) string { return ago(m.since(r.last)) })
}

// since is how long before the screen's moment something was.
func (m *model) since(unixNano int64) time.Duration {
	return m.gauge.at.Sub(time.Unix(0, unixNano))
}

// arrowText points from client to server, as surely as it is known.
func arrowText(m *model, r *row) string {
	switch r.flow.OrientedBy {
	case flow.BySYN, flow.BySYNACK, flow.ByListener:
		return m.glyphs.arrow
	case flow.ByRegistry:
		return "~"
	}
	return "?"
}

func serviceText(_ *model, r *row) string {
	if r.service == "" {
		return "-"
	}
	return r.service
}

// labelText prefers what the flow is known to be part of to its port's name.
func labelText(m *model, r *row) string {
	if r.flow.Label != "" {
		return clean(r.flow.Label)
	}
	return serviceText(m, r)
}

// ownerText is the process; blank until it was asked for.
func ownerText(m *model, r *row) string {
	name, asked := m.owners[r.id]
	if asked && name == "" {
		return "-"
	}
	return name
}

// layout gives the columns that a width has room for, widths settled.
func (m *model) layout(width int) []column {
	all := m.columns()
	m.needs(all)
	cols := fitting(all, width)
	grow(cols, width-taken(cols))
	if left := width - taken(cols); left > 0 {
		for i := range cols {
			if cols[i].history {
				cols[i].width += min(left, samples-cols[i].width)
			}
		}
	}
	return cols
}

// taken is the width of columns with a space between them.
func taken(cols []column) int {
	n := max(len(cols)-1, 0)
	for i := range cols {
		n += cols[i].width
	}
	return n
}

// needs sets how far columns are to grow, and how far at least before others
// come in.
func (m *model) needs(cols []column) {
	for i := range cols {
		c := &cols[i]
		if c.most == 0 {
			continue
		}
		need := c.width
		for j := range m.place.rows {
			need = max(need, columns(c.text(m, &m.place.rows[j])))
		}
		c.most = min(need, c.most)
		c.whole = min(need, c.whole)
	}
}

// essential is the last rank that is shown though addresses be cut.
const essential = 4

// fitting takes columns by rank, all of one rank or none, while there is room.
func fitting(all []column, width int) []column {
	var fit []column
	for rank := 1; rank <= len(all)+1; rank++ {
		var next []column
		more := 0
		for _, c := range all {
			if c.rank <= rank {
				next = append(next, c)
				more += max(c.whole-c.width, 0)
			}
		}
		if rank <= essential {
			more = 0
		}
		if len(fit) > 0 && taken(next)+more > width {
			break
		}
		fit = next
	}
	return fit
}

// grow gives columns what their rows need, in turns; first what is to show
// whole.
func grow(cols []column, left int) {
	for _, goal := range []func(*column) int{func(c *column) int { return c.whole }, func(c *column) int { return c.most }} {
		for grown := true; grown && left > 0; {
			grown = false
			for i := range cols {
				if left > 0 && cols[i].width < goal(&cols[i]) {
					cols[i].width++
					left--
					grown = true
				}
			}
		}
	}
}

// cell writes one cell at its width.
func (m *model) cell(c *column, r *row) string {
	if c.history {
		return m.glyphs.spark(r.past, c.width)
	}
	text := c.text(m, r)
	switch {
	case c.right:
		return m.glyphs.right(text, c.width)
	case c.middle:
		const port = len(":65535")
		return m.glyphs.left(m.glyphs.cutMiddle(text, c.width, port), c.width)
	}
	return m.glyphs.left(text, c.width)
}

// span names rows on the screen: 1-17 of 340.
func (m *model) span() string {
	p := &m.place
	if len(p.rows) == 0 {
		return ""
	}
	last := min(p.top+m.room(), len(p.rows))
	text := strconv.Itoa(p.top+1) + "-" + strconv.Itoa(last) + " of " + thousands(p.all)
	if last == len(p.rows) && p.all > uint64(len(p.rows)) {
		text += ": / finds more"
	}
	return text
}
