package tui

import (
	"slices"
	"strings"
	"time"
)

// place is a list or a flow's pane, and where one is in it.
type place struct {
	view  view
	scope rowID
	exact bool // a flow's pane

	page   page  // as it was read
	rows   []row // of it, those on the screen, in order
	all    uint64
	filled bool // the page was read
	gone   bool // the pane's flow is known no more

	selected rowID
	pinned   bool // the selection was moved, and so stays with its row
	index    int  // of the selection
	top      int  // first row, or line of a pane, on the screen
}

// sheet is a text that lies over the list.
type sheet uint8

const (
	noSheet sheet = iota
	help
	evidence
)

// model is the screen's state: a value, changed by update alone.
type model struct {
	width, height int
	glyphs        *glyphs
	paint         paint
	words         *words
	zone          *time.Location
	title, filter string // the capture's
	hasOwners     bool

	place  place
	stack  []place // where Esc goes back to, the last one first
	orders [3]order
	search string // the filter
	prompt bool   // the filter is being typed
	before string // the filter as it was before

	gauge    gauge
	owners   map[rowID]string
	past     history // of the pane's flow
	pastOf   rowID
	interval time.Duration
	resets   int
	totals   bool // totals where rates are otherwise
	paused   bool
	sheet    sheet
	sheetTop int

	quit, suspend, redraw bool // what the terminal is to do
	broken                error
}

func newModel(o *Options) model {
	return model{
		width: o.Width, height: o.Height,
		glyphs: newGlyphs(o.ASCII), paint: paint{o.Color}, words: newWords(), zone: o.zone(),
		title: clean(o.Title), filter: clean(o.Filter), hasOwners: o.Owner != nil,
		interval: o.interval(), owners: map[rowID]string{},
	}
}

// want is what the engine is to do for this screen.
func (m *model) want() want {
	return want{query: m.query(), interval: m.interval, resets: m.resets, first: m.place.top, paused: m.paused}
}

func (m *model) query() query {
	p := &m.place
	return query{view: p.view, scope: p.scope, exact: p.exact, order: m.orders[p.view], filter: m.search}
}

// update gives the screen's state after a message.
func (m model) update(msg any) model {
	m.quit, m.suspend, m.redraw = false, false, false
	switch msg := msg.(type) {
	case sizeMsg:
		m.width, m.height = msg.width, msg.height
	case pageMsg:
		m.turn(&msg)
	case ownersMsg:
		m.learn(msg)
	case brokenMsg:
		m.broken, m.quit = msg.err, true
	case keyMsg:
		m.press(msg)
	case pasteMsg:
		m.paste(string(msg))
	}
	m.settle()
	return m
}

// turn takes a page. While paused only what is not on the screen yet is taken.
func (m *model) turn(msg *pageMsg) {
	if m.paused && m.place.filled {
		return
	}
	if !m.paused || m.gauge.at.IsZero() {
		m.gauge = msg.gauge
	}
	if q := m.query(); msg.page.query != q {
		return
	}
	p := &m.place
	p.filled = true
	if p.gone = p.exact && len(p.rows) > 0 && len(msg.page.rows) == 0; p.gone {
		return // what was known of the flow stays
	}
	p.page, p.rows, p.all = msg.page, msg.page.rows, msg.page.all
	if p.exact {
		m.remember()
	}
}

// remember adds to the past of the flow in the pane.
func (m *model) remember() {
	if len(m.place.rows) == 0 {
		return
	}
	r := &m.place.rows[0]
	if m.pastOf != r.id {
		m.pastOf, m.past = r.id, history{}
	}
	m.past.add(r.bothWays())
}

// learn keeps owners in a map of its own: the old one may be in use elsewhere.
func (m *model) learn(found ownersMsg) {
	known := map[rowID]string{}
	if len(m.owners)+len(found) <= maxOwners {
		for id, name := range m.owners {
			known[id] = name
		}
	}
	for id, name := range found {
		known[id] = name
	}
	m.owners = known
}

