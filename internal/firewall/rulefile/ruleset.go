package rulefile

import (
	"github.com/portreeve/portreeve/internal/firewall/ruleset"
)

// ChainName is the chain that RuleSet makes.
const ChainName = "rules"

// RuleSet gives the rules in the model: one chain, ChainName, with the rules
// that do something in their order, and then denies. It is bound to no hook: a
// rule file speaks of the way between networks as well as of a host's own
// doors. What belongs to a permitted connection is permitted
// first of all, as every renderer writes it. Line of a rule is its line in the
// file.
func (f *File) RuleSet() (*ruleset.RuleSet, error) {
	rules, err := f.Active()
	if err != nil {
		return nil, err
	}
	ch := &ruleset.Chain{
		Families: ruleset.IPv4 | ruleset.IPv6, Title: ChainName, Name: ChainName,
		Policy: ruleset.Drop, // a list of no hook: it holds wherever it is put
	}
	ch.Rules = append(ch.Rules, established())
	for i := range rules {
		ch.Rules = append(ch.Rules, rules[i].model())
	}
	return &ruleset.RuleSet{Chains: []*ruleset.Chain{ch}}, nil
}

func established() *ruleset.Rule {
	state := ruleset.In{Field: ruleset.CtState, Set: ruleset.Numbers(ruleset.StateEstablished, ruleset.StateRelated)}
	return &ruleset.Rule{
		Text:  "what belongs to a permitted connection: permit",
		Steps: []ruleset.Step{ruleset.Match{Expr: state}, ruleset.Decide{Verdict: ruleset.Accept}},
	}
}

// model writes a rule as matches and a verdict.
func (r *Resolved) model() *ruleset.Rule {
	out := &ruleset.Rule{Text: r.Rule.String(), Comment: r.Name, Line: r.Line}
	match := func(f ruleset.Field, s ruleset.Set) {
		out.Steps = append(out.Steps, ruleset.Match{Expr: ruleset.In{Field: f, Set: s}})
	}
	if r.Families != (Families{IPv4: true, IPv6: true}) {
		match(ruleset.NFProto, familySet(r.Families))
	}
	if r.Proto != AnyProto {
		match(ruleset.L4Proto, ruleset.Numbers(uint64(r.Proto)))
	}
	for _, s := range []struct {
		field ruleset.Field
		list  []AddrRange
	}{{ruleset.SAddr, r.From}, {ruleset.DAddr, r.To}} {
		if s.list != nil {
			match(s.field, addrSet(s.list))
		}
	}
	for _, s := range []struct {
		field ruleset.Field
		list  []PortRange
	}{{ruleset.SPort, r.FromPorts}, {ruleset.DPort, r.Ports}} {
		if s.list != nil {
			match(s.field, portSet(s.list))
		}
	}
	if r.Types != nil {
		out.Steps = append(out.Steps, ruleset.Match{Expr: typeExpr(r.Types)})
	}
	if r.In != "" {
		match(ruleset.IIf, nameSet(r.In))
	}
	if r.Out != "" {
		match(ruleset.OIf, nameSet(r.Out))
	}
	verdict := ruleset.Drop
	if r.Action == Permit {
		verdict = ruleset.Accept
	}
	out.Steps = append(out.Steps, ruleset.Decide{Verdict: verdict})
	return out
}

func familySet(f Families) ruleset.Set {
	if f.IPv4 {
		return ruleset.Numbers(ruleset.FamilyIPv4)
	}
	return ruleset.Numbers(ruleset.FamilyIPv6)
}

func addrSet(list []AddrRange) ruleset.Set {
	sets := make([]ruleset.Set, len(list))
	for i, a := range list {
		sets[i] = ruleset.Range(ruleset.Address(a.Lo), ruleset.Address(a.Hi))
	}
	return ruleset.Union(sets...)
}

func portSet(list []PortRange) ruleset.Set {
	sets := make([]ruleset.Set, len(list))
	for i, p := range list {
		sets[i] = ruleset.Range(ruleset.Number(uint64(p.Lo)), ruleset.Number(uint64(p.Hi)))
	}
	return ruleset.Union(sets...)
}

func nameSet(s string) ruleset.Set {
	stem, wild := s, false
	if n := len(s) - 1; s[n] == '*' {
		stem, wild = s[:n], true
	}
	return ruleset.NamePattern(stem, wild)
}

func typeExpr(types []ICMPType) ruleset.Expr {
	var whole []uint64
	var any ruleset.Any
	for _, t := range types {
		if t.Code < 0 {
			whole = append(whole, uint64(t.Type))
			continue
		}
		any = append(any, ruleset.All{
			ruleset.In{Field: ruleset.ICMPType, Set: ruleset.Numbers(uint64(t.Type))},
			ruleset.In{Field: ruleset.ICMPCode, Set: ruleset.Numbers(uint64(t.Code))},
		})
	}
	if whole != nil {
		any = append(any, ruleset.In{Field: ruleset.ICMPType, Set: ruleset.Numbers(whole...)})
	}
	return any
}
