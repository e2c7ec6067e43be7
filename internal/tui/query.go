package tui

import (
	"cmp"
	"slices"
	"time"

	"github.com/portreeve/portreeve/internal/traffic/flow"
)

// maxRows is how many rows a page has at most.
const maxRows = 1000

// query says what is on the screen. Equal queries ask for the same.
type query struct {
	view   view
	scope  rowID // flows of this port or pair; zero: all
	exact  bool  // only the flow that scope names
	order  order
	filter string
}

// order is how a list is sorted.
type order struct {
	key sortKey
	up  bool // the lowest first
}

type sortKey uint8

const (
	byRate sortKey = iota
	byPackets
	byBytes
	byClients
	byFlows
	byPort
	byAddress
	byLast
)

// words names a key as in "by rate".
func (k sortKey) words() string {
	return [...]string{"rate", "packets", "bytes", "clients", "flows", "port", "client address", "last packet"}[k]
}

// ends names the two directions of a key.
func (o order) ends() string {
	ends := [2]string{"most first", "least first"}
	switch o.key {
	case byPort, byAddress:
		ends = [2]string{"highest first", "lowest first"}
	case byLast:
		ends = [2]string{"newest first", "oldest first"}
	}
	if o.up {
		return ends[1]
	}
	return ends[0]
}

// sortKeys lists the keys of a list, in the order in which s goes round.
func (v view) sortKeys() []sortKey {
	switch v {
	case ports:
		return []sortKey{byRate, byPackets, byBytes, byClients, byPort, byLast}
	case pairs:
		return []sortKey{byRate, byPackets, byBytes, byFlows, byAddress, byLast}
	}
	return []sortKey{byRate, byPackets, byBytes, byPort, byAddress, byLast}
}

// after gives the order that comes n steps later, in its usual direction.
func (o order) after(v view, n int) order {
	keys := v.sortKeys()
	at := slices.Index(keys, o.key)
	key := keys[((at+n)%len(keys)+len(keys))%len(keys)]
	return order{key: key, up: key == byPort || key == byAddress}
}

// compare orders two rows: below nought when a comes first.
func (o order) compare(a, b *row) int {
	c := o.key.compare(a, b)
	if !o.up {
		c = -c
	}
	if c == 0 {
		return a.id.compare(&b.id)
	}
	return c
}

func (k sortKey) compare(a, b *row) int {
	switch k {
	case byRate:
		return cmp.Compare(a.bothWays(), b.bothWays())
	case byPackets:
		return cmp.Compare(a.packets(), b.packets())
	case byBytes:
		return cmp.Compare(a.bytes(), b.bytes())
	case byClients:
		return cmp.Compare(a.clients, b.clients)
	case byFlows:
		return cmp.Compare(a.flows, b.flows)
	case byLast:
		return cmp.Compare(a.last, b.last)
	case byPort:
		return cmp.Or(cmp.Compare(a.id.port, b.id.port), cmp.Compare(a.id.proto, b.id.proto))
	}
	return slices.Compare(a.id.client[:], b.id.client[:])
}

// page answers a query.
type page struct {
	query query
	rows  []row // in order
	all   uint64
}

// gauge is how the whole fares at a moment.
type gauge struct {
	at         time.Time
	status     Status // texts are clean
	rate, pace float64
	past       []float32
	resetAt    time.Time
	leftOut    uint64 // flows beyond what the tally can remember
	forgotten  uint64 // ports and pairs beyond it
	atLeast    bool   // numbers of clients and servers are lower bounds
}

// collector fills a page: flows as they are read, ports and pairs from their
// accounts.
type collector struct {
	query   query
	match   *matcher
	top     top
	scratch row
	// marked are the ports or pairs that have a flow which the filter takes.
	marked map[rowID]struct{}
}

func newCollector(q query, m *matcher) *collector {
	return &collector{query: q, match: m, top: top{order: q.order, most: maxRows}, marked: map[rowID]struct{}{}}
}

// needsFlows reports a query that accounts alone do not answer.
func (c *collector) needsFlows() bool { return c.query.view == flows || c.match.narrows() }

