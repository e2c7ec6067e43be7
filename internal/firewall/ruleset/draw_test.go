package ruleset

import (
	"net/netip"

	"pgregory.net/rapid"
)

// The small world of the twin.
var (
	twinPorts  = []int{22, 53, 80, 8080}
	twinAtoms  = []string{"u1", "u2", "d1"}
	openFields = []Field{SAddr, SPort, IIf, TTL}
)

func twinHost() *Host {
	addr := netip.MustParseAddr
	on := map[string]bool{"eth0": true, "eth1": true, "eth2": true}
	return &Host{Own: []netip.Addr{addr("127.0.0.1"), addr("10.9.0.1"), addr("10.9.1.1")}, Forwarding4: on,
		RouteLocalnet: map[string]bool{"eth0": false}, Routes: map[netip.Addr]Route{addr("10.9.2.2"): {Device: "eth2"}}}
}

func addressSets() []Set {
	out := []Set{nil}
	for _, p := range []string{"10.0.0.0/8", "10.9.0.0/24", "10.9.0.2/32", "10.9.0.3/32", "10.9.1.0/24", "0.0.0.0/0", "192.0.2.0/24"} {
		out = append(out, Prefix(netip.MustParsePrefix(p)))
	}
	return append(out, Union(out[3], out[5]), allIPv4.Minus(out[2]))
}

// fieldSets are the sets that drawn rules compare fields with.
func fieldSets() map[Field][]Set {
	ports := []Set{Numbers(22), Numbers(53), Numbers(22, 80), Range(Number(1), Number(1023)), Range(Number(53), Number(80)), DPort.Except(Numbers(53))}
	names := []Set{NamePattern("eth0", false), NamePattern("eth", true), IIf.Except(NamePattern("eth1", false)), NamePattern("lo", false)}
	return map[Field][]Set{
		SAddr: addressSets(), DAddr: addressSets(), SPort: ports, DPort: ports, IIf: names, OIf: names,
		L4Proto:  {Numbers(6), Numbers(17), Numbers(6, 17), L4Proto.Except(Numbers(6))},
		TTL:      {Range(Number(1), Number(5)), Range(Number(10), Number(255))},
		Mark:     {Numbers(0), Numbers(1), Numbers(0x10, 0x11), Mark.Except(Numbers(0))},
		CtMark:   {Numbers(0), Numbers(5)},
		CtState:  {Numbers(StateNew), Numbers(StateInvalid), CtState.Except(Numbers(StateNew)), Numbers(StateUntracked, StateNew)},
		CtStatus: {Numbers(0), Numbers(StatusDNAT)}, FibDAddr: {Numbers(RouteLocal), FibDAddr.Except(Numbers(RouteLocal))},
		CtOrigDPort: ports,
	}
}

func drawField(t *rapid.T, only ...Field) (Field, Set) {
	all := fieldSets()
	choices := only
	if choices == nil {
		choices = []Field{SAddr, SAddr, DAddr, SPort, DPort, DPort, IIf, OIf, L4Proto, TTL, Mark, CtMark, CtState, CtStatus, FibDAddr, CtOrigDPort}
	}
	f := rapid.SampledFrom(choices).Draw(t, "field")
	return f, rapid.SampledFrom(all[f]).Draw(t, "set")
}

func drawExpr(t *rapid.T, depth int) Expr {
	kind := rapid.IntRange(0, 9).Draw(t, "expr")
	if depth > 1 {
		kind = min(kind, 5)
	}
	switch kind {
	case 6:
		return Not{drawExpr(t, depth+1)}
	case 7:
		return All{drawExpr(t, depth+1), drawExpr(t, depth+1)}
	case 8:
		return Any{drawExpr(t, depth+1), drawExpr(t, depth+1)}
	case 9:
		key := rapid.SampledFrom(twinAtoms).Draw(t, "atom")
		return Atom{Key: key, Why: key, Unknown: key[0] == 'u'}
	case 5:
		return drawTuple(t)
	case 4:
		f := rapid.SampledFrom([]Field{Mark, CtState, CtStatus, TCPFlags}).Draw(t, "masked")
		return In{Field: f, Mask: Number(uint64(rapid.SampledFrom([]int{1, 2, 8, 32, 0xf0}).Draw(t, "mask"))), Set: Range(Number(1), f.Max())}
	}
	f, s := drawField(t)
	return In{Field: f, Set: s}
}

func drawTuple(t *rapid.T) Expr {
	e := Tuple{}
	n := rapid.IntRange(1, 3).Draw(t, "rows")
	f1, _ := drawField(t, SAddr, IIf, L4Proto)
	f2, _ := drawField(t, DPort, SPort, SAddr)
	e.Fields = []Field{f1, f2}
	for range n {
		_, s1 := drawField(t, f1)
		_, s2 := drawField(t, f2)
		e.Rows = append(e.Rows, []Set{s1, s2})
	}
	return e
}

