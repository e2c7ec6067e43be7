package ruleset

import (
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// The tests' header space: every packet of it can be tried.
var (
	tinyAddrs  = []string{"10.0.0.1", "10.0.0.2", "10.0.0.3", "10.0.1.1", "192.0.2.1", "10.0.0.9"}
	tinyPorts  = []uint64{0, 20, 22, 80, 100, 8080}
	tinyProtos = []uint64{protoTCP, protoUDP, protoSCTP, protoICMP, 47}
)

func everyPacket(fn func(vals map[Field]Value)) {
	for _, src := range tinyAddrs {
		for _, dst := range tinyAddrs[1:4] {
			for _, proto := range tinyProtos {
				for i, port := range tinyPorts {
					if i > 0 && !hasPorts(uint8(proto)) {
						break
					}
					vals := map[Field]Value{SAddr: Address(netip.MustParseAddr(src)), DAddr: Address(netip.MustParseAddr(dst)),
						L4Proto: Number(proto), NFProto: Number(FamilyIPv4), CtState: Number(StateNew)}
					if hasPorts(uint8(proto)) {
						vals[DPort] = Number(port)
					}
					if proto != protoTCP {
						fn(vals)
						continue
					}
					for _, flags := range []uint64{0, flagSYN, flagACK, flagSYN | flagACK} {
						vals := maps.Clone(vals)
						vals[TCPFlags] = Number(flags)
						fn(vals)
					}
				}
			}
		}
	}
}

// tinySets are sets that cut the tests' space and nothing besides it.
func tinySets() map[Field][]Set {
	p := func(list ...string) (s Set) {
		for _, one := range list {
			s = Union(s, Prefix(netip.MustParsePrefix(one)))
		}
		return s
	}
	addrs := []Set{p("10.0.0.0/24"), p("10.0.0.0/8"), p("10.0.0.1/32"), p("10.0.0.2/32", "10.0.0.3/32"), allIPv4.Minus(p("10.0.0.0/8")), allIPv4}
	return map[Field][]Set{
		SAddr: addrs, DAddr: {addrs[0], p("10.0.0.2/32"), allIPv4.Minus(addrs[0])},
		L4Proto: {Numbers(protoTCP), Numbers(protoUDP), Numbers(protoTCP, protoUDP), L4Proto.Except(Numbers(protoTCP)), Numbers(protoICMP)},
		DPort:   {Numbers(22), Numbers(80, 443), Range(Number(1), Number(1023)), DPort.Except(Numbers(22)), DPort.Full(), Range(Number(0), Number(79))},
	}
}

func drawTinyExpr(t *rapid.T) Expr {
	f := rapid.SampledFrom([]Field{SAddr, DAddr, L4Proto, DPort}).Draw(t, "field")
	var e Expr = In{Field: f, Set: rapid.SampledFrom(tinySets()[f]).Draw(t, "set")}
	switch rapid.IntRange(0, 9).Draw(t, "kind") {
	case 0:
		e = Not{e}
	case 1:
		e = In{Field: TCPFlags, Mask: Number(0x12), Set: rapid.SampledFrom([]Set{Numbers(2), Numbers(0), TCPFlags.Except(Numbers(2))}).Draw(t, "flags")}
	}
	return e
}

func drawTinyRule(t *rapid.T, later []*Chain) *Rule {
	r := &Rule{}
	for range rapid.IntRange(0, 3).Draw(t, "matches") {
		r.Steps = append(r.Steps, Match{drawTinyExpr(t)})
	}
	v := rapid.SampledFrom([]Verdict{Accept, Accept, Drop, Drop, Drop, Return, Jump, Goto, Continue}).Draw(t, "verdict")
	d := Decide{Verdict: v}
	if v == Jump || v == Goto {
		if len(later) == 0 {
			d.Verdict = Accept
		} else {
			d.Target = rapid.SampledFrom(later).Draw(t, "target")
		}
	}
	r.Steps = append(r.Steps, d)
	return r
}

// drawTiny draws one base chain and chains that it may lead to.
func drawTiny(t *rapid.T) *RuleSet {
	var user []*Chain
	line := 1
	chain := func(ch *Chain, most int) {
		for range rapid.IntRange(0, most).Draw(t, "rules") {
			r := drawTinyRule(t, user)
			r.Line = line
			line++
			ch.Rules = append(ch.Rules, r)
		}
	}
	for i := range rapid.IntRange(0, 2).Draw(t, "user chains") {
		ch := &Chain{Families: IPv4, Title: fmt.Sprint("user", i), Name: fmt.Sprint("user", i)}
		chain(ch, 4)
		user = append(user, ch)
	}
	base := &Chain{Families: IPv4, Title: "base", Name: "base", Hook: Input, Policy: rapid.SampledFrom([]Verdict{Accept, Drop}).Draw(t, "policy")}
	chain(base, 8)
	set := &RuleSet{Chains: append(user, base)}
	set.Prepare()
	return set
}

// naive walks one packet through the rules and notes which it met.
type naive struct {
	vals map[Field]Value
	gone map[*Rule]bool
	met  map[*Rule]bool
}

func (n *naive) chain(ch *Chain) fate {
	p := &twin{vals: n.vals}
	for _, r := range ch.Rules {
		if n.gone[r] {
			continue
		}
		met := true
		for _, s := range r.Steps {
			if m, ok := s.(Match); ok && !p.holds(m.Expr) {
				met = false
				break
			}
		}
		if !met {
			continue
		}
		n.met[r] = true
		switch d := r.Steps[len(r.Steps)-1].(Decide); d.Verdict {
		case Accept:
			return passes
		case Drop:
			return stops
		case Return:
			return returns
		case Jump:
			if f := n.chain(d.Target); f != returns {
				return f
			}
		case Goto:
			return n.chain(d.Target)
		}
	}
	return returns
}

func (n *naive) base(ch *Chain) fate {
	f := n.chain(ch)
	if f == returns {
		f = passes
		if ch.Policy == Drop {
			f = stops
		}
	}
	return f
}

// verdictsWithout are the verdicts of all packets when some rules are gone,
// and the rules that some packet met.
func verdictsWithout(base *Chain, gone map[*Rule]bool) (out []fate, met map[*Rule]bool) {
	met = map[*Rule]bool{}
	everyPacket(func(vals map[Field]Value) {
		n := &naive{vals: vals, gone: gone, met: met}
		out = append(out, n.base(base))
	})
	return out, met
}

// What lint says of a drawn rule set is what trying every packet says: rules
// that no packet meets are all named and no others; taking away everything
// named, or any one of it, changes no verdict; and of what is left no plain
// rule could go both by itself and with the rest.
func TestLintAgreesWithEveryPacket(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		set := drawTiny(t)
		base := set.Chains[len(set.Chains)-1]
		named, unreached := map[int]string{}, map[string]bool{}
		for _, f := range Lint(set, LintOptions{}) {
			switch f.Rule {
			case Shadowed, Redundant:
				named[f.Line] = f.Why
			case UnreachableChain:
				unreached[f.Chain] = true
			case Unfinished:
				t.Fatal("not finished")
			}
		}
		all, met := verdictsWithout(base, nil)
		gone := map[*Rule]bool{}
		for _, ch := range set.Chains {
			for _, r := range ch.Rules {
				if why, ok := named[r.Line]; ok {
					gone[r] = true
					if alone, _ := verdictsWithout(base, map[*Rule]bool{r: true}); !slices.Equal(alone, all) {
						t.Fatalf("taking away rule %d changes verdicts (%s)%s", r.Line, why, dump(set))
					}
					if met[r] && why != "later rules do the same with every packet that it decides" && why != "the chain's default does the same with every packet that it decides" {
						t.Fatalf("rule %d is met, and yet %s%s", r.Line, why, dump(set))
					}
				} else if !met[r] && !unreached[ch.Title] {
					t.Fatalf("rule %d is met by no packet and not named%s", r.Line, dump(set))
				} else if met[r] && unreached[ch.Title] {
					t.Fatalf("rule %d of an unreachable chain is met%s", r.Line, dump(set))
				}
			}
		}
		without, _ := verdictsWithout(base, gone)
		if !slices.Equal(all, without) {
			t.Fatalf("taking away %v changes verdicts%s", named, dump(set))
		}
		checkMinimal(t, set, base, gone, all)
	})
}

