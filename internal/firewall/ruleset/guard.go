package ruleset

// guard is what a rule needs of the fields that are known of most packets, as
// hulls, so that most rules are passed over with a few comparisons.
type guard struct {
	need  [len(guarded)]Interval
	has   [len(guarded)]bool
	idle  bool // no step has an effect
	names bool // a match names the destination port
}

// guarded are the fields that guards look at.
var guarded = [...]Field{DPort, L4Proto, DAddr, NFProto}

// admits reports that some packet of the class may get past the first steps.
func (g *guard) admits(c *class) bool {
	if g.idle {
		return false
	}
	for i, f := range guarded {
		if !g.has[i] {
			continue
		}
		have := c.vals[f]
		if len(have) == 0 || have[0].Lo.Compare(g.need[i].Hi) > 0 || have[len(have)-1].Hi.Compare(g.need[i].Lo) < 0 {
			return false
		}
	}
	return true
}

// Prepare indexes the rule set; it must be called once, after the last change
// and before the first question.
func (s *RuleSet) Prepare() {
	s.base = map[Hook][]*Chain{}
	for _, ch := range s.Chains {
		for _, r := range ch.Rules {
			r.guard = guardOf(r)
		}
		if ch.Hook != NoHook {
			s.base[ch.Hook] = append(s.base[ch.Hook], ch)
		}
	}
	for again := true; again; {
		again = false
		for _, ch := range s.Chains {
			again = ch.findActing() || again
		}
	}
	for _, ch := range s.Chains {
		for _, r := range ch.Rules {
			r.guard.idle = !r.acts()
		}
		ch.compile()
	}
	sortBase(s.base)
	for _, ch := range s.Chains {
		ch.open = ch.Hook == NoHook && len(ch.Bindings) == 0 && (len(s.base) > 0 || ch.Policy == Continue)
	}
	s.plan = &plans{lists: map[*Chain]*plan{}, paths: map[wayState]*plan{}, unjumped: s.findUnjumped()}
	s.cutPorts()
}

// findActing notes whether the chain can do anything; it reports a change.
func (ch *Chain) findActing() bool {
	if ch.mayAct {
		return false
	}
	for _, r := range ch.Rules {
		if r.acts() {
			ch.mayAct = true
			return true
		}
	}
	return false
}

// acts reports whether the rule can do more than look.
func (r *Rule) acts() bool {
	for _, s := range r.Steps {
		switch s := s.(type) {
		case Match:
		case Decide:
			if s.acts() {
				return true
			}
		case Choose:
			for i := range s.Rows {
				if s.Rows[i].acts() {
					return true
				}
			}
		default:
			return true
		}
	}
	return false
}

func (d *Decide) acts() bool {
	switch d.Verdict {
	case Continue:
		return false
	case Jump:
		return d.Target.mayAct
	}
	return true
}

func guardOf(r *Rule) (g guard) {
	for _, s := range r.Steps {
		switch s := s.(type) {
		case Match:
			g.addExpr(s.Expr)
		case Choose:
			g.names = g.names || namesPort(s.Fields)
		case Translate:
			g.names = g.names || namesPort(s.Fields)
		}
	}
	for _, s := range r.Steps {
		m, ok := s.(Match)
		if !ok {
			break
		}
		g.narrow(m.Expr)
	}
	return g
}

func namesPort(fs []Field) bool {
	for _, f := range fs {
		if f == DPort || f == CtOrigDPort {
			return true
		}
	}
	return false
}

func (g *guard) addExpr(e Expr) {
	switch e := e.(type) {
	case In:
		if namesPort([]Field{e.Field}) && !e.Set.Equal(DPort.Full()) {
			g.names = true
		}
	case Tuple:
		g.names = g.names || namesPort(e.Fields)
	case All:
		for _, p := range e {
			g.addExpr(p)
		}
	case Any:
		for _, p := range e {
			g.addExpr(p)
		}
	case Not:
		g.addExpr(e.Expr)
	}
}

// narrow takes the hulls of what a leading match needs.
func (g *guard) narrow(e Expr) {
	switch e := e.(type) {
	case All:
		for _, p := range e {
			g.narrow(p)
		}
	case In:
		if e.Mask == (Value{}) && len(e.Set) > 0 {
			g.limit(e.Field, Interval{e.Set[0].Lo, e.Set[len(e.Set)-1].Hi})
		}
	}
}

func (g *guard) limit(f Field, iv Interval) {
	for i, gf := range guarded {
		if gf != f {
			continue
		}
		if g.has[i] {
			iv = Interval{later(iv.Lo, g.need[i].Lo), sooner(iv.Hi, g.need[i].Hi)}
		}
		g.has[i], g.need[i] = true, iv
	}
}
