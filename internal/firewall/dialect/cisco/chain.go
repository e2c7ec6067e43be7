package cisco

import (
	"slices"

	"github.com/portreeve/portreeve/internal/firewall/ruleset"
)

// ruleSet translates every list.
func (r *reader) ruleSet() *ruleset.RuleSet {
	set := &ruleset.RuleSet{}
	chains := map[listKey]*ruleset.Chain{}
	for _, l := range r.order {
		ch := r.chain(l)
		ch.Bindings = r.bindings[l.listKey]
		chains[l.listKey] = ch
		set.Chains = append(set.Chains, ch)
	}
	set.Chains = append(set.Chains, r.bindGlobal(chains)...)
	for _, l := range r.order {
		if ch := chains[l.listKey]; l.v6 {
			ch.Rules = append(ch.Rules, neighbourDiscovery()...)
		}
	}
	r.undefined(chains)
	return set
}

func (r *reader) chain(l *list) *ruleset.Chain {
	ch := &ruleset.Chain{Families: l.families, Name: l.name, Title: l.title(), Policy: ruleset.Drop, Stateful: l.asa}
	if len(l.entries) == 0 && !l.asa && (r.platform == Auto || r.platform == IOS) {
		ch.Policy = ruleset.Accept // IOS: a list without entries permits all
	}
	entries := l.entries
	if !l.asa {
		entries = inOrder(entries)
	}
	add := func(list ...entry) {
		for _, e := range list {
			if rule := r.rule(l, e); rule != nil {
				ch.Rules = append(ch.Rules, rule)
			}
		}
	}
	var whole []entry // an entry whose elements stand for it, where some may be missing
	for _, e := range entries {
		if !e.element {
			add(whole...)
			whole = nil
		}
		switch {
		case !e.expanded:
			add(e)
		case l.elements > l.shown:
			whole = append(whole, e)
		}
	}
	add(whole...)
	r.checkElements(l, ch)
	return ch
}

// inOrder sorts entries by their sequence numbers; one without goes behind
// what stands before it.
func inOrder(in []entry) []entry {
	out := slices.Clone(in)
	last := 0
	for i := range out {
		if out[i].seq == 0 {
			out[i].seq = last
		}
		last = max(last, out[i].seq)
	}
	slices.SortStableFunc(out, func(a, b entry) int { return a.seq - b.seq })
	return out
}

// checkElements says when a listing shows fewer elements than it counts. Where
// no entry has elements, whole entries may be missing.
func (r *reader) checkElements(l *list, ch *ruleset.Chain) {
	if l.elements <= l.shown {
		return
	}
	why := "the listing of " + l.name + " counts " + itoa(l.elements) + " elements and shows " + itoa(l.shown)
	r.problems.Add(l.line, 0, "", why)
	for _, e := range l.entries {
		if e.expanded {
			return
		}
	}
	ch.Rules = append([]*ruleset.Rule{{Text: "(elements that are not shown)", Line: l.line,
		Steps: []ruleset.Step{ruleset.Elsewhere{Why: why, MayContinue: true}}}}, ch.Rules...)
}

// neighbourDiscovery are the permits that end every IPv6 list unseen.
func neighbourDiscovery() []*ruleset.Rule {
	rule := func(text string, kind uint64) *ruleset.Rule {
		return &ruleset.Rule{Text: text + " (implied)", Steps: []ruleset.Step{
			ruleset.Match{Expr: ruleset.In{Field: ruleset.L4Proto, Set: ruleset.Numbers(58)}},
			ruleset.Match{Expr: ruleset.In{Field: ruleset.ICMPType, Set: ruleset.Numbers(kind)}},
			ruleset.Decide{Verdict: ruleset.Accept}}}
	}
	return []*ruleset.Rule{rule("permit icmp any any nd-na", 136), rule("permit icmp any any nd-ns", 135)}
}

// undefined says which lists are applied and not here; IOS lets everything
// pass there.
func (r *reader) undefined(chains map[listKey]*ruleset.Chain) {
	var names []string
	for key, bs := range r.bindings {
		if chains[key] == nil {
			names = append(names, key.name+" is applied on "+bs[0].Device)
		}
	}
	slices.Sort(names)
	for _, name := range names {
		r.problems.Add(r.line, 0, "", "the access list "+name+" and not defined here")
	}
}
