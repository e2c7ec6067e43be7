package learn

import (
	"slices"
)

// mostCells are compared with each other; of more, the lightest are left out
// (they are far below one flow in a thousand each).
const mostCells = 400

// The internet counts as so many hosts; those of its hosts that a cell names
// count one by one.
const farHosts = 250

func (e *evidence) endWeight(x *end) float64 {
	return max(e.weights.of(x.hosts)+x.farWeight(), minWeight)
}

func (x *end) farWeight() float64 {
	if x.wide {
		return farHosts
	}
	return float64(min(x.named, farHosts))
}

func (e *evidence) unionWeight(x, y *end) float64 {
	far := max(x.farWeight(), y.farWeight())
	if !x.wide && !y.wide && !x.area.equal(y.area) {
		far = min(x.farWeight()+y.farWeight(), farHosts)
	}
	return max(e.weights.either(x.hosts, y.hosts)+far, minWeight)
}

// doors is how much a cell opens.
func (e *evidence) doors(c *cell) float64 {
	return e.endWeight(&c.from) * e.endWeight(&c.to) * e.portWeight(c.svcs)
}

// A range counts as so many ports: fewer than it has, for little listens there,
// and enough to keep it off servers that need it not.
const rangePorts = 15

// portWeight is how many ports services are.
func (e *evidence) portWeight(svcs []uint32) float64 {
	n := 0.0
	for _, id := range svcs {
		n++
		if e.list[id].hi > e.list[id].port {
			n += rangePorts
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
func (e *evidence) cost(a, b *cell) price {
	da, db := e.doors(a), e.doors(b)
	all := e.unionWeight(&a.from, &b.from) * e.unionWeight(&a.to, &b.to) * e.portWeight(unionIDs(a.svcs, b.svcs))
	more := all - da - db
	if n := e.opened(a, b); n > 0 {
		vain := vainPrice * e.vainShare(n)
		return price{more/min(da, db) + vain, more + vain*e.vainDoors()}
	}
	return price{more / min(da, db), more}
}

// vainDoors is how many doors it costs to open a two-thousandth of the
// attempts: with one in four hundred the budget is gone.
func (e *evidence) vainDoors() float64 {
	n := float64(len(e.known))
	return budget / 5 * n * n
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
	var out end
	hosts := make([]places, len(list))
	for i, x := range list {
		hosts[i] = x.hosts
		out.far, out.wide = out.far || x.far, out.wide || x.wide
		out.named += x.named
		out.area = append(out.area, x.area...)
	}
	out.hosts = union(hosts...)
	out.area = out.area.normal()
	for _, x := range list {
		if x.area.equal(out.area) {
			out.text = x.text
			break
		}
	}
	return out
}

// mergeSame joins cells that have both ends, or service and one end, the same:
// that opens nothing, and many cells become few in one pass each.
func (e *evidence) mergeSame(cells []*cell) []*cell {
	keys := []func(c *cell) string{
		func(c *cell) string { return e.svcKey(c) + "|" + endKey(&c.to) },
		func(c *cell) string { return e.svcKey(c) + "|" + endKey(&c.from) },
		func(c *cell) string {
			return string(rune(e.list[c.svcs[0]].proto)) + e.kind(c) + endKey(&c.from) + "|" + endKey(&c.to)
		},
	}
	if e.asking { // a question is about one service
		keys = keys[:2]
	}
	for _, key := range keys {
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
	s := ""
	for _, r := range x.area {
		s += r.String() + " "
	}
	return s
}

func (e *evidence) tooLight(c *cell) {
	e.report.TooLight += c.stat.ok
	e.gather(c)
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
