package ruleset

import (
	"fmt"
	"net/netip"
	"testing"

	"pgregory.net/rapid"
)

// twin walks one packet through the rules in the plainest way: no classes, no
// guards, no runs. It is the oracle of the symbolic walk.
type twin struct {
	set   *RuleSet
	host  *Host
	vals  map[Field]Value // of the packet; a missing field is one it does not have
	truth map[string]bool // of atoms

	untracked, tracked, rewritten bool
	target                        *Target
}

type fate int

const (
	goOn fate = iota
	passes
	stops
	returns
)

func (p *twin) holds(e Expr) bool {
	switch e := e.(type) {
	case In:
		v, ok := p.vals[e.Field]
		if e.Mask != (Value{}) {
			v = v.And(e.Mask)
		}
		return ok && has(e.Set, v)
	case Tuple:
		for _, row := range e.Rows {
			if p.inRow(e.Fields, row) {
				return true
			}
		}
		return false
	case All:
		for _, part := range e {
			if !p.holds(part) {
				return false
			}
		}
		return true
	case Any:
		for _, part := range e {
			if p.holds(part) {
				return true
			}
		}
		return false
	case Not:
		return !p.holds(e.Expr)
	case Const:
		return e.Holds
	case Atom:
		return p.truth[e.Key]
	}
	panic(fmt.Sprintf("expression %T", e))
}

// has looks at every interval.
func has(s Set, v Value) bool {
	for _, iv := range s {
		if iv.Lo.Compare(v) <= 0 && v.Compare(iv.Hi) <= 0 {
			return true
		}
	}
	return false
}

func (p *twin) inRow(fs []Field, row []Set) bool {
	for i, f := range fs {
		v, ok := p.vals[f]
		if !ok || !has(row[i], v) {
			return false
		}
	}
	return true
}

// chain gives passes, stops, or returns (also at its end).
func (p *twin) chain(ch *Chain) fate {
	for _, r := range ch.Rules {
		switch f := p.rule(r); f {
		case goOn:
		default:
			return f
		}
	}
	return returns
}

func (p *twin) rule(r *Rule) fate {
	for _, s := range r.Steps {
		f, on := p.take(s)
		if !on {
			return f
		}
	}
	return goOn
}

// take does one step; on: the rule goes on with its next step.
func (p *twin) take(s Step) (f fate, on bool) {
	switch s := s.(type) {
	case Match:
		return goOn, p.holds(s.Expr)
	case Decide:
		return p.decide(s)
	case Choose:
		for _, row := range s.Rows {
			if p.inRow(s.Fields, row.Sets) {
				return p.decide(row.Decide)
			}
		}
		return goOn, false
	case Assign:
		p.assign(s)
	case Untrack:
		if !p.tracked {
			p.untracked = true
			p.vals[CtState] = Number(StateUntracked)
		}
	case Translate:
		return p.translate(s)
	}
	return goOn, true
}

func (p *twin) decide(d Decide) (fate, bool) {
	switch d.Verdict {
	case Accept:
		return passes, false
	case Drop:
		return stops, false
	case Return:
		return returns, false
	case Jump:
		if f := p.chain(d.Target); f != returns {
			return f, false
		}
		return goOn, false
	case Goto:
		return p.chain(d.Target), false
	}
	return goOn, true
}

func (p *twin) assign(s Assign) {
	if _, ok := p.vals[s.Field]; !ok && s.Field != Mark {
		return
	}
	if _, ok := p.vals[s.From]; !ok && s.Values == nil && s.Mask != (Value{}) {
		return
	}
	if s.Values != nil {
		p.vals[s.Field] = s.Values[0].Lo
		return
	}
	p.vals[s.Field] = p.vals[s.Field].And(s.Keep).Xor(p.vals[s.From].And(s.Mask)).Xor(s.Xor).And(s.Field.Max())
}

func (p *twin) translate(s Translate) (fate, bool) {
	old, oldPort := p.vals[DAddr], p.vals[DPort]
	to := s.To[0]
	if len(to.Addrs) > 0 {
		p.vals[DAddr] = to.Addrs[0].Lo
	}
	if len(to.Ports) > 0 {
		p.vals[DPort] = to.Ports[0].Lo
	}
	p.vals[FibDAddr] = Number(RouteUnicast)
	if p.local() {
		p.vals[FibDAddr] = Number(RouteLocal)
	}
	if old != p.vals[DAddr] || oldPort != p.vals[DPort] {
		p.vals[CtStatus] = Number(StatusDNAT)
	}
	p.rewritten, p.target = true, &to
	return passes, false
}

func (p *twin) local() bool {
	for _, ip := range p.host.Own {
		if Address(ip) == p.vals[DAddr] {
			return true
		}
	}
	return false
}

// base runs the chains of a hook; false: the packet was dropped.
func (p *twin) base(h Hook) bool {
	p.rewritten = false
	for _, ch := range p.set.base[h] {
		if h == Prerouting && ch.order() > conntrackPriority {
			p.track()
		}
		if ch.Kind == NATChain && (p.untracked || p.rewritten) {
			continue
		}
		f := p.chain(ch)
		if f == stops || f == returns && ch.Policy == Drop {
			return false
		}
	}
	if h == Prerouting {
		p.track()
	}
	return true
}

