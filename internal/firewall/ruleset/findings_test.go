package ruleset

import (
	"net/netip"
	"slices"
	"strings"
	"testing"
)

func count64(n uint64) *uint64 { return &n }

func tcp(port uint64) []Expr {
	return []Expr{In{Field: L4Proto, Set: Numbers(protoTCP)}, In{Field: DPort, Set: Numbers(port)}}
}

// named gives the findings of one kind as lines.
func named(fs []Finding, rule string) (lines []int) {
	for _, f := range fs {
		if f.Rule == rule {
			lines = append(lines, f.Line)
		}
	}
	return lines
}

func TestLintNamesWhatStandsBefore(t *testing.T) {
	net := func(s string) Set { return Prefix(netip.MustParsePrefix(s)) }
	s := list([]*Rule{
		rule(Accept, In{Field: SAddr, Set: net("10.0.0.0/25")}),
		rule(Accept, In{Field: SAddr, Set: net("10.0.0.128/25")}),
		rule(Drop, In{Field: SAddr, Set: net("10.0.0.0/24")}),                             // both together
		rule(Accept, In{Field: SAddr, Set: net("10.0.0.7/32")}),                           // the first
		rule(Accept, In{Field: SAddr, Set: net("192.0.2.7/32")}),                          // the next does the same
		rule(Accept, In{Field: SAddr, Set: net("192.0.2.0/24")}),                          //
		rule(Drop, In{Field: SAddr, Set: net("198.51.100.0/24")}),                         // the policy does the same
		rule(Accept, append(tcp(80), Not{In{Field: L4Proto, Set: Numbers(protoTCP)}})...), // never
	}, Drop)
	want := map[int]Finding{
		3: {Rule: Shadowed, By: []int{1, 2}}, 4: {Rule: Redundant, By: []int{1}}, 5: {Rule: Redundant, By: []int{6}},
		7: {Rule: Redundant}, 8: {Rule: Redundant},
	}
	for _, f := range Lint(s, LintOptions{}) {
		w, ok := want[f.Line]
		if !ok || f.Rule != w.Rule || !slices.Equal(f.By, w.By) || !f.Sure {
			t.Errorf("%+v", f)
		}
		delete(want, f.Line)
	}
	if len(want) > 0 {
		t.Errorf("not named: %v", want)
	}
}

// What depends on a rate or is not understood shadows nothing.
func TestLintDoesNotGuess(t *testing.T) {
	unknown := Atom{Key: "x", Why: "the match x", Unknown: true}
	limit := Const{Holds: true, Note: "within its rate"}
	s := list([]*Rule{
		rule(Accept, append(tcp(22), limit)...), rule(Drop, tcp(22)...), // both act
		rule(Accept, append(tcp(80), unknown)...), rule(Drop, tcp(80)...),
		rule(Accept, append(tcp(443), limit)...), rule(Accept, append(tcp(443), limit)...), // two rates
		rule(Drop, append(tcp(80), limit)...), // the fourth takes all
		{Steps: []Step{Match{In{Field: L4Proto, Set: Numbers(protoUDP)}}, Elsewhere{Why: "a queue", MayContinue: true}}},
		rule(Drop, In{Field: L4Proto, Set: Numbers(protoUDP)}),
		rule(Accept),
	}, Drop)
	var lines []int
	for _, f := range Lint(s, LintOptions{}) {
		if f.Rule == Shadowed || f.Rule == Redundant {
			lines = append(lines, f.Line)
		}
	}
	if !slices.Equal(lines, []int{5, 6, 7}) { // those of port 443 do what the last rule does
		t.Errorf("named %v", lines)
	}
}

func TestLintCounters(t *testing.T) {
	rules := []*Rule{rule(Accept, tcp(80)...), rule(Accept, tcp(443)...), rule(Accept, tcp(8443)...)}
	rules[0].Packets, rules[1].Packets = count64(7), count64(0)
	if got := named(Lint(list(rules, Drop), LintOptions{}), NeverHit); !slices.Equal(got, []int{2}) {
		t.Errorf("never hit: %v", got)
	}
	rules[0].Packets = count64(0)
	if got := named(Lint(list(rules, Drop), LintOptions{}), NeverHit); got != nil {
		t.Errorf("of a list that no packet met: %v", got)
	}
}

