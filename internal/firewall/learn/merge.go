package learn

import (
	"slices"
)

// How far merging may go. Cost is measured in doors between known hosts that
// a merged rule opens and its parts did not, as a share of the doors that the
// smaller part opens.
const (
	// freely: a merge that opens next to nothing is made in any case; a person
	// reads one rule for two.
	freely = 0.25
	// needed: what may be opened to come down to DefaultMaxRules. Beyond that a
	// longer file is better than a wider one.
	needed = 3.0
	// mostCells are compared with each other; of more, the lightest are left
	// out (they are far below one flow in a thousand each).
	mostCells = 400
	// sparing is the share of flows that may be left out rather than merged.
	sparing = 0.002
)

// The internet counts as so many hosts.
const farHosts = 30

func (x *end) weight() float64 {
	n := float64(x.hosts.count())
	if x.far {
		n += farHosts
	}
	return max(n, 1)
}

func unionWeight(x, y *end) float64 {
	n := float64(x.hosts.unionCount(y.hosts))
	if x.far || y.far {
		n += farHosts
	}
	return max(n, 1)
}

// doors is how much a cell opens.
func (e *evidence) doors(c *cell) float64 {
	return c.from.weight() * c.to.weight() * e.portWeight(c.svcs)
}

// portWeight counts a range as a few ports: its size says little about what
// listens there.
func (e *evidence) portWeight(svcs []uint32) float64 {
	n := 0.0
	for _, id := range svcs {
		n++
		if e.list[id].hi > e.list[id].port {
			n += 3
		}
	}
	return n
}

// mergeable: one protocol, one family, and no two dynamic protocols in one
// rule, whose helper belongs to all its ports.
func (e *evidence) mergeable(a, b *cell) bool {
	x, y := e.list[a.svcs[0]], e.list[b.svcs[0]]
	if x.proto != y.proto || a.v4 != b.v4 || x.from != y.from {
		return false
	}
	ka, kb := e.kind(a), e.kind(b)
	return ka == kb || ka == "" || kb == ""
}

func (e *evidence) kind(c *cell) string {
	for _, id := range c.svcs {
		if k := e.list[id].kind; k != "" {
			return k
		}
	}
	return ""
}

// cost of a merge: doors opened, as a share of what the smaller part opens. A
// share of both would let a small rule swell with a large one: web servers that
// need one port of a domain controller would get all that offices need.
func (e *evidence) cost(a, b *cell) float64 {
	da, db := e.doors(a), e.doors(b)
	all := unionWeight(&a.from, &b.from) * unionWeight(&a.to, &b.to) * e.portWeight(unionIDs(a.svcs, b.svcs))
	return (all - da - db) / min(da, db)
}

func unionIDs(a, b []uint32) []uint32 {
	out := append(slices.Clone(a), b...)
	slices.Sort(out)
	return slices.Compact(out)
}

// join makes one cell of several.
func (e *evidence) join(parts ...*cell) *cell {
	c := &cell{v4: parts[0].v4, parts: parts}
	from, to := make([]*end, len(parts)), make([]*end, len(parts))
	for i, p := range parts {
		from[i], to[i] = &p.from, &p.to
		c.svcs = append(c.svcs, p.svcs...)
		c.stat.merge(&p.stat)
		for _, w := range p.why {
			if len(c.why) < 3 && !slices.Contains(c.why, w) {
				c.why = append(c.why, w)
			}
		}
	}
	slices.SortFunc(c.svcs, func(x, y uint32) int { return compareServices(e.list[x], e.list[y]) })
	c.svcs = slices.Compact(c.svcs)
	c.from, c.to = joinEnds(from), joinEnds(to)
	return c
}

func joinEnds(list []*end) end {
	out := end{hosts: slices.Clone(list[0].hosts)}
	for _, x := range list {
		out.far, out.any = out.far || x.far, out.any || x.any
		out.area = append(out.area, x.area...)
		for i := range x.hosts {
			out.hosts[i] |= x.hosts[i]
		}
	}
	if out.area = out.area.normal(); out.any {
		out.area = nil
	}
	for _, x := range list {
		if x.any == out.any && x.area.equal(out.area) {
			out.text = x.text
			break
		}
	}
	return out
}

// merging holds cells and the cost of every merge of two.
type merging struct {
	e     *evidence
	cells []*cell
	cost  [][]float64 // [i][j] with j < i
}

func (e *evidence) merging(cells []*cell) *merging {
	m := &merging{e: e}
	for _, c := range cells {
		m.push(c)
	}
	return m
}

func (m *merging) push(c *cell) {
	line := make([]float64, len(m.cells))
	for j, o := range m.cells {
		line[j] = m.between(c, o)
	}
	m.cells, m.cost = append(m.cells, c), append(m.cost, line)
}

const never = 1e300

func (m *merging) between(a, b *cell) float64 {
	if !m.e.mergeable(a, b) {
		return never
	}
	return m.e.cost(a, b)
}

