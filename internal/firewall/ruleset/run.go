package ruleset

import (
	"fmt"
	"slices"
)

// item is a rule, or a run of rules taken at once.
type item struct {
	rule *Rule
	run  *run
}

// run is a list of consecutive rules that are alike but for the values of one
// field, and that all decide at once: a list of banned addresses, of open
// ports. Taken together they cost one look instead of one each.
type run struct {
	field  Field
	others All
	rules  []*Rule
	labels []label // by value: which rule decides it
	ways   []way
	all    Set
	guard  guard
}

// label says that a rule of the run decides the values of an interval.
type label struct {
	Interval
	rule int
}

// way is one verdict that rules of the run give, and for which values.
type way struct {
	Decide
	values Set
	rules  int
}

// shortestRun is how many rules make a run worth having.
const shortestRun = 16

// compile makes the items of a chain.
func (ch *Chain) compile() {
	ch.items = nil
	var rules []*Rule
	for _, r := range ch.Rules {
		if !r.guard.idle {
			rules = append(rules, r)
		}
	}
	for i := 0; i < len(rules); {
		n, at := runLength(rules[i:])
		if n < shortestRun {
			ch.items = append(ch.items, item{rule: rules[i]})
			i++
			continue
		}
		ch.items = append(ch.items, item{run: newRun(rules[i:i+n], at)})
		i += n
	}
}

// runLength counts how many rules from the first are alike but for the match
// at one place.
func runLength(rules []*Rule) (n, at int) {
	if len(rules) < 2 {
		return 1, 0
	}
	first, ok := plain(rules[0])
	second, ok2 := plain(rules[1])
	if !ok || !ok2 {
		return 1, 0
	}
	if at = differAt(first, second); at < 0 {
		return 1, 0
	}
	for n = 2; n < len(rules); n++ {
		ms, ok := plain(rules[n])
		if !ok || !alike(first, ms, at) {
			break
		}
	}
	return n, at
}

// plain gives a rule's matches when they are comparisons of whole fields and
// a verdict follows that ends the packet's way through the chain.
func plain(r *Rule) ([]In, bool) {
	var out []In
	for i, s := range r.Steps {
		switch s := s.(type) {
		case Match:
			in, ok := s.Expr.(In)
			if !ok || in.Mask != (Value{}) || in.Field == Chance {
				return nil, false
			}
			out = append(out, in)
		case Decide:
			last := i == len(r.Steps)-1
			return out, last && !s.Final && (s.Verdict == Accept || s.Verdict == Drop || s.Verdict == Return)
		default:
			return nil, false
		}
	}
	return nil, false
}

// differAt is the one place at which two lists of matches have other values
// of the same field; -1 when there is not exactly one.
func differAt(a, b []In) int {
	at := -1
	if len(a) != len(b) {
		return -1
	}
	for i := range a {
		switch {
		case a[i].Field != b[i].Field:
			return -1
		case !a[i].Set.Equal(b[i].Set):
			if at >= 0 {
				return -1
			}
			at = i
		}
	}
	return at
}

func alike(a, b []In, at int) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if a[i].Field != b[i].Field || i != at && !a[i].Set.Equal(b[i].Set) {
			return false
		}
	}
	return true
}

func newRun(rules []*Rule, at int) *run {
	first, _ := plain(rules[0])
	r := &run{field: first[at].Field, rules: rules}
	for i, m := range first {
		if i != at {
			r.others = append(r.others, m)
			r.guard.narrow(m)
		}
	}
	sets := make([]Set, len(rules))
	for i, rule := range rules {
		ms, _ := plain(rule)
		sets[i] = ms[at].Set
	}
	r.labels = labelAll(sets, 0)
	r.findWays()
	return r
}

// labelAll gives each value to the first rule that has it.
func labelAll(sets []Set, from int) []label {
	if len(sets) == 1 {
		out := make([]label, len(sets[0]))
		for i, iv := range sets[0] {
			out[i] = label{iv, from}
		}
		return out
	}
	half := len(sets) / 2
	left, right := labelAll(sets[:half], from), labelAll(sets[half:], from+half)
	taken := make(Set, len(left))
	for i, l := range left {
		taken[i] = l.Interval
	}
	for _, l := range right {
		for _, iv := range (Set{l.Interval}).Minus(taken) {
			left = append(left, label{iv, l.rule})
		}
	}
	slices.SortFunc(left, func(a, b label) int { return a.Lo.Compare(b.Lo) })
	return left
}

func (r *run) findWays() {
	rules := map[Decide]map[int]bool{}
	values := map[Decide]Set{}
	var order []Decide
	for _, l := range r.labels {
		d, _ := r.rules[l.rule].Steps[len(r.rules[l.rule].Steps)-1].(Decide)
		if rules[d] == nil {
			rules[d] = map[int]bool{}
			order = append(order, d)
		}
		rules[d][l.rule] = true
		values[d] = append(values[d], l.Interval)
		r.all = append(r.all, l.Interval)
	}
	r.all = normal(r.all)
	for _, d := range order {
		r.ways = append(r.ways, way{Decide: d, values: normal(values[d]), rules: len(rules[d])})
	}
}

// run takes classes through a run of rules.
func (w *walk) run(at place, r *run, in []*class) (next, back []*class) {
	for _, c := range in {
		if c.opaque[r.field] != "" {
			n, b := w.oneByOne(at, r, c)
			next, back = append(next, n...), append(back, b...)
			continue
		}
		yes, no := r.others.split(w, c)
		next = append(next, no...)
		for _, y := range yes {
			n, b := w.runClass(at, r, y)
			next, back = append(next, n...), append(back, b...)
		}
	}
	return next, back
}

func (w *walk) runClass(at place, r *run, c *class) (next, back []*class) {
	have := c.vals[r.field]
	for i := range r.ways {
		hit := have.And(r.ways[i].values)
		if len(hit) == 0 {
			continue
		}
		w.steps += 1 + len(hit)/64
		d := r.ways[i].Decide
		at.rule, d.Note = r.decider(hit, &r.ways[i])
		here := at
		here.named = at.named || at.rule.guard.names
		_, _, b := w.decide(here, d, []*class{c.with(r.field, hit)})
		back = append(back, b...)
	}
	if rest := have.Minus(r.all); len(rest) > 0 {
		next = append(next, c.with(r.field, rest))
	}
	return next, back
}

// decider names the rule that decides the first of the values, and says how
// many others decide the rest.
func (r *run) decider(hit Set, w *way) (*Rule, string) {
	i, _ := slices.BinarySearchFunc(r.labels, hit[0].Lo, func(l label, v Value) int { return l.Hi.Compare(v) })
	first := r.labels[i]
	switch {
	case len(hit) == 1 && hit[0].Hi.Compare(first.Hi) <= 0:
		return r.rules[first.rule], ""
	case len(hit) == len(w.values) && w.rules > 1:
		return r.rules[first.rule], fmt.Sprintf("and %d rules like it", w.rules-1)
	case w.rules > 1:
		return r.rules[first.rule], "and rules like it"
	}
	return r.rules[first.rule], ""
}

// oneByOne takes a class through the rules of a run singly.
func (w *walk) oneByOne(at place, r *run, c *class) (next, back []*class) {
	next = []*class{c}
	for _, rule := range r.rules {
		here := at
		here.rule, here.named = rule, at.named || rule.guard.names
		var out []*class
		next, out = w.rule(here, next)
		back = append(back, out...)
	}
	return next, back
}