// checkMinimal takes away each plain rule that was not named.
func checkMinimal(t *rapid.T, set *RuleSet, base *Chain, gone map[*Rule]bool, all []fate) {
	_, met := verdictsWithout(base, nil)
	for _, ch := range set.Chains {
		for _, r := range ch.Rules {
			d := r.Steps[len(r.Steps)-1].(Decide)
			if gone[r] || !met[r] || d.Verdict != Accept && d.Verdict != Drop {
				continue
			}
			gone[r] = true
			if v, _ := verdictsWithout(base, gone); slices.Equal(v, all) {
				if alone, _ := verdictsWithout(base, map[*Rule]bool{r: true}); slices.Equal(alone, all) {
					t.Fatalf("rule %d could go and is not named%s", r.Line, dump(set))
				}
			}
			delete(gone, r)
		}
	}
}

// Compare finds every packet on which two drawn rule sets differ, and no other.
func TestCompareAgreesWithEveryPacket(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, b := drawTiny(t), drawTiny(t)
		if rapid.Bool().Draw(t, "related") {
			b = withoutOne(t, a)
		}
		got, err := Compare(a, b, "base", "base", 1000)
		if err != nil || got.More {
			t.Fatal(err, got.More, got.Why)
		}
		i, every := 0, rapid.IntRange(0, 7).Draw(t, "which packets")
		x, _ := verdictsWithout(a.Chains[len(a.Chains)-1], nil)
		y, _ := verdictsWithout(b.Chains[len(b.Chains)-1], nil)
		everyPacket(func(vals map[Field]Value) {
			if i++; i%8 != every {
				return
			}
			in := 0
			for _, d := range got.List {
				if d.Region.holds(vals) {
					in++
				}
			}
			if in > 1 || (in == 1) != (x[i-1] != y[i-1]) {
				t.Fatalf("%v: %v and %v, in %d of the regions %v%s%s", vals, x[i-1], y[i-1], in, regions(got), dump(a), dump(b))
			}
		})
		for _, d := range got.List {
			checkDifference(t, a, b, d)
		}
	})
}

