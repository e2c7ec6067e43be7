package gcp

import (
	"fmt"
	"slices"
	"strings"

	"github.com/portreeve/portreeve/internal/firewall/dialect/document"
	"github.com/portreeve/portreeve/internal/firewall/dialect/values"
	"github.com/portreeve/portreeve/internal/firewall/ruleset"
)

func unknown(why string) ruleset.Atom { return ruleset.Atom{Key: why, Why: why, Unknown: true} }

// vpcRule reads one VPC firewall rule.
func (r *reader) vpcRule(n *document.Node, at int) []*ruleset.Rule {
	list, verdict, word := n.Get("allowed"), ruleset.Accept, "allow"
	if denies(n) == 1 {
		list, verdict, word = n.Get("denied"), ruleset.Drop, "deny"
	}
	b := &builder{r: r, rule: &ruleset.Rule{Line: n.Line(), Comment: n.Get("description").Text()}}
	if denies(n) == 1 && n.Get("allowed").Len() > 0 {
		r.problem(n, "a rule that allows and denies")
		b.match(unknown("a rule that allows and denies"))
	}
	b.targets(n.Get("targetTags").Texts(), n.Get("targetServiceAccounts").Texts())
	b.sources(n)
	if ranges := n.Get("destinationRanges"); ranges.Len() > 0 {
		b.ranges(ranges, ruleset.DAddr)
	}
	b.anywhere(n, at)
	b.services(list, "IPProtocol")
	b.rule.Text = fmt.Sprintf("%d %s: %s %s%s", priority(n, 1000), n.Get("name").Text(), word, strings.Join(b.words, ", "), b.where)
	b.rule.Steps = append(b.rule.Steps, ruleset.Decide{Verdict: verdict})
	return []*ruleset.Rule{b.rule}
}

// policyRule reads one rule of a firewall policy.
func (r *reader) policyRule(n *document.Node, at int, next ruleset.Step) *ruleset.Rule {
	b := &builder{r: r, rule: &ruleset.Rule{Line: n.Line(), Comment: n.Get("description").Text()}}
	m := n.Get("match")
	b.targets(nil, n.Get("targetServiceAccounts").Texts())
	b.secureTags(n.Get("targetSecureTags"), "the instance")
	b.forNetworks(n.Get("targetResources"))
	b.policyMatch(m)
	b.services(m.Get("layer4Configs"), "ipProtocol")
	action := n.Get("action").Text()
	b.rule.Text = fmt.Sprintf("%s %s: %s %s %s%s", n.Get("priority").Text(), n.Get("ruleName").Text(), directions[at], action, strings.Join(b.words, ", "), b.where)
	switch action {
	case "allow":
		b.step(ruleset.Decide{Verdict: ruleset.Accept})
	case "deny":
		b.step(ruleset.Decide{Verdict: ruleset.Drop})
	case "goto_next":
		b.step(next)
	case "apply_security_profile_group":
		b.step(ruleset.Elsewhere{Why: "inspection by the security profile group " + lastPart(n.Get("securityProfileGroup").Text())})
	default:
		r.problem(n.Get("action"), "an action that is not known")
		b.step(ruleset.Elsewhere{Why: fmt.Sprintf("the action %q", action), MayContinue: true})
	}
	return b.rule
}

// builder collects the steps of a rule and its words.
type builder struct {
	r     *reader
	rule  *ruleset.Rule
	words []string
	where string
}

func (b *builder) step(s ruleset.Step) { b.rule.Steps = append(b.rule.Steps, s) }

func (b *builder) match(e ruleset.Expr) { b.step(ruleset.Match{Expr: e}) }

