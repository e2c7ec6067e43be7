package ruleset

import (
	"slices"

	"github.com/portreeve/portreeve/internal/firewall/space"
)

// Bounds of flattening: how many boxes one region, and the whole list, may
// have before it is given up.
const (
	mostBoxes   = 20_000
	mostEntries = 600_000
	// mostRemembered bounds the regions that a chain is known to have seen.
	mostRemembered = 256
	mostWork       = 60_000_000 // looks at one box
)

// flattener turns chains with their jumps, returns and rewrites into one
// first-match list. It walks the rules once with the region of packets that
// may be there (live); packets that earlier entries decide stay in it, since
// the list's order sees to them. Only what leaves a chain undecided (a return,
// a rewrite) is taken out of the region.
type flattener struct {
	ax      *axes
	entries []ruling
	probes  []probe
	states  map[string]*state
	domains space.Box // of the axes that were drawn
	// strict: conditions that hold for a first packet only are open. local:
	// the packets are this host's own.
	strict, local bool
	// shared: what is open without a name (a rate, chance, another program) is
	// the same in two lists that are compared where the rules' texts are.
	shared map[string]int
	now    *Rule  // the rule at work
	conn   uint64 // the connection state that the way is for
	final  bool   // the present base chain is the last: accepting is final
	passed []live
	path   []*Chain // being walked
	cut    map[*Rule]*Rule
	leaves map[*Rule][]space.Box // what rules take out of the chain undecided
	clean  map[visited][]space.Box
	draws  int
	loops  map[*Chain]bool
	work   int
	failed string
}

// ruling is one box of the list and what is done with it.
type ruling struct {
	box     space.Box
	verdict Verdict // Accept or Drop
	chain   *Chain
	rule    *Rule // nil for a policy
	note    string
	st      *state
	ends    bool // the list came to its end and has no default
}

// probe remembers where in the list a rule looked at packets, and at which.
type probe struct {
	boxes []space.Box
	at    int // number of entries before it
	chain *Chain
	rule  *Rule
}

// live is a region of packets in one state. Packets that strayed came to this
// state inside the chain: they are no longer among those it was entered with.
type live struct {
	cond    []space.Box
	st      *state
	strayed bool
}

// visited is a chain that packets in a state passed without a trace.
type visited struct {
	chain *Chain
	st    *state
}

func newFlattener(ax *axes) *flattener {
	f := &flattener{ax: ax, states: map[string]*state{}, cut: map[*Rule]*Rule{}, leaves: map[*Rule][]space.Box{},
		clean: map[visited][]space.Box{}, loops: map[*Chain]bool{}}
	return f
}

func (f *flattener) fail() {
	if f.failed == "" {
		f.failed = "the rules divide packets in more ways than are followed"
	}
}

// spend counts work, and gives up where there is too much.
func (f *flattener) spend(n int) {
	if f.work += n; f.work > mostWork {
		f.fail()
	}
}

func (f *flattener) emit(boxes []space.Box, e ruling) {
	for _, b := range boxes {
		e.box = b
		f.entries = append(f.entries, e)
	}
	if len(f.entries) > mostEntries {
		f.fail()
	}
}

// frame is one walk through a chain: out collects strayed packets that leave
// it, away everything that does not come back as it came.
type frame struct {
	chain *Chain
	lives []live
	out   []live
	away  []space.Box
}

// chain walks packets through a chain: same comes back as it went in (or was
// decided by entries of the list), changed comes back in other states.
func (f *flattener) chain(ch *Chain, in live) (same []space.Box, changed []live) {
	switch {
	case f.failed != "" || len(in.cond) == 0:
		return in.cond, nil
	case slices.Contains(f.path, ch) || len(f.path) > mostDepth:
		f.loops[ch] = true
		f.undecided(&step{frame: &frame{chain: ch}, from: in, cur: in.cond, st: in.st}, "the chain "+ch.Title+" leads back to itself", false)
		return nil, nil
	case f.again(ch, in):
		return in.cond, nil
	}
	caller := f.now
	defer func() { f.now = caller }()
	f.path = append(f.path, ch)
	drawn := f.draws
	fr := &frame{chain: ch, lives: []live{{in.cond, in.st, false}}}
	f.rules(fr)
	f.path = f.path[:len(f.path)-1]
	for _, l := range fr.lives {
		if l.strayed {
			fr.out = append(fr.out, l)
		}
	}
	if len(fr.away) == 0 && f.draws == drawn && len(f.clean[visited{ch, in.st}]) < mostRemembered {
		f.clean[visited{ch, in.st}] = append(f.clean[visited{ch, in.st}], in.cond...)
	}
	if len(fr.away) == 0 {
		return in.cond, fr.out
	}
	return f.minus(in.cond, fr.away), fr.out
}

