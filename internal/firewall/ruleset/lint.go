package ruleset

import (
	"slices"
	"strconv"

	"github.com/portreeve/portreeve/internal/firewall/space"
)

func itoa64(n uint64) string { return strconv.FormatUint(n, 10) }

// planBudget is what may still be spent on one list.
type planBudget struct{ left int }

// Bounds of one question about one rule.
const (
	samples  = 12
	ruleWork = 2_000_000
)

// cover is what takes the packets of a region: the entries that do, and
// whether all was looked at.
type cover struct {
	all  bool // nothing is left
	done bool
	by   []int // entries
}

// judge says whether earlier rules take all packets of a rule; it reports a
// rule of which some are left.
func (l *linter) judge(ch *Chain, r *Rule) (alive bool) {
	probes := l.probes[r]
	if len(probes) == 0 {
		l.neverSeen(ch, r)
		return false
	}
	var takers []*ruling
	sure, met := true, false
	for _, p := range probes {
		region := p.within(p.look.boxes)
		met = met || len(region) > 0
		c := p.covered(region, p.look.at, nil)
		if !c.done {
			l.left++
			return false
		}
		if !c.all {
			return true
		}
		for _, i := range c.by {
			takers = append(takers, &p.entries[i])
			sure = sure && !p.atoms(p.boxes[i])
		}
	}
	l.dead[r] = true
	by, trimmed := l.lines(takers), l.trimmers(ch, r)
	switch {
	case len(takers) == 0 && len(trimmed) == 0 && !met:
		l.rule(Redundant, ch, r, "no packet can meet its conditions", nil, sure)
	case len(trimmed) > 0 || !l.sameEffect(r, takers):
		l.rule(Shadowed, ch, r, "earlier rules take every packet that it matches", append(by, trimmed...), sure)
	default:
		l.rule(Redundant, ch, r, "earlier rules with the same effect take every packet that it matches", by, sure)
	}
	return false
}

// neverSeen is a rule that the walk through the chain never came to.
func (l *linter) neverSeen(ch *Chain, r *Rule) {
	l.dead[r] = true
	var by []int
	for _, p := range l.plans {
		if c := p.cut[r]; c != nil {
			by = append(by, c.Line)
		}
	}
	if len(by) > 0 {
		l.rule(Shadowed, ch, r, "an earlier rule takes every packet out of the chain", by, true)
		return
	}
	l.rule(Redundant, ch, r, "no packet can meet its conditions", nil, true)
}

// emptyChain reports a chain that no packet comes to: every rule that leads
// to it is one that no packet meets.
func (l *linter) emptyChain(ch *Chain) bool {
	if ch.Hook != NoHook || len(ch.Bindings) > 0 || !ch.open && slices.Contains(l.set.roots(), ch) {
		return false
	}
	found := false
	for _, from := range l.set.Chains {
		for _, r := range from.Rules {
			if !slices.Contains(r.targets(), ch) || !l.chains[from] {
				continue
			}
			found = true
			if !l.unmet(r) {
				return false
			}
		}
	}
	return found
}

// unmet reports that no packet meets a rule.
func (l *linter) unmet(r *Rule) bool {
	for _, p := range l.probes[r] {
		c := p.covered(p.within(p.look.boxes), p.look.at, nil)
		if !c.done || !c.all {
			return false
		}
	}
	return true
}

// within limits boxes to packets that there are.
func (p *plan) within(boxes []space.Box) []space.Box {
	out, ok := space.AndAll(boxes, p.all(), 10*mostBoxes)
	if !ok {
		return boxes
	}
	return out
}

// all is the universe, made once.
func (p *plan) all() []space.Box {
	if p.whole == nil {
		p.whole = p.universe()
	}
	return p.whole
}

// atoms reports a box that is limited by conditions that are no part of the
// packet.
func (p *plan) atoms(b space.Box) bool {
	return slices.ContainsFunc(b, func(d space.Dim) bool { return p.ax.info[d.Axis].atom != nil })
}