// targets is the condition on the instance that the rule is for. VPC rules
// have tags or accounts, never both.
func (b *builder) targets(tags, accounts []string) {
	for _, t := range []struct {
		kind, list string
		names, has []string
	}{{"the tag", "tag", tags, b.r.opt.TargetTags}, {"the service account", "account", accounts, b.r.opt.TargetAccounts}} {
		if len(t.names) == 0 {
			continue
		}
		b.where += fmt.Sprintf(" on instances with %s %s", t.kind, strings.Join(t.names, " or "))
		if b.r.opt.TargetTags != nil || b.r.opt.TargetAccounts != nil {
			b.match(ruleset.Const{Holds: slices.ContainsFunc(t.names, func(s string) bool { return slices.Contains(t.has, s) })})
			continue
		}
		var any ruleset.Any
		for _, name := range t.names {
			why := fmt.Sprintf("whether the instance has %s %s", t.kind, name)
			any = append(any, ruleset.Atom{Key: why, Why: why})
		}
		b.match(any)
	}
}

func (b *builder) secureTags(list *document.Node, whose string) {
	var any ruleset.Any
	for v := range list.Items() {
		any = append(any, unknown(fmt.Sprintf("whether %s has the tag %s", whose, v.Get("name").Text())))
	}
	if len(any) > 0 {
		b.match(any)
	}
}

func (b *builder) forNetworks(list *document.Node) {
	if list.Len() == 0 {
		return
	}
	var names []string
	for _, s := range list.Texts() {
		names = append(names, lastPart(s))
	}
	why := "whether the network is " + strings.Join(names, " or ")
	b.match(ruleset.Atom{Key: why, Why: why})
}

// sources are the ranges, tags and accounts of the sender: one of them has to
// fit.
func (b *builder) sources(n *document.Node) {
	var any ruleset.Any
	ranges := n.Get("sourceRanges")
	if ranges.Len() > 0 {
		any = append(any, b.rangeExpr(ranges, ruleset.SAddr))
		b.where += " from " + shown(ranges.Texts())
	}
	for _, t := range n.Get("sourceTags").Texts() {
		any = append(any, b.sender("the tag "+t, func(i instance) bool { return slices.Contains(i.tags, t) }))
		b.where += " from the tag " + t
	}
	for _, a := range n.Get("sourceServiceAccounts").Texts() {
		any = append(any, b.sender("the service account "+a, func(i instance) bool { return slices.Contains(i.accounts, a) }))
		b.where += " from the service account " + a
	}
	if len(any) > 0 {
		b.match(any)
	}
}

// anywhere is the far end that a rule has when it names none: all of IPv4
// (documentation of VPC firewall rules, sources and destinations).
func (b *builder) anywhere(n *document.Node, at int) {
	keys := []string{"sourceRanges", "sourceTags", "sourceServiceAccounts", "destinationRanges"}
	if at == 1 {
		keys = []string{"destinationRanges", "sourceRanges"}
	}
	if !slices.ContainsFunc(keys, func(k string) bool { return n.Get(k).Len() > 0 }) {
		b.match(ruleset.In{Field: ruleset.NFProto, Set: ruleset.Numbers(ruleset.FamilyIPv4)})
	}
}

// sender is the condition that the source is an instance of a kind.
func (b *builder) sender(what string, is func(instance) bool) ruleset.Expr {
	set, known := ruleset.Set{}, false
	for _, i := range b.r.instances {
		if is(i) {
			set, known = ruleset.Union(set, i.addrs), true
		}
	}
	if known {
		return ruleset.In{Field: ruleset.SAddr, Set: set}
	}
	return unknown("whether the sender has " + what)
}

// shown writes a list for people, the first few of many.
func shown(list []string) string {
	const most = 8
	if len(list) > most {
		list = append(list[:most:most], fmt.Sprintf("… (%d more)", len(list)-most))
	}
	return strings.Join(list, ",")
}

func (b *builder) ranges(n *document.Node, f ruleset.Field) {
	b.where += [2]string{" from ", " to "}[f-ruleset.SAddr] + shown(n.Texts())
	b.match(b.rangeExpr(n, f))
}