// again reports a visit that adds nothing: the same packets were there
// before, and what the chain decides of them is in the list already.
func (f *flattener) again(ch *Chain, in live) bool {
	before := f.clean[visited{ch, in.st}]
	f.spend(len(in.cond))
	for _, b := range in.cond {
		if !slices.ContainsFunc(before, b.Within) {
			return false
		}
	}
	return true
}

func (f *flattener) rules(fr *frame) {
	for _, r := range fr.chain.Rules {
		if len(fr.lives) == 0 || f.failed != "" {
			break
		}
		var next []live
		for _, l := range fr.lives {
			next = append(next, f.rule(fr, r, l)...)
		}
		fr.lives = next
	}
}

// step is one rule at work on packets of one state: cur are those that are
// still in the rule, gone those of the chain that will not see its next rule
// as they were.
type step struct {
	*frame
	rule *Rule
	from live
	cur  []space.Box
	st   *state
	gone []space.Box
	next []live
	seen bool // a probe was noted
}

// rule takes packets through a rule and gives those that may see the next.
func (f *flattener) rule(fr *frame, r *Rule, l live) []live {
	s := &step{frame: fr, rule: r, from: l, cur: l.cond, st: l.st}
	f.now = r
	f.spend(1 + len(l.cond))
	for _, one := range r.Steps {
		if len(s.cur) == 0 || f.failed != "" {
			break
		}
		if m, ok := one.(Match); ok {
			f.match(s, m.Expr)
			continue
		}
		f.probe(s)
		f.act(s, one)
	}
	if len(r.Steps) == 0 || len(s.cur) > 0 {
		f.probe(s)
	}
	f.stay(s, s.cur)
	rest := l.cond
	if len(s.gone) > 0 {
		rest = f.minus(l.cond, s.gone)
		f.leaves[r] = append(f.leaves[r], s.gone...)
		if len(rest) == 0 && len(s.next) == 0 {
			f.cutAfter(fr.chain, r)
		}
	}
	if len(rest) > 0 {
		s.next = append([]live{{rest, l.st, l.strayed}}, s.next...)
	}
	return s.next
}

// cutAfter notes that no packet gets past a rule of a chain, this time.
func (f *flattener) cutAfter(ch *Chain, r *Rule) {
	i := slices.Index(ch.Rules, r)
	for _, later := range ch.Rules[i+1:] {
		if f.cut[later] == nil {
			f.cut[later] = r
		}
	}
}

func (f *flattener) probe(s *step) {
	if !s.seen {
		s.seen = true
		f.probes = append(f.probes, probe{boxes: s.cur, at: len(f.entries), chain: s.chain, rule: s.rule})
	}
}

// stay ends the rule for packets that see the chain's next rule: in their
// old state they never left it.
func (f *flattener) stay(s *step, boxes []space.Box) {
	if s.st != s.from.st && len(boxes) > 0 {
		s.next = append(s.next, live{boxes, s.st, true})
	}
}

func (f *flattener) match(s *step, e Expr) {
	meets := f.and(s.cur, f.region(e, s.st))
	if s.st != s.from.st { // those that fail go on in the state that the rule gave them
		f.stay(s, f.minus(s.cur, meets))
	}
	s.cur = meets
}

// become puts the rule's packets into another state.
func (f *flattener) become(s *step, st *state) {
	if st == s.st {
		return
	}
	f.leave(s, s.cur, true)
	s.st = st
}

// leave takes packets out of the chain for good, or for its caller.
func (f *flattener) leave(s *step, boxes []space.Box, away bool) {
	if s.st == s.from.st {
		s.gone = append(s.gone, boxes...)
		if away && !s.from.strayed {
			s.away = append(s.away, boxes...)
		}
	}
}

// act does a step that is no match.
func (f *flattener) act(s *step, one Step) {
	switch one := one.(type) {
	case Decide:
		s.cur = f.decide(s, one, s.cur)
	case Choose:
		f.choose(s, one)
	case Translate:
		f.rewrite(s, one)
	case Assign:
		f.become(s, f.assign(one, s.st))
	case Untrack:
		f.become(s, f.untrack(s.st))
	case Elsewhere:
		s.cur = f.undecided(s, one.Why, one.MayContinue)
	}
}