// covered finds whether the entries before one take all of a region. Most
// rules are not covered, and a few packets show it; the rest is exact.
func (p placed) covered(region []space.Box, at int, dead map[*Rule]bool) cover {
	c := cover{all: true, done: true}
	for _, b := range region {
		if p.sampled(b, at, dead) {
			return cover{done: true}
		}
	}
	for _, b := range region {
		if p.budget.left <= 0 {
			return cover{}
		}
		one := p.exact(b, p.earlier(b, at, dead))
		if c.by = append(c.by, one.by...); !one.done || !one.all {
			return one
		}
	}
	return c
}

// sampled reports that one of a few packets of the box comes as far as at.
func (p placed) sampled(b space.Box, at int, dead map[*Rule]bool) bool {
	point := make(space.Point, len(p.ax.sp))
	for i := range samples {
		p.ax.sp.Sample(point, b, uint64(i)*0x9e3779b97f4a7c15+uint64(at))
		if p.first(point, 0, dead) >= at {
			return true
		}
	}
	return false
}

// first is the first entry of a rule that is not dead.
func (p *plan) first(point space.Point, from int, dead map[*Rule]bool) int {
	for {
		i := p.index.First(point, from)
		if i == space.None || p.entries[i].rule == nil || !dead[p.entries[i].rule] {
			return i
		}
		from = i + 1
	}
}

// indexWork is what a question to the index costs beside its answer.
const indexWork = 200

// earlier lists the entries before one that have packets in common with a box
// and whose rules are not dead.
func (p placed) earlier(b space.Box, at int, dead map[*Rule]bool) []int {
	near := p.meeting(b)
	out := near[:0]
	for _, i := range near {
		if i >= at {
			break
		}
		if r := p.entries[i].rule; r == nil || !dead[r] {
			out = append(out, i)
		}
	}
	return out
}

// exact finds what a list of entries leaves of a box.
func (p placed) exact(b space.Box, ids []int) cover {
	if p.budget.left <= 0 {
		return cover{}
	}
	boxes := make([]space.Box, 0, 64)
	var near []int
	p.budget.left -= len(ids)
	for _, i := range ids {
		box := p.boxes[i]
		if !b.Meets(box) {
			continue
		}
		if b.Within(box) {
			return cover{all: true, done: true, by: []int{i}}
		}
		boxes, near = append(boxes, box), append(near, i)
	}
	budget := &space.Budget{Left: min(ruleWork, max(p.budget.left, 0))}
	before := budget.Left
	used := map[int]bool{}
	all := p.ax.sp.Rest(b, boxes, budget, func(i int) { used[near[i]] = true }, func(space.Box) bool { return false })
	p.budget.left -= before - budget.Left
	c := cover{all: all, done: !budget.Out}
	for i := range used {
		c.by = append(c.by, i)
	}
	slices.Sort(c.by)
	return c
}