func TestLintTooWide(t *testing.T) {
	any4 := In{Field: SAddr, Set: allIPv4}
	s := list([]*Rule{
		rule(Accept, tcp(443)...),
		rule(Accept, append(tcp(3306), any4)...),
		rule(Accept, append(tcp(3389), In{Field: SAddr, Set: prefix(10, 0, 0, 0, 8)})...),
		rule(Accept, append(tcp(6379), In{Field: CtState, Set: Numbers(StateEstablished)})...),
		rule(Accept, append(tcp(5432), In{Field: IIf, Set: Of(Name("lo"))})...),
		rule(Accept, In{Field: L4Proto, Set: Numbers(protoTCP)}, In{Field: DPort, Set: Range(Number(1024), Number(65535))}),
		rule(Accept, any4),
	}, Drop)
	if got := named(Lint(s, LintOptions{}), TooWide); !slices.Equal(got, []int{2, 6, 7}) {
		t.Errorf("too wide: %v", got)
	}
}

func TestLintListeners(t *testing.T) {
	s := list([]*Rule{rule(Accept, tcp(443)...), rule(Accept, tcp(8443)...), rule(Drop, tcp(9000)...)}, Drop)
	heard := func(proto uint8, ip netip.Addr, port uint16) bool {
		return proto == protoTCP && !ip.IsValid() && port == 443
	}
	if got := named(Lint(s, LintOptions{Listens: heard}), NoListener); !slices.Equal(got, []int{2}) {
		t.Errorf("without a listener: %v", got)
	}
}

func TestLintChains(t *testing.T) {
	chain := func(name string, rules ...*Rule) *Chain {
		return &Chain{Families: IPv4, Name: name, Title: name, Rules: rules}
	}
	never, alone, fine := chain("never", rule(Drop)), chain("alone", rule(Drop)), chain("fine", rule(Drop, tcp(25)...))
	jump := func(to *Chain, e ...Expr) *Rule {
		r := rule(Continue, e...)
		r.Steps[len(r.Steps)-1] = Decide{Verdict: Jump, Target: to}
		return r
	}
	base := chain("input", jump(fine), rule(Accept, tcp(80)...), jump(never, tcp(80)...))
	base.Hook, base.Policy = Input, Accept
	s := &RuleSet{Chains: []*Chain{base, never, alone, fine}}
	s.Prepare()
	var got []string
	for _, f := range Lint(s, LintOptions{}) {
		if f.Rule == UnreachableChain {
			got = append(got, f.Chain)
		}
	}
	if !slices.Equal(got, []string{"never", "alone"}) {
		t.Errorf("unreachable: %v", got)
	}
}

// Chains that lead back to themselves are said and stop nothing.
func TestCyclesAreSaid(t *testing.T) {
	a, b := &Chain{Families: IPv4, Name: "a", Title: "a"}, &Chain{Families: IPv4, Name: "b", Title: "b"}
	a.Rules = []*Rule{{Steps: []Step{Decide{Verdict: Jump, Target: b}}}}
	b.Rules = []*Rule{rule(Drop, tcp(25)...), {Steps: []Step{Decide{Verdict: Goto, Target: a}}}}
	base := &Chain{Families: IPv4, Name: "input", Title: "input", Hook: Input, Policy: Accept,
		Rules: []*Rule{rule(Accept, tcp(80)...), {Steps: []Step{Decide{Verdict: Jump, Target: a}}}}}
	s := &RuleSet{Chains: []*Chain{base, a, b}}
	s.Prepare()
	if !slices.ContainsFunc(Lint(s, LintOptions{}), func(f Finding) bool { return f.Rule == CyclicJump }) {
		t.Error("no cycle found")
	}
	for n, want := range map[int]string{80: PermitPacket, 25: DenyPacket, 443: UnknownPacket} {
		d, err := s.Query(Packet{Proto: protoTCP, Src: netip.MustParseAddr("192.0.2.1"), DstPort: port(n)}, "")
		if err != nil || d.Verdict != want {
			t.Errorf("port %d: %+v %v", n, d, err)
		}
	}
}

// Names of chains, bindings, and lists that keep state.
func TestQueryFindsTheList(t *testing.T) {
	in := &Chain{Name: "IN", Title: "access list IN", Policy: Drop, Stateful: true, Bindings: []Binding{{Device: "eth0", Direction: Inward}}, Rules: []*Rule{rule(Accept, tcp(443)...)}}
	out := &Chain{Name: "OUT", Title: "access list OUT", Policy: Drop, Bindings: []Binding{{Device: "eth*", Direction: Outward}}, Rules: []*Rule{rule(Accept)}}
	s := &RuleSet{Chains: []*Chain{in, out}}
	s.Prepare()
	web := Packet{Proto: protoTCP, DstPort: port(443), In: "eth0", Out: "eth1"}
	mail := Packet{Proto: protoTCP, DstPort: port(25), In: "eth0"}
	answer := Packet{Proto: protoTCP, DstPort: port(40000), State: "established"}
	for _, c := range []struct {
		p           Packet
		chain, want string
		err         string
	}{
		{p: web, want: PermitPacket}, {p: mail, want: DenyPacket}, {p: mail, chain: "out", want: PermitPacket},
		{p: answer, chain: "Access List IN", want: PermitPacket}, {p: answer, chain: "access  list out", want: PermitPacket},
		{p: answer, err: "access list IN, access list OUT"}, {p: web, chain: "none", err: "there are: access list IN"},
		{p: Packet{State: "odd"}, chain: "in", err: "not a connection state"},
	} {
		d, err := s.Query(c.p, c.chain)
		if d.Verdict != c.want || c.err == "" != (err == nil) || err != nil && !strings.Contains(err.Error(), c.err) {
			t.Errorf("%+v %q: %+v %v", c.p, c.chain, d, err)
		}
	}
}

