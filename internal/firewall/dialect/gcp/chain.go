package gcp

import (
	"cmp"
	"slices"
	"strings"

	"github.com/portreeve/portreeve/internal/firewall/dialect/document"
	"github.com/portreeve/portreeve/internal/firewall/ruleset"
)

var directions = [2]string{"ingress", "egress"}

// lowest is the priority of the implied rules.
const lowest = 65535

func (r *reader) ruleSet() *ruleset.RuleSet {
	set := &ruleset.RuleSet{}
	names := r.networks()
	for _, name := range names {
		chains := newChains(name)
		rules := slices.DeleteFunc(slices.Clone(r.rules), func(n *document.Node) bool { return network(n) != name })
		r.vpcRules(chains, rules)
		implied(chains)
		if len(names) == 1 && len(r.effective) == 0 {
			bind(chains)
		}
		set.Chains = append(set.Chains, chains[:]...)
	}
	for _, p := range r.policies {
		chains := newChains("policy " + p.name)
		next := ruleset.Elsewhere{Why: "what comes after the policy " + p.name}
		r.policyRules(chains, p, next)
		handOn(chains, next)
		set.Chains = append(set.Chains, chains[:]...)
	}
	for _, e := range r.effective {
		chains := newChains("effective")
		r.effectiveChains(chains, e)
		if len(r.effective) == 1 {
			bind(chains)
		}
		set.Chains = append(set.Chains, chains[:]...)
	}
	return set
}

// networks are the names of the networks that have rules, in their order.
func (r *reader) networks() (out []string) {
	for _, n := range r.rules {
		if name := network(n); !slices.Contains(out, name) {
			out = append(out, name)
		}
	}
	return out
}

func network(n *document.Node) string {
	return cmp.Or(lastPart(n.Get("network").Text()), "default")
}

func newChains(name string) (out [2]*ruleset.Chain) {
	for i, d := range directions {
		out[i] = &ruleset.Chain{Families: both, Title: name + " " + d, Name: name + " " + d, Policy: ruleset.Drop, Stateful: true,
			Way: [2]ruleset.Direction{ruleset.Inward, ruleset.Outward}[i]}
	}
	return out
}

func bind(chains [2]*ruleset.Chain) {
	chains[0].Bindings = []ruleset.Binding{{Direction: ruleset.Inward}}
	chains[1].Bindings = []ruleset.Binding{{Direction: ruleset.Outward}}
}

// implied adds the implied rules.
func implied(chains [2]*ruleset.Chain) {
	chains[0].Rules = append(chains[0].Rules, &ruleset.Rule{Text: "65535 implied: deny all ingress", Steps: []ruleset.Step{ruleset.Decide{Verdict: ruleset.Drop}}})
	chains[1].Rules = append(chains[1].Rules, &ruleset.Rule{Text: "65535 implied: allow all egress", Steps: []ruleset.Step{ruleset.Decide{Verdict: ruleset.Accept}}})
	chains[1].Policy = ruleset.Accept
}

// handOn ends the chains of a policy: what follows is not in the file.
func handOn(chains [2]*ruleset.Chain, next ruleset.Step) {
	for _, ch := range chains {
		ch.Rules = append(ch.Rules, &ruleset.Rule{Text: "the end of the policy: goto_next", Steps: []ruleset.Step{next}})
	}
}

// vpcRules adds VPC firewall rules: by priority, and at one priority those
// that deny first.
func (r *reader) vpcRules(chains [2]*ruleset.Chain, rules []*document.Node) {
	slices.SortStableFunc(rules, func(a, b *document.Node) int {
		return cmp.Or(cmp.Compare(priority(a, 1000), priority(b, 1000)), cmp.Compare(denies(b), denies(a)))
	})
	for _, n := range rules {
		if n.Get("disabled").True() {
			continue
		}
		at := 0
		switch strings.ToUpper(n.Get("direction").Text()) {
		case "", "INGRESS":
		case "EGRESS":
			at = 1
		default:
			r.problem(n.Get("direction"), "neither INGRESS nor EGRESS")
			r.strange(chains, n, "a rule whose direction is not known")
			continue
		}
		chains[at].Rules = append(chains[at].Rules, r.vpcRule(n, at)...)
	}
}

// strange adds a rule that may do anything, to both chains.
func (r *reader) strange(chains [2]*ruleset.Chain, n *document.Node, why string) {
	for _, ch := range chains {
		ch.Rules = append(ch.Rules, &ruleset.Rule{Text: n.Get("name").Text(), Line: n.Line(), Steps: []ruleset.Step{ruleset.Elsewhere{Why: why, MayContinue: true}}})
	}
}

func priority(n *document.Node, without int) int {
	if p, ok := n.Get("priority").Int(); ok {
		return p
	}
	return without
}

func denies(n *document.Node) int {
	if n.Get("denied").Kind() == document.List {
		return 1
	}
	return 0
}

// effectiveChains joins what a network evaluates, in its order.
func (r *reader) effectiveChains(chains [2]*ruleset.Chain, e *effective) {
	var before, after []*policy
	for _, p := range e.policies {
		if strings.HasPrefix(p.kind, "NETWORK") && e.after {
			after = append(after, p)
		} else {
			before = append(before, p)
		}
	}
	join := func(list []*policy) {
		for _, p := range list {
			sub := newChains("policy " + p.name)
			r.policyRules(sub, p, ruleset.Decide{Verdict: ruleset.Return})
			for i, ch := range sub {
				chains[i].Rules = append(chains[i].Rules, &ruleset.Rule{Text: "policy " + p.name, Steps: []ruleset.Step{ruleset.Decide{Verdict: ruleset.Jump, Target: ch}}})
			}
		}
	}
	join(before)
	// The implied rules come last, also when they are listed.
	listed := slices.DeleteFunc(slices.Clone(e.rules), func(n *document.Node) bool { return priority(n, 1000) >= lowest && n.Get("name").Text() == "" })
	r.vpcRules(chains, listed)
	join(after)
	implied(chains)
}

// policyRules adds the rules of a policy by priority. next is what goto_next
// does.
func (r *reader) policyRules(chains [2]*ruleset.Chain, p *policy, next ruleset.Step) {
	rules := slices.Clone(p.rules)
	slices.SortStableFunc(rules, func(a, b *document.Node) int { return cmp.Compare(priority(a, 0), priority(b, 0)) })
	for _, n := range rules {
		if n.Get("disabled").True() {
			continue
		}
		at := 0
		switch strings.ToUpper(n.Get("direction").Text()) {
		case "", "INGRESS":
		case "EGRESS":
			at = 1
		default:
			r.problem(n.Get("direction"), "neither INGRESS nor EGRESS")
			r.strange(chains, n, "a rule whose direction is not known")
			continue
		}
		chains[at].Rules = append(chains[at].Rules, r.policyRule(n, at, next))
	}
}
