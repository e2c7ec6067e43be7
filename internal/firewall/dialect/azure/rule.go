package azure

import (
	"fmt"
	"strings"

	"github.com/portreeve/portreeve/internal/firewall/dialect/document"
	"github.com/portreeve/portreeve/internal/firewall/dialect/values"
	"github.com/portreeve/portreeve/internal/firewall/ruleset"
)

// rule reads one security rule.
func (r *reader) rule(n *document.Node, t *tags) *ruleset.Rule {
	rule := &ruleset.Rule{Line: n.Line(), Comment: prop(n, "description").Text()}
	access := strings.ToLower(prop(n, "access").Text())
	rule.Text = fmt.Sprintf("%s %s: %s %s from %s port %s to %s port %s", prop(n, "priority").Text(), n.Fold("name").Text(), access,
		protocolText(n), side(n, "source"), portText(n, "source"), side(n, "destination"), portText(n, "destination"))
	match := func(e ruleset.Expr) {
		if e != nil {
			rule.Steps = append(rule.Steps, ruleset.Match{Expr: e})
		}
	}
	if _, ok := prop(n, "priority").Int(); !ok {
		r.problem(n, "a rule without a priority")
		rule.Steps = []ruleset.Step{ruleset.Elsewhere{Why: "a rule without a priority", MayContinue: true}}
		return rule
	}
	proto, portless := r.protocol(n)
	match(proto)
	match(r.addresses(n, "source", ruleset.SAddr, t))
	match(r.addresses(n, "destination", ruleset.DAddr, t))
	match(r.ports(n, "source", ruleset.SPort, portless))
	match(r.ports(n, "destination", ruleset.DPort, portless))
	switch access {
	case "allow":
		rule.Steps = append(rule.Steps, ruleset.Decide{Verdict: ruleset.Accept})
	case "deny":
		rule.Steps = append(rule.Steps, ruleset.Decide{Verdict: ruleset.Drop})
	default:
		r.problem(n, "an access that is neither Allow nor Deny")
		rule.Steps = append(rule.Steps, ruleset.Elsewhere{Why: fmt.Sprintf("the access %q", access), MayContinue: true})
	}
	return rule
}

func unknown(why string) ruleset.Atom { return ruleset.Atom{Key: why, Why: why, Unknown: true} }

func protocolText(n *document.Node) string { return strings.ToLower(prop(n, "protocol").Text()) }

// protocol is the condition on the protocol, nil for any, and whether it has
// no ports.
func (r *reader) protocol(n *document.Node) (e ruleset.Expr, portless bool) {
	s := protocolText(n)
	switch s {
	case "*", "any", "all":
		return nil, false
	}
	k, ok := values.Protocol(s)
	if !ok {
		r.problem(n.Fold("protocol"), "no protocol of Azure")
		return unknown(fmt.Sprintf("the protocol %q", s)), false
	}
	return ruleset.In{Field: ruleset.L4Proto, Set: ruleset.Numbers(uint64(k))}, !values.HasPorts(k)
}

// texts are the values of a property and of its plural.
func texts(n *document.Node, singular string) (out []string, at *document.Node) {
	plural := singular + "s"
	if strings.HasSuffix(singular, "Prefix") {
		plural = singular + "es"
	}
	for _, key := range []string{plural, singular} {
		v := prop(n, key)
		for _, s := range v.Texts() {
			if s != "" {
				out, at = append(out, s), v
			}
		}
	}
	return out, at
}

func side(n *document.Node, which string) string {
	list, _ := texts(n, which+"AddressPrefix")
	for g := range prop(n, which+"ApplicationSecurityGroups").Items() {
		list = append(list, lastPart(g.Fold("id").Text()))
	}
	return shown(list)
}

func portText(n *document.Node, which string) string {
	list, _ := texts(n, which+"PortRange")
	return shown(list)
}

// shown writes a list for people, the first few of many.
func shown(list []string) string {
	const most = 8
	if len(list) > most {
		list = append(list[:most:most], fmt.Sprintf("… (%d more)", len(list)-most))
	}
	return strings.Join(list, ",")
}

func lastPart(id string) string { return id[strings.LastIndexByte(id, '/')+1:] }

// ports is the condition on a port, nil for any.
func (r *reader) ports(n *document.Node, which string, f ruleset.Field, portless bool) ruleset.Expr {
	list, at := texts(n, which+"PortRange")
	if len(list) == 0 {
		why := fmt.Sprintf("the %s of %s, which the file does not say", f, n.Fold("name").Text())
		r.problem(n, "a rule without "+f.String()+"s")
		return unknown(why)
	}
	var set ruleset.Set
	var strange []string
	for _, s := range list {
		if s == "*" || s == "0-65535" {
			return nil
		}
		p, err := values.Ports(s)
		if err != nil {
			r.problem(at, err.Error())
			strange = append(strange, s)
			continue
		}
		set = ruleset.Union(set, p)
	}
	var any ruleset.Any
	if len(set) > 0 {
		any = append(any, ruleset.In{Field: f, Set: set})
	}
	for _, s := range strange {
		any = append(any, unknown(fmt.Sprintf("the %s %q", f, s)))
	}
	if portless {
		return unknown(fmt.Sprintf("the %s of a protocol that has none", f))
	}
	return any
}

// addresses is the condition on an address, nil for any.
func (r *reader) addresses(n *document.Node, which string, f ruleset.Field, t *tags) ruleset.Expr {
	list, at := texts(n, "expanded"+strings.ToUpper(which[:1])+which[1:]+"AddressPrefix")
	if len(list) == 0 {
		list, at = texts(n, which+"AddressPrefix")
	}
	var set ruleset.Set
	var any ruleset.Any
	for _, s := range list {
		if s == "*" || strings.EqualFold(s, "any") {
			return nil
		}
		if a, err := values.Addresses(s); err == nil {
			set = ruleset.Union(set, a)
			continue
		}
		e, known := t.tag(s, f)
		if !known && !isTag(s) {
			r.problem(at, "not an address, a prefix or a tag")
		}
		any = append(any, e)
	}
	for g := range prop(n, which+"ApplicationSecurityGroups").Items() {
		any = append(any, r.members(id(g), f))
	}
	if len(set) > 0 {
		any = append(ruleset.Any{ruleset.In{Field: f, Set: set}}, any...)
	}
	if len(any) == 0 {
		r.problem(n, "a rule without "+f.String())
		return unknown(fmt.Sprintf("the %s of %s, which the file does not say", f, n.Fold("name").Text()))
	}
	return any
}

// isTag reports a word like AzureCloud.westeurope.
func isTag(s string) bool {
	return s != "" && strings.IndexFunc(s, func(c rune) bool {
		return c != '.' && c != '_' && c != '-' && (c < '0' || c > '9') && (c < 'A' || c > 'Z') && (c < 'a' || c > 'z')
	}) < 0 && (s[0] < '0' || s[0] > '9')
}

// members is the condition of being in an application security group.
func (r *reader) members(group string, f ruleset.Field) ruleset.Expr {
	set, known := ruleset.Set{}, false
	for _, c := range r.cards {
		for _, m := range c.asgs {
			if m.group != group {
				continue
			}
			s, err := values.Addresses(m.addr.Text())
			if err != nil {
				return unknown(fmt.Sprintf("an address of %s, which is %q", lastPart(group), m.addr.Text()))
			}
			set, known = ruleset.Union(set, s), true
		}
	}
	if known {
		return ruleset.In{Field: f, Set: set}
	}
	return unknown(fmt.Sprintf("whether the %s is in the application security group %s", f, lastPart(group)))
}
