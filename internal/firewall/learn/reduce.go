package learn

import (
	"slices"
)

// How far merging may go. What a merge opens are doors between known hosts that
// its parts did not open.
const (
	// freely: as a share of the doors that the smaller part opens; such a merge
	// is made in any case: a person reads one rule for two.
	freely = 0.25
	// budget is how many doors may be opened to come down to DefaultMaxRules,
	// as a multiple of all pairs of known hosts: 20 ports of 65536 from each to
	// each. Beyond that a longer file is better than a wider one.
	budget = 20
	// sparing is the share of flows that may be left out rather than merged.
	sparing = 0.002
)

// price is what a merge opens: as a share of the doors of the smaller part, and
// in doors.
type price struct{ share, doors float64 }

const never = 1e300

// merging holds cells and the price of every merge of two.
type merging struct {
	e     *evidence
	cells []*cell
	cost  [][]price // [i][j] with j < i
}

func (e *evidence) merging(cells []*cell) *merging {
	m := &merging{e: e}
	for _, c := range cells {
		m.push(c)
	}
	return m
}

func (m *merging) push(c *cell) {
	line := make([]price, len(m.cells))
	for j, o := range m.cells {
		line[j] = m.between(c, o)
	}
	m.cells, m.cost = append(m.cells, c), append(m.cost, line)
}

func (m *merging) between(a, b *cell) price {
	if !m.e.mergeable(a, b) {
		return price{never, never}
	}
	return m.e.cost(a, b)
}

// cheapest finds the merge that opens least, by share or by doors.
func (m *merging) cheapest(by func(price) float64) (i, j int, cost price) {
	cost = price{never, never}
	for a := range m.cells {
		for b, c := range m.cost[a] {
			if by(c) < by(cost) {
				i, j, cost = a, b, c
			}
		}
	}
	return i, j, cost
}

func byShare(p price) float64 { return p.share }
func byDoors(p price) float64 { return p.doors }

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
	m.free()
	if most := e.mostRules(); most > 0 {
		m.force(max(most-e.wantDead(m.cells, most), 1))
	}
	slices.SortFunc(m.cells, e.compareCells)
	for _, c := range m.cells {
		e.gather(c)
	}
	return m.cells
}

// mostRules is how many permits there may be beside the policy's own rules; 0:
// no limit.
func (e *evidence) mostRules() int {
	switch most := e.opt.MaxRules; {
	case most < 0:
		return 0
	case most == 0:
		return DefaultMaxRules - e.statedRules()
	default:
		return max(most-e.statedRules(), 1)
	}
}

func (e *evidence) statedRules() int {
	return len(e.opt.Policy.Operators) + len(e.opt.Policy.Protected)
}

// free makes the merges that open next to nothing.
func (m *merging) free() {
	limit := freely
	if m.e.opt.Tightness >= 0.95 {
		limit = 0
	}
	for {
		i, j, cost := m.cheapest(byShare)
		if cost.share > limit {
			return
		}
		m.merge(i, j)
	}
}

// force comes down to so many cells; short of that where the budget ends and
// nobody asked for the number.
func (m *merging) force(most int) {
	left := never
	if m.e.opt.MaxRules == 0 {
		left = budget * float64(len(m.e.known)) * float64(len(m.e.known))
	}
	if m.e.opt.Tightness >= 0.95 {
		left = 0
	}
	for len(m.cells) > max(most, 1) {
		i, j, cost := m.cheapest(byDoors)
		switch {
		case cost.share > 0.5 && m.dropLightest():
		case cost.doors < never && cost.doors <= left:
			left -= max(cost.doors, 0)
			m.merge(i, j)
		case m.e.opt.MaxRules > 0:
			last := m.lightest()
			m.e.tooLight(m.cells[last])
			m.drop(last)
		default:
			return
		}
	}
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
func (m *merging) dropLightest() bool {
	i := m.lightest()
	c := m.cells[i]
	if float64(m.e.report.TooLight+c.stat.ok) > sparing*float64(m.e.total.ok) {
		return false
	}
	m.e.tooLight(c)
	m.drop(i)
	return true
}