// checkDifference asks for the example.
func checkDifference(t *rapid.T, a, b *RuleSet, d Difference) {
	if d.A.Verdict == d.B.Verdict {
		t.Fatalf("both say %s: %+v", d.A.Verdict, d)
	}
	da, err := a.Query(d.Example, "base")
	db, err2 := b.Query(d.Example, "base")
	if err != nil || err2 != nil || da.Verdict != d.A.Verdict || db.Verdict != d.B.Verdict {
		t.Fatalf("the example of %+v fares otherwise: %+v %+v %v %v", d, da, db, err, err2)
	}
}

// withoutOne copies a rule set but for one rule of its base chain.
func withoutOne(t *rapid.T, a *RuleSet) *RuleSet {
	base := *a.Chains[len(a.Chains)-1]
	if n := len(base.Rules); n > 0 {
		i := rapid.IntRange(0, n-1).Draw(t, "left out")
		base.Rules = slices.Delete(slices.Clone(base.Rules), i, i+1)
	}
	b := &RuleSet{Chains: append(slices.Clone(a.Chains[:len(a.Chains)-1]), &base)}
	b.Prepare()
	return b
}

func (r Region) holds(vals map[Field]Value) bool {
	for _, l := range r {
		v, ok := vals[l.Field]
		if ok && !l.Set.Has(v) || !ok && !l.Missing && l.Field != IIf && l.Field != OIf {
			return false
		}
	}
	return true
}

// A rule set differs from itself nowhere, whatever is in it.
func TestNothingDiffersFromItself(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a := drawRuleSet(t)
		a.Prepare()
		got, err := Compare(a, a, "", "", 10)
		if err != nil || len(got.List) > 0 {
			t.Fatalf("%v %+v%s", err, got, dump(a))
		}
	})
}

func regions(d Differences) (out []string) {
	for _, one := range d.List {
		out = append(out, one.Region.String())
	}
	return out
}