// decide gives a verdict to packets; on are those that stay in the rule.
func (f *flattener) decide(s *step, d Decide, cur []space.Box) (on []space.Box) {
	switch d.Verdict {
	case Continue:
		return cur
	case Accept:
		f.accept(s, d, cur)
	case Drop:
		f.emit(cur, ruling{verdict: Drop, chain: s.chain, rule: s.rule, note: d.Note, st: s.st})
	case Return:
		f.back(s, cur)
	case Jump:
		f.jump(s, d.Target, cur, false)
	case Goto:
		f.jump(s, d.Target, cur, true)
	}
	return nil
}

// accept ends the way of packets in the last base chain, and in others sends
// them on to the next.
func (f *flattener) accept(s *step, d Decide, cur []space.Box) {
	if f.final || d.Final {
		f.emit(cur, ruling{verdict: Accept, chain: s.chain, rule: s.rule, note: d.Note, st: s.st})
		return
	}
	f.passed = append(f.passed, live{cur, s.st, s.from.strayed || s.st != s.from.st})
	f.leave(s, cur, true)
}

// back returns packets to the caller of the chain.
func (f *flattener) back(s *step, boxes []space.Box) {
	if (s.from.strayed || s.st != s.from.st) && len(boxes) > 0 {
		s.out = append(s.out, live{boxes, s.st, true})
	}
	f.leave(s, boxes, false)
}

// jump walks packets through another chain; those that come back see the next
// rule, or leave this chain too (leaving).
func (f *flattener) jump(s *step, to *Chain, cur []space.Box, leaving bool) {
	same, changed := f.chain(to, live{cur, s.st, false})
	lost := cur
	if len(same) > 0 {
		lost = f.minus(cur, same)
	}
	if len(lost) > 0 {
		f.leave(s, lost, true)
	}
	if leaving {
		f.back(s, same)
		s.out = append(s.out, changed...)
		return
	}
	f.stay(s, same)
	s.next = append(s.next, changed...)
}

// choose gives the verdict of the first row that fits; what none fits ends
// the rule.
func (f *flattener) choose(s *step, c Choose) {
	if slices.Contains(c.Fields, Chance) {
		f.draw(s, c)
		return
	}
	rest := s.cur
	var on []space.Box
	for i := range c.Rows {
		if f.failed != "" {
			return
		}
		row := f.region(rowExpr(c.Fields, c.Rows[i].Sets), s.st)
		hit := f.and(rest, row)
		if len(hit) == 0 {
			continue
		}
		rest = f.minus(rest, row)
		on = append(on, f.decide(s, c.Rows[i].Decide, hit)...)
	}
	f.stay(s, rest)
	s.cur = on
}

// draw takes one of the rows by chance, or none.
func (f *flattener) draw(s *step, c Choose) {
	axis := f.choice(f.chance(s.st), len(c.Rows)+1)
	var on []space.Box
	for i := range c.Rows {
		on = append(on, f.decide(s, c.Rows[i].Decide, f.and(s.cur, f.box(axis, space.One(uint32(i)))))...)
	}
	f.stay(s, f.and(s.cur, f.box(axis, space.One(uint32(len(c.Rows))))))
	s.cur = on
}

// choice makes an axis for what is decided anew at every use.
func (f *flattener) choice(a Atom, ways int) int32 {
	f.draws++
	if f.shared == nil {
		return f.ax.choice(a, ways)
	}
	key := a.Why
	if f.now != nil {
		key += "\x00" + f.now.Text
	}
	f.shared[key]++
	key += "\x00" + itoa(f.shared[key]) + "\x00" + itoa(ways)
	i, ok := f.ax.atoms[key]
	if !ok {
		i = f.ax.choice(a, ways)
		f.ax.atoms[key] = i
	}
	return i
}

// undecided lets something outside decide: all ways are possible. on are the
// packets that go on.
func (f *flattener) undecided(s *step, why string, mayContinue bool) (on []space.Box) {
	axis := f.choice(Atom{Why: why, Unknown: true}, 3)
	ways := space.Spans{{Lo: 1, Hi: 2}}
	if mayContinue {
		ways = space.One(1)
		on = f.and(s.cur, f.box(axis, space.One(2)))
	}
	dropped := f.and(s.cur, f.box(axis, ways))
	f.accept(s, Decide{Note: why}, f.and(s.cur, f.box(axis, space.One(0))))
	f.emit(dropped, ruling{verdict: Drop, chain: s.chain, rule: s.rule, note: why, st: s.st})
	return on
}
