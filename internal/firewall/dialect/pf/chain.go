package pf

import (
	"slices"

	"github.com/portreeve/portreeve/internal/firewall/ruleset"
)

// ruleSet builds the chains "in" and "out".
func (p *parser) ruleSet() *ruleset.RuleSet {
	set := &ruleset.RuleSet{}
	for _, hook := range []ruleset.Hook{ruleset.Prerouting, ruleset.Postrouting} {
		b := &builder{parser: p, set: set, hook: hook, device: ruleset.IIf, name: "in"}
		if hook == ruleset.Postrouting {
			b.device, b.name = ruleset.OIf, "out"
		}
		b.build()
	}
	return set
}

// builder builds the chain of one direction.
type builder struct {
	*parser
	set    *ruleset.RuleSet
	hook   ruleset.Hook
	device ruleset.Field
	name   string
	chain  *ruleset.Chain
}

const both = ruleset.IPv4 | ruleset.IPv6

func (b *builder) newChain(name string) *ruleset.Chain {
	ch := &ruleset.Chain{Families: both, Name: name, Title: "pf " + name, Policy: ruleset.Accept}
	b.set.Chains = append(b.set.Chains, ch)
	return ch
}

func (b *builder) build() {
	b.chain = b.newChain(b.name)
	b.chain.Hook = b.hook
	if len(b.skip) > 0 {
		b.add(&ruleset.Rule{Text: "set skip on", Steps: []ruleset.Step{
			ruleset.Match{Expr: interfaceExpr(b.device, b.skip)}, ruleset.Decide{Verdict: ruleset.Accept}}})
	}
	if b.hook == ruleset.Prerouting {
		b.translations()
	}
	b.answers()
	b.filter(b.chain, flatten(b.top, nil))
}

func (b *builder) add(r *ruleset.Rule) { b.chain.Rules = append(b.chain.Rules, r) }

// answers lets pass what belongs to a connection that has state; where some
// rules keep none, that is not certain.
func (b *builder) answers() {
	var act ruleset.Step = ruleset.Decide{Verdict: ruleset.Accept}
	if b.noState {
		act = ruleset.Elsewhere{Why: "whether a rule kept state of the connection", MayContinue: true}
	}
	state := ruleset.In{Field: ruleset.CtState, Mask: ruleset.Number(ruleset.StateEstablished | ruleset.StateRelated),
		Set: ruleset.Range(ruleset.Number(1), ruleset.CtState.Max())}
	b.add(&ruleset.Rule{Text: "(a packet of a known connection)", Steps: []ruleset.Step{ruleset.Match{Expr: state}, act}})
}

// translations puts rdr rules of the old kind before the filter rules.
func (b *builder) translations() {
	if len(b.top.nat) == 0 {
		return
	}
	nat := b.newChain("rdr")
	for _, r := range b.top.nat {
		nat.Rules = append(nat.Rules, b.natRule(r))
	}
	b.add(&ruleset.Rule{Text: "(translation)", Steps: []ruleset.Step{ruleset.Decide{Verdict: ruleset.Jump, Target: nat}}})
}

func (b *builder) natRule(r natRule) *ruleset.Rule {
	rule := &ruleset.Rule{Text: r.text, Line: r.line}
	if r.anchor != "" {
		rule.Text = "rdr-anchor " + r.anchor
		e := ruleset.Atom{Key: "anchor " + r.anchor, Why: "translations in the anchor " + r.anchor + ", which are not in the file", Unknown: true}
		if programAnchor(r.anchor) {
			e.Unknown, e.Lean = false, ruleset.UsuallyFalse
		}
		rule.Steps = []ruleset.Step{ruleset.Match{Expr: e}, ruleset.Elsewhere{Why: e.Why, MayContinue: true}}
		return rule
	}
	rule.Steps = b.matches(r.on, r.conds)
	switch {
	case r.no:
		rule.Steps = append(rule.Steps, ruleset.Decide{Verdict: ruleset.Return})
		return rule
	default:
		rule.Steps = append(rule.Steps, ruleset.Translate{Kind: ruleset.DNAT, Continues: true, To: []ruleset.Target{r.to}, Unknown: unknownTarget(r.to)})
	}
	verdict := ruleset.Return
	if r.pass {
		verdict = ruleset.Accept
	}
	rule.Steps = append(rule.Steps, ruleset.Decide{Verdict: verdict})
	return rule
}

// matches are the conditions of a rule, those of the interface first.
func (b *builder) matches(on [][]ifspec, conds []ruleset.Expr) []ruleset.Step {
	var steps []ruleset.Step
	for _, list := range on {
		steps = append(steps, ruleset.Match{Expr: interfaceExpr(b.device, list)})
	}
	for _, e := range conds {
		steps = append(steps, ruleset.Match{Expr: e})
	}
	return steps
}

// filter writes rules so that the first that fits decides: quick ones in
// order, then the others from the last to the first.
func (b *builder) filter(to *ruleset.Chain, items []item) {
	var late []*ruleset.Rule
	for _, it := range items {
		if !b.applies(it.rule) {
			continue
		}
		steps := b.matches(it.on, it.conds)
		r := &ruleset.Rule{Text: it.text, Line: it.line}
		switch {
		case it.inner != nil: // a quick anchor: what fits inside ends
			sub := b.newChain(b.name + " anchor line " + itoa(it.line))
			b.filter(sub, flatten(it.inner, nil))
			r.Steps = append(steps, ruleset.Decide{Verdict: ruleset.Jump, Target: sub})
			to.Rules = append(to.Rules, r)
			continue
		case it.elsewhere != "":
			r.Steps = append(steps, ruleset.Elsewhere{Why: it.elsewhere, MayContinue: true})
			to.Rules = append(to.Rules, r)
			continue
		case it.nothing:
			continue
		case it.block:
			r.Steps = append(steps, ruleset.Decide{Verdict: ruleset.Drop})
		default:
			r.Steps = append(append(steps, it.steps...), ruleset.Decide{Verdict: ruleset.Accept})
		}
		if it.quick {
			to.Rules = append(to.Rules, r)
		} else {
			late = append(late, r)
		}
	}
	slices.Reverse(late)
	to.Rules = append(to.Rules, late...)
}

// applies reports that a rule is looked at in this direction.
func (b *builder) applies(r rule) bool {
	if r.in == r.out {
		return true
	}
	return r.in == (b.hook == ruleset.Prerouting)
}

// flatten puts the rules of anchors where the anchors stand, with the
// anchors' conditions; anchors that are quick stay.
func flatten(a *anchor, outer *rule) []item {
	var out []item
	for _, it := range a.items {
		if outer != nil {
			it.rule = within(*outer, it.rule)
		}
		if it.inner == nil || it.quick {
			out = append(out, it)
			continue
		}
		r := it.rule
		out = append(out, flatten(it.inner, &r)...)
	}
	return out
}

// within adds the conditions of an anchor to a rule in it.
func within(outer, inner rule) rule {
	inner.conds = append(slices.Clone(outer.conds), inner.conds...)
	inner.on = append(slices.Clone(outer.on), inner.on...)
	if outer.in != outer.out {
		if inner.in != inner.out && inner.in != outer.in {
			inner.conds = append(inner.conds, ruleset.Const{})
		}
		inner.in, inner.out = outer.in, outer.out
	}
	return inner
}