// lines are the lines of entries' rules; a policy has none.
func (l *linter) lines(takers []*ruling) (out []int) {
	for _, e := range takers {
		if e.rule != nil {
			out = append(out, e.rule.Line)
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// trimmers are the lines of rules that took packets of a rule out of its
// chain undecided.
func (l *linter) trimmers(ch *Chain, r *Rule) (out []int) {
	for _, p := range l.plans {
		var own []space.Box
		for _, other := range ch.Rules {
			leaves := p.leaves[other]
			if other == r || p.failed != "" {
				break
			}
			if own == nil && len(leaves) > 0 { // the walk was in this chain, so its fields have axes
				own = p.matching(r)
			}
			if slices.ContainsFunc(leaves, func(b space.Box) bool { return slices.ContainsFunc(own, b.Meets) }) {
				out = append(out, other.Line)
			}
		}
	}
	return out
}

// matching is the region of a rule's leading matches by themselves.
func (f *flattener) matching(r *Rule) []space.Box {
	out, st := everything, f.intern(&state{})
	for _, s := range r.Steps {
		m, ok := s.(Match)
		if !ok {
			break
		}
		out = f.and(out, f.region(m.Expr, st))
	}
	return out
}

// effect is what an entry does, as far as removing a rule could change it.
func (e *ruling) effect() string {
	return itoa(int(e.verdict)) + strconv.FormatBool(e.ends) + e.st.key
}

// sameEffect reports that the rule itself would do what the takers do.
func (l *linter) sameEffect(r *Rule, takers []*ruling) bool {
	own := l.ownEffect(r)
	if own == "" {
		return false
	}
	return !slices.ContainsFunc(takers, func(e *ruling) bool { return e.effect() != own })
}

// ownEffect is the one thing that a rule does; "" when it is not one.
func (l *linter) ownEffect(r *Rule) string {
	own := ""
	for _, e := range l.rulings[r] {
		one := e.entries[e.at].effect()
		if own != "" && one != own {
			return ""
		}
		own = one
	}
	return own
}

// replaced looks whether later rules, or the policy, would do the same with
// every packet that a rule decides: both when the rule alone goes, and when
// all that is named goes with it.
func (l *linter) replaced(ch *Chain, r *Rule) {
	own := l.rulings[r]
	if len(own) == 0 || !l.decidesOnly(r) {
		return
	}
	var by []*ruling
	sure := true
	l.dead[r] = true // as if it were gone
	for _, e := range own {
		e.look()
		takers, same, done := e.without(map[*Rule]bool{r: true})
		if same && done {
			takers, same, done = e.without(l.dead)
		}
		if !done {
			l.left++
		}
		if !same || !done {
			delete(l.dead, r)
			return
		}
		by = append(by, takers...)
		sure = sure && !e.atoms(e.boxes[e.at])
	}
	lines := l.lines(by)
	why := "later rules do the same with every packet that it decides"
	if len(lines) == 0 {
		why = "the chain's default does the same with every packet that it decides"
	}
	l.rule(Redundant, ch, r, why, lines, sure)
}

// decidesOnly reports a rule that only matches and gives a verdict.
func (l *linter) decidesOnly(r *Rule) bool {
	for _, s := range r.Steps {
		switch s := s.(type) {
		case Match:
		case Decide:
			if s.Verdict != Accept && s.Verdict != Drop {
				return false
			}
		default:
			return false
		}
	}
	return true
}

// without finds what would become of an entry's packets if its rule, and
// those already dead, were gone.
func (e placedRuling) without(dead map[*Rule]bool) (takers []*ruling, same, done bool) {
	p := placed{plan: e.plan, budget: e.budget}
	own := p.entries[e.at].effect()
	point := make(space.Point, len(p.ax.sp))
	for _, b := range e.region {
		for i := range samples {
			p.ax.sp.Sample(point, b, uint64(i)*0x9e3779b97f4a7c15+uint64(e.at))
			k := p.first(point, 0, dead)
			if k < e.at {
				continue
			}
			if k == space.None || p.entries[k].effect() != own {
				return nil, false, true
			}
			if len(takers) == 0 || takers[len(takers)-1] != &p.entries[k] {
				takers = append(takers, &p.entries[k])
			}
		}
	}
	for i, b := range e.region {
		if e.near[i] == nil {
			if p.budget.left <= 0 {
				return nil, false, false
			}
			e.near[i] = p.meeting(b)
		}
		same, done := p.unlike(b, e.near[i], e.at, own, dead)
		if !same || !done {
			return nil, same, done
		}
	}
	return takers, true, true
}

// meeting lists the entries that have packets in common with a box.
func (p placed) meeting(b space.Box) []int {
	near := p.index.AllMeeting(b)
	p.budget.left -= len(near) + indexWork
	return near
}

// look finds the packets that an entry is about.
func (e *placedRuling) look() {
	e.region = e.within([]space.Box{e.boxes[e.at]})
	e.near = make([][]int, len(e.region))
}

// unlike looks for a packet of the box that an entry after at would decide in
// another way than own: one that no entry before that one takes.
func (p placed) unlike(b space.Box, near []int, at int, own string, dead map[*Rule]bool) (same, done bool) {
	var before []int
	for _, i := range near {
		e := &p.entries[i]
		box := p.boxes[i]
		if e.rule != nil && dead[e.rule] {
			continue
		}
		if i > at && e.effect() != own {
			part, _ := b.And(box)
			if c := p.exact(part, before); !c.done || !c.all {
				return false, c.done
			}
		}
		if b.Within(box) {
			return true, true
		}
		before = append(before, i)
	}
	return true, true
}