func (p *twin) track() {
	if p.tracked || p.untracked {
		return
	}
	p.tracked = true
	p.vals[CtState], p.vals[CtStatus], p.vals[CtMark] = Number(StateNew), Number(0), Number(0)
	p.vals[CtOrigDAddr], p.vals[CtOrigDPort] = p.vals[DAddr], p.vals[DPort]
}

func (p *twin) passes() bool {
	if !p.base(Prerouting) {
		return false
	}
	if p.target == nil || p.local() {
		return p.base(Input)
	}
	p.vals[OIf] = Name("eth2")
	return p.base(Forward)
}

// Every class that the symbolic walk ends with has the fate that the twin
// gives to a packet of it, and every packet is in a class of its fate.
func TestWalkAgreesWithTwin(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		set := drawRuleSet(t)
		set.Prepare()
		h := twinHost()
		q := Query{Proto: uint8(rapid.SampledFrom([]int{6, 17}).Draw(t, "proto")), Addr: netip.MustParseAddr("10.9.0.1"),
			Port: uint16(rapid.SampledFrom(twinPorts).Draw(t, "port"))}
		h.prepare()
		w := &walk{set: set, host: h}
		passed := w.deliver(w.hook(Prerouting, []*class{h.stranger(q)}))
		if w.tooMuch {
			t.Fatal("too much for a small rule set")
		}
		w.checkEnds(t, q, passed, true)
		w.checkEnds(t, q, w.dropped, false)
		for range 20 {
			w.checkPacket(t, q, passed)
		}
		checkAnswer(t, set, h, q, passed, w.dropped)
	})
}

// checkEnds takes a packet of each class.
func (w *walk) checkEnds(t *rapid.T, q Query, ends []*class, want bool) {
	for _, c := range ends {
		p := w.newTwin(q)
		for _, f := range openFields {
			p.vals[f] = drawFrom(t, c.vals[f])
		}
		for _, l := range c.atoms {
			p.truth[l.Key] = l.holds
		}
		packet := fmt.Sprint(p.vals, p.truth)
		if got := p.passes(); got != want {
			t.Fatalf("a packet of a class: twin says %v, walk %v: %s", got, want, packet)
		}
	}
}

// checkPacket draws a packet and looks for the class it is in.
func (w *walk) checkPacket(t *rapid.T, q Query, passed []*class) {
	p := w.newTwin(q)
	start := w.host.stranger(q)
	for _, f := range openFields {
		p.vals[f] = drawFrom(t, start.vals[f])
	}
	for _, k := range twinAtoms {
		p.truth[k] = rapid.Bool().Draw(t, k)
	}
	first := map[Field]Value{}
	for _, f := range openFields {
		first[f] = p.vals[f]
	}
	ends := w.dropped
	want := p.passes()
	if want {
		ends = passed
	}
	for _, c := range ends {
		if contains(c, first, p.truth) {
			return
		}
	}
	t.Fatalf("the twin says passes=%v of %v %v, and no such class holds it", want, first, p.truth)
}

func contains(c *class, vals map[Field]Value, truth map[string]bool) bool {
	for _, f := range openFields {
		if !has(c.vals[f], vals[f]) {
			return false
		}
	}
	for _, l := range c.atoms {
		if truth[l.Key] != l.holds {
			return false
		}
	}
	return true
}

// checkAnswer holds the answer against the ends.
func checkAnswer(t *rapid.T, set *RuleSet, h *Host, q Query, passed, dropped []*class) {
	a := set.Ask(h, q)
	certain := func(in []*class, usual bool) (n int) {
		for _, c := range in {
			if c.certain() && (!usual || h.ordinary(c)) {
				n++
			}
		}
		return n
	}
	switch {
	case a.Outcome == Denied && len(passed) > 0:
		t.Fatalf("denied, but %d classes pass", len(passed))
	case a.Outcome == Permitted && certain(dropped, true) > 0:
		t.Fatal("permitted, but ordinary packets are dropped")
	case a.Outcome == Partly && (certain(passed, false) == 0 || certain(dropped, true) == 0):
		t.Fatal("partly, but not for certain")
	}
}

func (w *walk) newTwin(q Query) *twin {
	c := w.host.stranger(q)
	p := &twin{set: w.set, host: w.host, vals: map[Field]Value{}, truth: map[string]bool{}}
	for f := range numFields {
		if v, one := c.vals[f].Only(); one {
			p.vals[f] = v
		}
	}
	return p
}

// drawFrom takes an end of one of a set's intervals, or something between.
func drawFrom(t *rapid.T, s Set) Value {
	iv := s[rapid.IntRange(0, len(s)-1).Draw(t, "interval")]
	switch rapid.IntRange(0, 2).Draw(t, "where") {
	case 0:
		return iv.Lo
	case 1:
		return iv.Hi
	}
	if iv.Lo.Hi == iv.Hi.Hi {
		return Value{iv.Lo.Hi, rapid.Uint64Range(iv.Lo.Lo, iv.Hi.Lo).Draw(t, "between")}
	}
	return iv.Lo
}