func (b *builder) rangeExpr(n *document.Node, f ruleset.Field) ruleset.Expr {
	set := ruleset.Set{}
	var any ruleset.Any
	for v := range n.Each() {
		s, err := values.Addresses(v.Text())
		if err != nil {
			b.r.problem(v, err.Error())
			any = append(any, unknown(fmt.Sprintf("the %s %q", f, v.Text())))
			continue
		}
		set = ruleset.Union(set, s)
	}
	return append(ruleset.Any{ruleset.In{Field: f, Set: set}}, any...)
}

// policyMatch reads what a policy rule says of the two ends. Lists of
// addresses and of what else tells an end are alternatives; network types and
// contexts are conditions beside them.
func (b *builder) policyMatch(m *document.Node) {
	for _, end := range []struct {
		prefix string
		field  ruleset.Field
	}{{"src", ruleset.SAddr}, {"dest", ruleset.DAddr}} {
		var any ruleset.Any
		if n := m.Get(end.prefix + "IpRanges"); n.Len() > 0 {
			any = append(any, b.rangeExpr(n, end.field))
			b.where += [2]string{" from ", " to "}[end.field-ruleset.SAddr] + shown(n.Texts())
		}
		for _, key := range []string{"AddressGroups", "Fqdns", "RegionCodes", "ThreatIntelligences", "Networks"} {
			for _, s := range m.Get(end.prefix + key).Texts() {
				any = append(any, unknown(fmt.Sprintf("whether the %s is in %s %s", end.field, strings.ToLower(key), lastPart(s))))
			}
		}
		for v := range m.Get(end.prefix + "SecureTags").Items() {
			any = append(any, unknown(fmt.Sprintf("whether the %s has the tag %s", end.field, v.Get("name").Text())))
		}
		if len(any) > 0 {
			b.match(any)
		}
		for _, key := range []string{"NetworkScope", "NetworkType", "NetworkContext"} {
			if s := m.Get(end.prefix + key).Text(); s != "" && s != "UNSPECIFIED" {
				b.match(unknown(fmt.Sprintf("whether the %s is in the network scope %s", end.field, s)))
			}
		}
	}
}

// services are the protocols and ports: one of them has to fit.
func (b *builder) services(list *document.Node, key string) {
	var any ruleset.Any
	for v := range list.Items() {
		e, words, err := service(v, v.Get(key).Text())
		if err != nil {
			b.r.problem(v, err.Error())
			e, words = unknown(err.Error()), "something"
		}
		b.words = append(b.words, words)
		if e == nil { // every protocol
			return
		}
		any = append(any, e)
	}
	if len(any) == 0 {
		b.r.problem(list, "a rule without protocols")
		any = append(any, unknown("the protocols of a rule that names none"))
	}
	b.match(any)
}

// service reads a protocol with its ports; nil is everything.
func service(v *document.Node, name string) (ruleset.Expr, string, error) {
	ports := v.Get("ports")
	if strings.EqualFold(name, "all") && ports.Len() == 0 {
		return nil, "all", nil
	}
	k, ok := values.Protocol(name)
	if !ok || strings.EqualFold(name, "all") {
		return nil, "", fmt.Errorf("no protocol of Google Cloud: %q", name)
	}
	all := ruleset.All{ruleset.In{Field: ruleset.L4Proto, Set: ruleset.Numbers(uint64(k))}}
	if ports.Len() == 0 {
		return all, strings.ToLower(name), nil
	}
	if !values.HasPorts(k) {
		return nil, "", fmt.Errorf("ports of a protocol that has none: %q", name)
	}
	set := ruleset.Set{}
	for _, s := range ports.Texts() {
		p, err := values.Ports(s)
		if err != nil {
			return nil, "", err
		}
		set = ruleset.Union(set, p)
	}
	return append(all, ruleset.In{Field: ruleset.DPort, Set: set}), strings.ToLower(name) + ":" + shown(ports.Texts()), nil
}
