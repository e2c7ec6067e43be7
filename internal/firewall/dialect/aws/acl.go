package aws

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/portreeve/portreeve/internal/firewall/dialect/document"
	"github.com/portreeve/portreeve/internal/firewall/dialect/values"
	"github.com/portreeve/portreeve/internal/firewall/ruleset"
)

// acl is a network access list.
type acl struct {
	id, name string
	entries  []entry
	partly   string
	subnets  []string
}

// entry is one rule of an access list.
type entry struct {
	at        *document.Node
	direction int
	number    int
	action    string
	proto     string
	from, to  *document.Node // ports
	typ, code *document.Node // of ICMP
	prefixes  []*document.Node
}

func (r *reader) acl(id string) *acl {
	if a := r.aclByID[id]; a != nil {
		return a
	}
	a := &acl{id: id}
	r.acls = append(r.acls, a)
	r.aclByID[id] = a
	return a
}

// describedACL reads an entry of describe-network-acls.
func (r *reader) describedACL(n *document.Node) {
	a := r.acl(n.Get("NetworkAclId").Text())
	for tag := range n.Get("Tags").Items() {
		if tag.Get("Key").Text() == "Name" {
			a.name = tag.Get("Value").Text()
		}
	}
	for v := range n.Get("Associations").Items() {
		if id := v.Get("SubnetId").Text(); id != "" && !slices.Contains(a.subnets, id) {
			a.subnets = append(a.subnets, id)
		}
	}
	for v := range n.Get("Entries").Items() {
		e := entry{at: v, action: v.Get("RuleAction").Text(), proto: v.Get("Protocol").Text(),
			from: v.At("PortRange", "From"), to: v.At("PortRange", "To"), typ: v.At("IcmpTypeCode", "Type"), code: v.At("IcmpTypeCode", "Code")}
		if v.Get("Egress").True() {
			e.direction = egress
		}
		e.number = r.ruleNumber(v, v.Get("RuleNumber"))
		e.prefixes = present(v.Get("CidrBlock"), v.Get("Ipv6CidrBlock"))
		a.entries = append(a.entries, e)
	}
}

// lastNumber is that of the rule that denies what no other matches.
const lastNumber = 32767

func (r *reader) ruleNumber(at, n *document.Node) int {
	k, ok := n.Int()
	if !ok {
		if n.Text() == "*" {
			return lastNumber
		}
		r.problem(at, "an entry without a rule number, taken as the first")
		return 0
	}
	return k
}

func present(ns ...*document.Node) []*document.Node {
	return slices.DeleteFunc(ns, func(n *document.Node) bool { return n.Text() == "" })
}

func (r *reader) aclChains(a *acl) []*ruleset.Chain {
	slices.SortStableFunc(a.entries, func(x, y entry) int { return cmp.Compare(x.number, y.number) })
	chains := newChains(a.id, a.name, false)
	for _, e := range a.entries {
		chains[e.direction].Rules = append(chains[e.direction].Rules, r.entryRule(&e))
	}
	if a.partly != "" {
		for _, ch := range chains {
			ch.Rules = append([]*ruleset.Rule{{Text: "entries that are not known", Steps: []ruleset.Step{ruleset.Elsewhere{Why: a.partly, MayContinue: true}}}}, ch.Rules...)
		}
	}
	for _, id := range a.subnets {
		bind(chains, ruleset.Binding{Device: id})
	}
	return chains[:]
}

func (r *reader) entryRule(e *entry) *ruleset.Rule {
	number := strconv.Itoa(e.number)
	if e.number == lastNumber {
		number = "*"
	}
	rule := &ruleset.Rule{Line: e.at.Line()}
	exprs, words, err := r.entryMatch(e)
	if err != nil {
		r.problem(e.at, err.Error())
		exprs, words = []ruleset.Expr{ruleset.Atom{Why: err.Error(), Unknown: true}}, "something"
	}
	rule.Text = fmt.Sprintf("%s %s %s", number, strings.ToLower(e.action), words)
	for _, x := range exprs {
		rule.Steps = append(rule.Steps, ruleset.Match{Expr: x})
	}
	switch strings.ToLower(e.action) {
	case "allow":
		rule.Steps = append(rule.Steps, ruleset.Decide{Verdict: ruleset.Accept})
	case "deny":
		rule.Steps = append(rule.Steps, ruleset.Decide{Verdict: ruleset.Drop})
	default:
		r.problem(e.at, "an action that is neither allow nor deny")
		rule.Steps = append(rule.Steps, ruleset.Elsewhere{Why: "the action " + strconv.Quote(e.action), MayContinue: true})
	}
	return rule
}

func (r *reader) entryMatch(e *entry) (exprs []ruleset.Expr, words string, err error) {
	field := [2]ruleset.Field{ruleset.SAddr, ruleset.DAddr}[e.direction]
	var addrs ruleset.Set
	var peers []string
	for _, p := range e.prefixes {
		s, err := values.Addresses(p.Text())
		if err != nil {
			return nil, "", err
		}
		addrs, peers = ruleset.Union(addrs, s), append(peers, p.Text())
	}
	if len(e.prefixes) == 0 {
		return nil, "", fmt.Errorf("an entry without a prefix")
	}
	words = [2]string{"from ", "to "}[e.direction] + strings.Join(peers, ", ")
	exprs = []ruleset.Expr{ruleset.In{Field: field, Set: addrs}}
	service, name, err := e.service()
	if all, ok := service.(ruleset.All); err == nil && (!ok || len(all) > 0) {
		exprs = append(exprs, service)
	}
	return exprs, name + " " + words, err
}

func (e *entry) service() (ruleset.Expr, string, error) {
	if e.proto == "-1" || strings.EqualFold(e.proto, "all") {
		return ruleset.All{}, "all traffic", nil
	}
	n, ok := values.Protocol(e.proto)
	if !ok {
		return nil, "", fmt.Errorf("no protocol of AWS: %q", e.proto)
	}
	proto := ruleset.In{Field: ruleset.L4Proto, Set: ruleset.Numbers(uint64(n))}
	switch {
	case n == values.ICMP || n == values.ICMPv6:
		return icmpExpr(proto, n, e.typ, e.code)
	case (n == values.TCP || n == values.UDP) && e.from.Kind() > document.Null:
		return portsExpr(proto, n, e.from, e.to)
	case n == values.TCP || n == values.UDP:
		return proto, map[int]string{values.TCP: "tcp", values.UDP: "udp"}[n], nil
	}
	return proto, "protocol " + strconv.Itoa(n), nil
}