// cheapest finds the merge that opens least.
func (m *merging) cheapest() (i, j int, cost float64) {
	cost = never
	for a := range m.cells {
		for b, c := range m.cost[a] {
			if c < cost {
				i, j, cost = a, b, c
			}
		}
	}
	return i, j, cost
}

func (m *merging) drop(i int) {
	m.cells, m.cost = slices.Delete(m.cells, i, i+1), slices.Delete(m.cost, i, i+1)
	for a := i; a < len(m.cost); a++ {
		m.cost[a] = slices.Delete(m.cost[a], i, i+1)
	}
}

// merge joins two cells; j is below i.
func (m *merging) merge(i, j int) {
	c := m.e.join(m.cells[j], m.cells[i])
	m.drop(i)
	m.drop(j)
	m.push(c)
}

// reduce brings the cells down to few: by merges that open next to nothing,
// then, while there are too many, by leaving out the lightest within its
// allowance or by the merge that opens least.
func (e *evidence) reduce(cells []*cell) []*cell {
	slices.SortFunc(cells, e.compareCells)
	cells = e.mergeSame(cells)
	slices.SortFunc(cells, e.compareCells)
	for len(cells) > mostCells {
		e.tooLight(cells[len(cells)-1])
		cells = cells[:len(cells)-1]
	}
	m := e.merging(cells)
	most, limit := e.opt.MaxRules, never
	if most == 0 {
		most, limit = DefaultMaxRules, needed
	}
	if most > 0 { // the policy's own rules are counted too
		most = max(most-len(e.opt.Policy.Operators)-len(e.opt.Policy.Protected), 1)
	}
	if e.opt.Tightness >= 0.95 {
		limit = min(limit, 0)
	}
	for {
		i, j, cost := m.cheapest()
		switch {
		case cost <= freely && e.opt.Tightness < 0.95 || cost <= 0:
			m.merge(i, j)
			continue
		case most < 0 || len(m.cells) <= most:
		case cost > 0.5 && e.dropLightest(m):
			continue
		case cost < never && cost <= limit:
			m.merge(i, j)
			continue
		case e.opt.MaxRules > 0 && len(m.cells) > 1:
			last := m.lightest()
			e.tooLight(m.cells[last])
			m.drop(last)
			continue
		}
		break
	}
	slices.SortFunc(m.cells, e.compareCells)
	for _, c := range m.cells {
		c.gather()
	}
	return m.cells
}

// mergeSame joins cells that have both ends, or service and one end, the same:
// that opens nothing, and many cells become few in one pass each.
func (e *evidence) mergeSame(cells []*cell) []*cell {
	for _, key := range []func(c *cell) string{
		func(c *cell) string { return e.svcKey(c) + "|" + endKey(&c.to) },
		func(c *cell) string { return e.svcKey(c) + "|" + endKey(&c.from) },
		func(c *cell) string {
			return string(rune(e.list[c.svcs[0]].proto)) + e.kind(c) + endKey(&c.from) + "|" + endKey(&c.to)
		},
	} {
		cells = e.mergeBy(cells, key)
	}
	return cells
}

func (e *evidence) mergeBy(cells []*cell, key func(*cell) string) []*cell {
	at := map[string]int{}
	var groups [][]*cell
	for _, c := range cells {
		k := key(c)
		i, ok := at[k]
		if !ok || !e.mergeable(groups[i][0], c) {
			i = len(groups)
			at[k], groups = i, append(groups, nil)
		}
		groups[i] = append(groups[i], c)
	}
	out := make([]*cell, len(groups))
	for i, g := range groups {
		if out[i] = g[0]; len(g) > 1 {
			out[i] = e.join(g...)
		}
	}
	return out
}

func (e *evidence) svcKey(c *cell) string {
	s := ""
	for _, id := range c.svcs {
		s += e.label(e.list[id]) + ","
	}
	return s
}

func endKey(x *end) string {
	if x.any {
		return "any"
	}
	s := ""
	for _, r := range x.area {
		s += r.String() + " "
	}
	return s
}

func (m *merging) lightest() int {
	at := 0
	for i, c := range m.cells {
		if c.stat.ok < m.cells[at].stat.ok {
			at = i
		}
	}
	return at
}

// dropLightest leaves out the lightest cell while its flows and those left out
// before are few of all.
func (e *evidence) dropLightest(m *merging) bool {
	i := m.lightest()
	c := m.cells[i]
	if float64(e.report.TooLight+c.stat.ok) > sparing*float64(e.total.ok) {
		return false
	}
	e.tooLight(c)
	m.drop(i)
	return true
}

func (e *evidence) tooLight(c *cell) {
	e.report.TooLight += c.stat.ok
	c.gather()
	for _, r := range c.rows {
		if len(e.report.LeftOut) >= mostLeftOut {
			return
		}
		e.report.LeftOut = append(e.report.LeftOut, LeftOut{
			Service: e.label(e.list[r.svc]), Client: e.hosts[r.client], Server: e.hosts[r.server], Flows: r.ok,
			Why: "too few of all flows for a rule of its own within the most rules asked for",
		})
	}
}
