package kubernetes

import (
	"fmt"
	"slices"

	"github.com/portreeve/portreeve/internal/firewall/ruleset"
)

const both = ruleset.IPv4 | ruleset.IPv6

// subject is whose chains are made: a pod, or the pods of a selector.
type subject struct {
	namespace string
	title     string
	pod       *pod // nil for a selector
	pods      selector
}

// bears says whether a policy selects the subject: it does (yes), or does when
// its labels also meet the policy's selector (maybe).
func (s *subject) bears(p *policy) (yes, maybe bool) {
	switch {
	case p.namespace != s.namespace:
		return false, false
	case p.pods.bad != "":
		return false, true
	case s.pod != nil:
		return p.pods.matches(s.pod.labels), false
	case s.pods.implies(p.pods):
		return true, false
	}
	return false, !s.pods.excludes(p.pods)
}

func (r *reader) ruleSet() *ruleset.RuleSet {
	set := &ruleset.RuleSet{}
	subjects := r.subjects()
	for _, s := range subjects {
		for d := range directions {
			ch := r.chain(s, d)
			way := [2]ruleset.Direction{ruleset.Inward, ruleset.Outward}[d]
			ch.Way = way
			switch {
			case s.pod != nil:
				ch.Bindings = []ruleset.Binding{{Device: s.title, Direction: way, Addrs: s.pod.addrs}}
			case len(subjects) == 1:
				ch.Bindings = []ruleset.Binding{{Direction: way}}
			}
			set.Chains = append(set.Chains, ch)
		}
	}
	return set
}

// subjects are the pods of the stream, and the selectors of the policies in
// namespaces without pods.
func (r *reader) subjects() (out []*subject) {
	hasPods := map[string]bool{}
	for _, p := range r.pods {
		hasPods[p.namespace] = true
		if !p.onHost {
			out = append(out, &subject{namespace: p.namespace, title: p.namespace + "/" + p.name, pod: p})
		}
	}
	seen := map[string]bool{}
	for _, p := range r.policies {
		title := p.namespace + "/all pods"
		if !p.pods.empty() {
			title = p.namespace + "/" + p.pods.String()
		}
		if !hasPods[p.namespace] && !seen[title] {
			seen[title] = true
			out = append(out, &subject{namespace: p.namespace, title: title, pods: p.pods})
		}
	}
	return out
}

func unknown(why string) ruleset.Atom { return ruleset.Atom{Key: why, Why: why, Unknown: true} }

// chain makes one direction of a subject. A policy that may select it permits
// under this condition, and isolates under it.
func (r *reader) chain(s *subject, d int) *ruleset.Chain {
	ch := &ruleset.Chain{Families: both, Title: s.title + " " + directions[d], Name: s.title + " " + directions[d], Policy: ruleset.Accept, Stateful: true}
	for _, why := range r.otherPolicies() {
		ch.Rules = append(ch.Rules, &ruleset.Rule{Text: why, Steps: []ruleset.Step{ruleset.Elsewhere{Why: why, MayContinue: true}}})
	}
	if s.pod != nil && d == ingress && len(s.pod.node) > 0 {
		ch.Rules = append(ch.Rules, &ruleset.Rule{Text: "the pod's own node", Steps: []ruleset.Step{
			ruleset.Match{Expr: ruleset.In{Field: ruleset.SAddr, Set: s.pod.node}}, ruleset.Decide{Verdict: ruleset.Accept}}})
	}
	var perhaps []*ruleset.Rule
	for _, p := range r.policies {
		yes, maybe := s.bears(p)
		if !p.isolates[d] || !yes && !maybe {
			continue
		}
		var only []ruleset.Step
		if yes {
			ch.Policy = ruleset.Drop
		} else {
			why := fmt.Sprintf("whether the pod is one of %s (policy %s)", p.pods, p.name)
			only = []ruleset.Step{ruleset.Match{Expr: ruleset.Atom{Key: "pod " + p.namespace + "/" + p.pods.String(), Why: why, Unknown: p.pods.bad != ""}}}
			perhaps = append(perhaps, &ruleset.Rule{Text: fmt.Sprintf("%s/%s: nothing else for %s", p.namespace, p.name, p.pods), Line: p.at.Line(),
				Steps: append(slices.Clone(only), ruleset.Decide{Verdict: ruleset.Drop})})
		}
		for _, rule := range r.policyRules(s, p, d) {
			rule.Steps = append(slices.Clone(only), rule.Steps...)
			ch.Rules = append(ch.Rules, rule)
		}
	}
	if ch.Policy == ruleset.Accept {
		ch.Rules = append(ch.Rules, perhaps...)
	}
	return ch
}

// otherPolicies are what else decides and is not read.
func (r *reader) otherPolicies() (out []string) {
	if len(r.foreign) > 0 {
		out = append(out, "policies that are not read: "+shown(r.foreign))
	}
	if len(r.unread) > 0 {
		out = append(out, shown(r.unread))
	}
	return out
}