// The size of what is permitted, with and without what was seen.
func TestSurplus(t *testing.T) {
	s := list([]*Rule{rule(Drop, In{Field: DAddr, Set: prefix(192, 0, 2, 0, 32)}),
		rule(Accept, In{Field: L4Proto, Set: Numbers(protoTCP)}, In{Field: SAddr, Set: prefix(10, 0, 0, 0, 30)},
			In{Field: DAddr, Set: prefix(192, 0, 2, 0, 31)}, In{Field: DPort, Set: Range(Number(8000), Number(8007))})}, Drop)
	got, err := s.Surplus(Packet{}, "", nil, 5)
	if err != nil || got.Permitted != 5 || got.Left != 5 || got.Covered != -1 || len(got.Largest) != 1 || got.More || got.Bounded {
		t.Errorf("%+v %v", got, err)
	}
	seen := []Seen{{Proto: protoTCP, Src: prefix(10, 0, 0, 0, 31), Dst: prefix(192, 0, 2, 0, 24)}, SeenFlow(protoTCP, netip.MustParseAddr("10.0.0.3"), netip.MustParseAddr("192.0.2.1"), 8000)}
	got, err = s.Surplus(Packet{}, "", seen, 1)
	if err != nil || got.Permitted != 5 || got.Left != log2(15) || got.Covered != log2(17) || len(got.Largest) != 1 || !got.More {
		t.Errorf("%+v %v", got, err)
	}
}

// Masks are exact: a wildcard that leaves out bits in the middle, and marks
// compared through different masks.
func TestMasksAreExact(t *testing.T) {
	even := In{Field: SAddr, Mask: Address(netip.MustParseAddr("0.0.1.0")).And(Number(0xffffffff)), Set: Numbers(0)}
	odd := In{Field: SAddr, Mask: even.Mask, Set: Numbers(0x100)}
	s := list([]*Rule{rule(Accept, even), rule(Accept, odd), rule(Drop, In{Field: SAddr, Set: prefix(10, 0, 7, 0, 24)})}, Drop)
	if got := named(Lint(s, LintOptions{}), Shadowed); !slices.Equal(got, []int{3}) {
		t.Errorf("shadowed %v", got)
	}
	flags := func(mask, set uint64) Expr { return In{Field: TCPFlags, Mask: Number(mask), Set: Numbers(set)} }
	s = list([]*Rule{rule(Drop, flags(3, 0)), rule(Drop, flags(3, 1)), rule(Accept, flags(0x12, 2)), rule(Accept, flags(0x12, 0x12)), rule(Drop, flags(0xff, 0x16)),
		rule(Accept, In{Field: L4Proto, Set: Numbers(protoTCP)})}, Accept)
	if got := named(Lint(s, LintOptions{}), Shadowed); !slices.Equal(got, []int{5, 6}) {
		t.Errorf("flags: shadowed %v", got)
	}
}

// plain says the same as trying every value, for masks of every kind.
func TestPlainAgreesWithEveryValue(t *testing.T) {
	for _, f := range []Field{TCPFlags, DPort, Mark} {
		for _, mask := range []uint64{0xff, 0xf0, 0x0f, 0x55, 0x81, 0x10, 0xfff0, 0xffffff01} {
			for _, set := range []Set{Numbers(0), Numbers(0x10), Range(Number(1), f.Max()), Range(Number(5), Number(0x50)), f.Except(Numbers(0x40))} {
				e := In{Field: f, Mask: Number(mask), Set: set}
				s, ok := e.plain()
				for n := range uint64(0x400) {
					if v := Number(n); ok && s.Has(v) != set.Has(v.And(e.Mask)) && v.Compare(f.Max()) <= 0 {
						t.Fatalf("%v: %#x in %v", e, n, s)
					}
				}
			}
		}
	}
}