// take looks at one flow.
func (c *collector) take(f *flow.Flow, rate [2]float64) {
	switch {
	case c.query.view != flows:
		c.mark(f)
	case c.query.exact:
		if flowID(f) == c.query.scope {
			c.offerFlow(f, rate)
		}
	case c.query.scope.holds(f) && c.match.takesFlow(f):
		if c.top.refuses(f, rate) {
			return
		}
		c.offerFlow(f, rate)
	}
}

func (c *collector) mark(f *flow.Flow) {
	if !c.match.narrows() || !c.match.takesFlow(f) {
		return
	}
	if c.query.view == ports {
		c.marked[portID(f)] = struct{}{}
	} else if len(c.marked) < 2*keepAccounts {
		c.marked[pairID(f)] = struct{}{}
	}
}

func (c *collector) offerFlow(f *flow.Flow, rate [2]float64) {
	r := &c.scratch
	r.id, r.total, r.rate, r.last = flowID(f), volumes(f), rate, f.Last
	if kept := c.top.offer(r); kept != nil {
		own := *f
		kept.flow = &own
	}
}

// accounts offers those of a ledger that the query asks for.
func (c *collector) accounts(l *ledger) {
	for i := range l.accounts {
		a := &l.accounts[i]
		if _, marked := c.marked[a.id]; !marked && !c.match.takesRow(a.id, a.service) {
			continue
		}
		c.scratch = row{id: a.id, total: a.total, rate: a.rate, pace: a.pace, flows: a.flows,
			clients: a.clients, servers: a.servers, last: a.last, service: a.service}
		c.top.offer(&c.scratch)
	}
}

// page closes the collection.
func (c *collector) page(l *ledger) page {
	p := page{query: c.query, all: c.top.all}
	for _, r := range c.top.sorted() {
		if c.query.view == flows {
			r.service = c.match.serviceOf(portID(r.flow))
		} else if a := l.get(r.id); a != nil {
			r.past = a.past.values()
		}
		p.rows = append(p.rows, *r)
	}
	return p
}

// top keeps the rows that come first: a heap with the last of them on top.
type top struct {
	order order
	most  int
	heap  []*row
	all   uint64 // how many were offered
}

// refuses counts a flow that certainly is not among the first.
func (t *top) refuses(f *flow.Flow, rate [2]float64) bool {
	if len(t.heap) < t.most || t.order.key == byAddress {
		return false
	}
	last := t.heap[0]
	var c int
	switch t.order.key {
	case byRate:
		c = cmp.Compare(rate[0]+rate[1], last.bothWays())
	case byPackets:
		c = cmp.Compare(f.PacketsToServer+f.PacketsToClient, last.packets())
	case byBytes:
		c = cmp.Compare(f.BytesToServer+f.BytesToClient, last.bytes())
	case byPort:
		c = cmp.Compare(f.ServerPort, last.id.port)
	case byLast:
		c = cmp.Compare(f.Last, last.last)
	}
	if !t.order.up {
		c = -c
	}
	if c > 0 {
		t.all++
	}
	return c > 0
}

// offer copies the row if it is among the first, and gives the copy.
func (t *top) offer(r *row) *row {
	t.all++
	if len(t.heap) < t.most {
		kept := *r
		t.heap = append(t.heap, &kept)
		t.up(len(t.heap) - 1)
		return &kept
	}
	if t.order.compare(r, t.heap[0]) >= 0 {
		return nil
	}
	kept := t.heap[0]
	*kept = *r
	t.down(0)
	return kept
}

func (t *top) up(i int) {
	for i > 0 {
		parent := (i - 1) / 2
		if t.order.compare(t.heap[i], t.heap[parent]) <= 0 {
			return
		}
		t.heap[i], t.heap[parent] = t.heap[parent], t.heap[i]
		i = parent
	}
}

func (t *top) down(i int) {
	for {
		child := 2*i + 1
		if child >= len(t.heap) {
			return
		}
		if child+1 < len(t.heap) && t.order.compare(t.heap[child+1], t.heap[child]) > 0 {
			child++
		}
		if t.order.compare(t.heap[child], t.heap[i]) <= 0 {
			return
		}
		t.heap[i], t.heap[child] = t.heap[child], t.heap[i]
		i = child
	}
}

func (t *top) sorted() []*row {
	slices.SortFunc(t.heap, t.order.compare)
	return t.heap
}