func drawDecide(t *rapid.T, later []*Chain) Decide {
	v := rapid.SampledFrom([]Verdict{Accept, Accept, Drop, Drop, Return, Continue, Jump, Jump, Goto}).Draw(t, "verdict")
	if v != Jump && v != Goto {
		return Decide{Verdict: v}
	}
	if len(later) == 0 {
		return Decide{Verdict: Accept}
	}
	return Decide{Verdict: v, Target: rapid.SampledFrom(later).Draw(t, "target")}
}

func drawRule(t *rapid.T, later []*Chain, kind Kind) *Rule {
	r := &Rule{}
	for range rapid.IntRange(0, 2).Draw(t, "matches") {
		r.Steps = append(r.Steps, Match{drawExpr(t, 0)})
	}
	switch rapid.IntRange(0, 7).Draw(t, "steps") {
	case 0:
		f, s1 := drawField(t, DPort, SAddr, IIf)
		_, s2 := drawField(t, f)
		r.Steps = append(r.Steps, Choose{Fields: []Field{f}, Rows: []Choice{{[]Set{s1}, drawDecide(t, later)}, {[]Set{s2}, drawDecide(t, later)}}})
	case 1:
		r.Steps = append(r.Steps, drawAssign(t))
	case 2:
		r.Steps = append(r.Steps, Untrack{})
	}
	if kind == NATChain && rapid.Bool().Draw(t, "nat") {
		r.Steps = append(r.Steps, drawTranslate(t))
		return r
	}
	r.Steps = append(r.Steps, drawDecide(t, later))
	return r
}

func drawAssign(t *rapid.T) Step {
	switch rapid.IntRange(0, 3).Draw(t, "assign") {
	case 0:
		return Assign{Field: Mark, Values: Numbers(1)}
	case 1:
		return Assign{Field: Mark, From: Mark, Keep: Number(0x10).Not(), Xor: Number(0x10)}
	case 2:
		return Assign{Field: CtMark, From: Mark, Mask: Number(0xff)}
	}
	return Assign{Field: Mark, From: CtMark, Mask: Number(0xffffffff)}
}

func drawTranslate(t *rapid.T) Step {
	var to Target
	if s := rapid.SampledFrom([]string{"", "10.9.2.2", "10.9.1.1"}).Draw(t, "to"); s != "" {
		to.Addrs = Of(Address(netip.MustParseAddr(s)))
	}
	if p := rapid.SampledFrom([]int{0, 22, 8080}).Draw(t, "to port"); p != 0 {
		to.Ports = Numbers(uint64(p))
	}
	return Translate{Kind: DNAT, To: []Target{to}}
}

// drawRuleSet draws user chains, whose jumps lead to later ones, base chains
// at several hooks, and sometimes a long list of like rules.
func drawRuleSet(t *rapid.T) *RuleSet {
	set := &RuleSet{}
	var user []*Chain
	for range rapid.IntRange(0, 3).Draw(t, "user chains") {
		ch := &Chain{Families: IPv4, Title: "user"}
		for range rapid.IntRange(1, 3).Draw(t, "rules") {
			ch.Rules = append(ch.Rules, drawRule(t, user, FilterChain))
		}
		user = append(user, ch)
	}
	set.Chains = append(set.Chains, user...)
	for _, b := range []Chain{{Hook: Prerouting, Priority: -300}, {Hook: Prerouting, Priority: -150}, {Hook: Prerouting, Kind: NATChain},
		{Hook: Input}, {Hook: Input, Priority: 10}, {Hook: Forward}} {
		if b.Hook != Input && rapid.Bool().Draw(t, "leave out") {
			continue
		}
		ch := b
		ch.Families, ch.Title, ch.Policy = IPv4|IPv6, "base", rapid.SampledFrom([]Verdict{Accept, Drop}).Draw(t, "policy")
		for range rapid.IntRange(0, 4).Draw(t, "rules") {
			ch.Rules = append(ch.Rules, drawRule(t, user, b.Kind))
		}
		if rapid.IntRange(0, 3).Draw(t, "list") == 0 {
			ch.Rules = append(ch.Rules, drawList(t)...)
		}
		set.Chains = append(set.Chains, &ch)
	}
	return set
}

// drawList draws rules that are alike but for an address or a port.
func drawList(t *rapid.T) (out []*Rule) {
	f := rapid.SampledFrom([]Field{SAddr, DPort, SPort}).Draw(t, "list field")
	for i := range rapid.IntRange(shortestRun, shortestRun+4).Draw(t, "list length") {
		s := Numbers(uint64(20 + i/2*3))
		if f == SAddr {
			s = Of(Address(netip.AddrFrom4([4]byte{10, 9, 0, byte(i)})))
		}
		v := rapid.SampledFrom([]Verdict{Accept, Drop, Return}).Draw(t, "list verdict")
		out = append(out, &Rule{Steps: []Step{Match{In{Field: L4Proto, Set: Numbers(6)}}, Match{In{Field: f, Set: s}}, Decide{Verdict: v}}})
	}
	return out
}
