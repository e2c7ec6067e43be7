package ruleset

// Acceptance is a range of destination ports that a rule on the way in
// accepts.
type Acceptance struct {
	Proto uint8
	IPv4  bool
	Addrs Set // destination addresses; Every when all
	Every bool
	First uint16
	Last  uint16
	Rule  string
}

// mostAccepts bounds the work and the result of Accepts.
const mostAccepts = 1 << 16

// Accepts lists what the rules of the input hook accept of strangers by naming
// destination ports, whatever earlier rules did: rules as they are written.
func (s *RuleSet) Accepts(h *Host) []Acceptance {
	k := *h
	k.prepare()
	a := &accepts{walk: &walk{set: s, host: &k}, seen: map[string]bool{}, been: map[entry]bool{}}
	for _, v4 := range []bool{true, false} {
		for _, proto := range portProtocols {
			a.proto, a.v4 = proto, v4
			a.start = startTracking([]*class{anyPort(&k, proto, v4)})[0]
			for _, ch := range s.base[Input] {
				if in, _ := a.walk.seenBy(ch, a.start); ch.Kind == FilterChain {
					a.chain(ch, in, 0, false)
				}
			}
		}
	}
	return a.out
}

// anyPort is a packet to any port of any address.
func anyPort(h *Host, proto uint8, v4 bool) *class {
	c := h.toEveryPort(proto, v4)
	c.vals[DAddr] = familySet(c)
	c.vals[Mark] = Mark.Full()
	return c
}

// accepts finds accepting rules: it follows jumps with what the rules on the
// way require, and takes nothing away for rules that decide earlier.
type accepts struct {
	walk  *walk
	proto uint8
	v4    bool
	start *class
	seen  map[string]bool
	been  map[entry]bool
	out   []Acceptance
}

// entry is a visit by a way on which a rule named the port, or not.
type entry struct {
	visit
	named bool
}

func (a *accepts) chain(ch *Chain, in []*class, depth int, named bool) {
	if depth > mostDepth || len(in) == 0 {
		return
	}
	if v := (entry{visit{ch, in[0]}, named}); len(in) == 1 {
		if a.been[v] {
			return
		}
		a.been[v] = true
	}
	for _, r := range ch.Rules {
		a.walk.steps++
		if a.walk.steps > mostSteps || len(a.out) > mostAccepts || len(in) == 0 {
			return
		}
		if admitsAny(&r.guard, in) {
			a.rule(place{ch, r, depth, named || r.guard.names}, in)
		}
	}
}

func (a *accepts) rule(at place, in []*class) {
	for _, s := range at.rule.Steps {
		switch s := s.(type) {
		case Match:
			in, _ = splitEach(a.walk, s.Expr, in)
		case Decide:
			a.decide(at, s, in)
			return
		case Choose:
			for i := range s.Rows {
				if meetsAny(s.Fields, s.Rows[i].Sets, in) {
					hit, _ := splitEach(a.walk, rowExpr(s.Fields, s.Rows[i].Sets), in)
					a.decide(at, s.Rows[i].Decide, hit)
				}
			}
		}
		if len(in) == 0 {
			return
		}
	}
}

func (a *accepts) decide(at place, d Decide, in []*class) {
	switch d.Verdict {
	case Jump, Goto:
		a.chain(d.Target, in, at.depth+1, at.named)
	case Accept:
		if !at.named {
			return
		}
		for _, c := range in {
			a.note(at, c)
		}
	}
}

func (a *accepts) note(at place, c *class) {
	rule := describe(at.chain, at.rule, "")
	for _, iv := range c.vals[DPort] {
		acc := Acceptance{Proto: a.proto, IPv4: a.v4, Addrs: c.vals[DAddr], Every: c.vals[DAddr].Equal(a.start.vals[DAddr]),
			First: uint16(iv.Lo.Lo), Last: uint16(iv.Hi.Lo), Rule: rule}
		key := itoa(int(a.proto)) + familyText(a.v4) + itoa(int(acc.First)) + "-" + itoa(int(acc.Last)) + DAddr.text(acc.Addrs) + rule
		if !a.seen[key] {
			a.seen[key] = true
			a.out = append(a.out, acc)
		}
	}
}

func familyText(v4 bool) string {
	if v4 {
		return " v4 "
	}
	return " v6 "
}