// settle brings selection and scrolling in line with rows and size.
func (m *model) settle() {
	p := &m.place
	if p.exact {
		p.top = clamp(p.top, len(m.pane())-m.room())
		return
	}
	if p.pinned {
		if i := slices.IndexFunc(p.rows, func(r row) bool { return r.id == p.selected }); i >= 0 {
			p.index = i
		}
	} else {
		p.index = 0
	}
	p.index = clamp(p.index, len(p.rows)-1)
	if len(p.rows) > 0 {
		p.selected = p.rows[p.index].id
	}
	m.scroll()
}

// scroll shows the selection with as little movement as may be.
func (m *model) scroll() {
	p := &m.place
	p.top = max(min(p.top, p.index), p.index-m.room()+1)
	p.top = clamp(p.top, len(p.rows)-m.room())
}

// clamp puts n between 0 and most; 0 where most is less.
func clamp(n, most int) int { return max(min(n, most), 0) }

// move moves the selection, or scrolls a pane.
func (m *model) move(by int) {
	p := &m.place
	switch {
	case m.sheet != noSheet:
		m.sheetTop = clamp(m.sheetTop+by, len(m.sheetLines())-m.room())
	case p.exact:
		p.top += by
	default:
		m.choose(p.index + by)
	}
}

func (m *model) choose(i int) {
	p := &m.place
	p.index = clamp(i, len(p.rows)-1)
	if len(p.rows) > 0 {
		p.selected, p.pinned = p.rows[p.index].id, true
	}
}

// show goes to the whole of a list.
func (m *model) show(v view) {
	if m.place.view == v && len(m.stack) == 0 {
		return
	}
	m.stack = nil
	m.place = place{view: v}
	m.sheet = noSheet
}

// enter goes down into the selected row.
func (m *model) enter() {
	p := &m.place
	if p.exact || len(p.rows) == 0 {
		return
	}
	r := p.rows[p.index]
	p.pinned = true // to come back to it
	m.stack = append(slices.Clone(m.stack), *p)
	m.place = place{view: flows, scope: r.id, exact: p.view == flows}
	if m.place.exact {
		// What the list knew of it is shown until it is read.
		m.place.rows = []row{r}
		m.place.filled = m.paused
		m.past, m.pastOf = history{}, r.id
	}
}

// back goes up again; on top it takes the filter away.
func (m *model) back() {
	switch n := len(m.stack); {
	case m.sheet != noSheet:
		m.sheet = noSheet
	case n > 0:
		m.place = m.stack[n-1]
		m.stack = m.stack[:n-1]
	default:
		m.narrow("")
	}
}

// sort takes another order. What is on the screen is sorted at once.
func (m *model) sort(o order) {
	p := &m.place
	m.orders[p.view] = o
	p.rows = slices.Clone(p.rows)
	slices.SortStableFunc(p.rows, func(a, b row) int { return o.compare(&a, &b) })
}

// narrow takes another filter. While paused it works on the rows that were
// read; what they cannot answer is read once more.
func (m *model) narrow(filter string) {
	m.search = filter
	p := &m.place
	switch {
	case !m.paused || p.exact:
	case strings.HasPrefix(filter, p.page.query.filter) && p.all <= maxRows:
		m.sift()
	default:
		p.filled = false
	}
}

// sift keeps the page's rows that the filter takes.
func (m *model) sift() {
	p := &m.place
	var r *row
	match := newMatcher(m.search, func(uint8, uint16) string { return r.service }, func(id rowID) string { return m.owners[id] })
	p.rows = nil
	for i := range p.page.rows {
		r = &p.page.rows[i]
		if r.flow != nil && match.takesFlow(r.flow) || r.flow == nil && match.takesRow(r.id, r.service) {
			p.rows = append(p.rows, *r)
		}
	}
	p.all = uint64(len(p.rows))
	m.sort(m.orders[p.view])
}

// steps are the intervals that + and - go through.
func steps() []time.Duration {
	return []time.Duration{250 * time.Millisecond, 500 * time.Millisecond, time.Second, 2 * time.Second,
		5 * time.Second, 10 * time.Second, 30 * time.Second, time.Minute}
}

// pace takes the next longer (1) or shorter (-1) interval.
func (m *model) pace(by int) {
	list := steps()
	i, found := slices.BinarySearch(list, m.interval)
	if by > 0 && !found {
		i--
	}
	m.interval = list[clamp(i+by, len(list)-1)]
}
