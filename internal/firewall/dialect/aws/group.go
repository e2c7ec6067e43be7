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

const both = ruleset.IPv4 | ruleset.IPv6

// group is a security group.
type group struct {
	id, name, owner string
	rules           []permission
	// partly says why the group may have rules that are not here.
	partly    string
	described bool // by the EC2 API, not by configuration
	// openEgress: without egress rules everything may leave (CloudFormation).
	openEgress bool
	chains     [2]*ruleset.Chain
}

// Directions of a permission.
const (
	ingress = iota
	egress
)

var directionNames = [2]string{"ingress", "egress"}

// permission is what one rule of a group permits.
type permission struct {
	at        *document.Node
	direction int
	group     string // of an orphan
	proto     *document.Node
	from, to  *document.Node
	peers     []peer
	unknown   string // why the rule is not understood at all
	maybe     string // why the rule may not be there
}

// Kinds of peers.
type peerKind uint8

const (
	cidr peerKind = iota
	prefixList
	member
	notLiteral
)

// peer is one source or destination of a permission.
type peer struct {
	kind    peerKind
	at      *document.Node
	text    string
	owner   string
	comment string
}

// group finds or makes the group of an id.
func (r *reader) group(id string) *group {
	if g := r.byID[id]; g != nil {
		return g
	}
	g := &group{id: id}
	r.groups = append(r.groups, g)
	r.byID[id] = g
	return g
}

// describedGroup reads an entry of describe-security-groups.
func (r *reader) describedGroup(n *document.Node) {
	g := r.group(cmp.Or(n.Get("GroupId").Text(), n.Get("GroupName").Text()))
	if g.described {
		r.problem(n, "a group that is listed twice")
		return
	}
	g.name, g.owner, g.described = n.Get("GroupName").Text(), n.Get("OwnerId").Text(), true
	for direction, key := range []string{"IpPermissions", "IpPermissionsEgress"} {
		list := n.Get(key)
		if list.Kind() != document.List {
			g.rules = append(g.rules, permission{at: n, direction: direction, unknown: "the " + directionNames[direction] + " rules of " + g.id + ", which the file does not list"})
		}
		for p := range list.Items() {
			g.rules = append(g.rules, describedPermission(p, direction))
		}
	}
}

func describedPermission(n *document.Node, direction int) permission {
	p := permission{at: n, direction: direction, proto: n.Get("IpProtocol"), from: n.Get("FromPort"), to: n.Get("ToPort")}
	add := func(kind peerKind, list, key string) {
		for v := range n.Get(list).Items() {
			p.peers = append(p.peers, peer{kind: kind, at: v, text: v.Get(key).Text(), comment: v.Get("Description").Text()})
		}
	}
	add(cidr, "IpRanges", "CidrIp")
	add(cidr, "Ipv6Ranges", "CidrIpv6")
	add(prefixList, "PrefixListIds", "PrefixListId")
	for v := range n.Get("UserIdGroupPairs").Items() {
		id := cmp.Or(v.Get("GroupId").Text(), v.Get("GroupName").Text())
		p.peers = append(p.peers, peer{kind: member, at: v, text: id, owner: v.Get("UserId").Text(), comment: v.Get("Description").Text()})
	}
	return p
}

// describedRule reads an entry of describe-security-group-rules.
func (r *reader) describedRule(n *document.Node) {
	p := permission{at: n, proto: n.Get("IpProtocol"), from: n.Get("FromPort"), to: n.Get("ToPort")}
	if n.Get("IsEgress").True() {
		p.direction = egress
	}
	pair := n.Get("ReferencedGroupInfo")
	for _, v := range []peer{{kind: cidr, at: n.Get("CidrIpv4")}, {kind: cidr, at: n.Get("CidrIpv6")}, {kind: prefixList, at: n.Get("PrefixListId")},
		{kind: member, at: pair.Get("GroupId"), owner: pair.Get("UserId").Text()}} {
		if v.text, v.comment = v.at.Text(), n.Get("Description").Text(); v.text != "" {
			p.peers = append(p.peers, v)
		}
	}
	g := r.group(n.Get("GroupId").Text())
	g.owner = cmp.Or(g.owner, n.Get("GroupOwnerId").Text())
	g.rules = append(g.rules, p)
}

// rulesOf turns a permission into rules, one for each peer.
func (r *reader) rulesOf(p *permission) (out []*ruleset.Rule) {
	if p.unknown != "" {
		return []*ruleset.Rule{permitIf("allow what is not known", p.at, ruleset.Atom{Why: p.unknown, Unknown: true})}
	}
	service, words, err := serviceExpr(p.proto, p.from, p.to)
	if err != nil {
		r.problem(cmp.Or(p.proto, p.at), err.Error())
		service, words = ruleset.Atom{Why: err.Error(), Unknown: true}, "something"
	}
	if len(p.peers) == 0 {
		r.problem(p.at, "a rule without source or destination")
		p.peers = []peer{{kind: notLiteral, at: p.at, text: "the rule's source or destination, which the file does not say"}}
	}
	for _, v := range p.peers {
		where := cmp.Or(v.at, p.at)
		text := fmt.Sprintf("allow %s %s %s", words, [2]string{"from", "to"}[p.direction], v.text)
		rule := permitIf(text, where, service, r.peerExpr(v, p.direction))
		rule.Comment = v.comment
		if p.maybe != "" {
			rule.Steps = append([]ruleset.Step{ruleset.Match{Expr: ruleset.Atom{Why: p.maybe, Unknown: true}}}, rule.Steps...)
		}
		out = append(out, rule)
	}
	return out
}

func permitIf(text string, at *document.Node, exprs ...ruleset.Expr) *ruleset.Rule {
	rule := &ruleset.Rule{Text: text, Line: at.Line()}
	for _, e := range exprs {
		if all, ok := e.(ruleset.All); ok && len(all) == 0 {
			continue
		}
		rule.Steps = append(rule.Steps, ruleset.Match{Expr: e})
	}
	rule.Steps = append(rule.Steps, ruleset.Decide{Verdict: ruleset.Accept})
	return rule
}

// peerExpr is the condition on the far address.
func (r *reader) peerExpr(v peer, direction int) ruleset.Expr {
	field := [2]ruleset.Field{ruleset.SAddr, ruleset.DAddr}[direction]
	atom := ruleset.Atom{Key: field.String() + " " + v.text, Unknown: true}
	switch v.kind {
	case cidr:
		s, err := values.Addresses(v.text)
		if err == nil {
			return ruleset.In{Field: field, Set: s}
		}
		r.problem(v.at, err.Error())
		atom.Why = fmt.Sprintf("the %s %q", field, v.text)
	case prefixList:
		if s, ok := r.lists[v.text]; ok {
			return ruleset.In{Field: field, Set: s}
		}
		atom.Why = fmt.Sprintf("the entries of prefix list %s", v.text)
	case member:
		id := r.groupNamed(v.text)
		members, untold := r.members(id, v.owner)
		if len(untold) == 0 {
			return ruleset.In{Field: field, Set: members}
		}
		atom.Why = fmt.Sprintf("whether the %s is a member of %s", field, id)
		return ruleset.Any{ruleset.In{Field: field, Set: members}, ruleset.All{ruleset.In{Field: field, Set: untold}, atom}}
	case notLiteral:
		atom.Why = v.text
	}
	return atom
}

// groupNamed finds the id of a group that is told by its name.
func (r *reader) groupNamed(s string) string {
	if r.byID[s] != nil || strings.HasPrefix(s, "sg-") {
		return s
	}
	found := ""
	for _, g := range r.groups {
		if g.name == s {
			if found != "" {
				return s // two groups have the name
			}
			found = g.id
		}
	}
	return cmp.Or(found, s)
}

// serviceExpr is the condition of IpProtocol, FromPort and ToPort.
func serviceExpr(protocol, from, to *document.Node) (ruleset.Expr, string, error) {
	name := strings.ToLower(protocol.Text())
	if name == "-1" || name == "all" {
		return ruleset.All{}, "all traffic", nil
	}
	n, ok := values.Protocol(name)
	if !ok {
		return nil, "", fmt.Errorf("no protocol of AWS: %q", name)
	}
	proto := ruleset.In{Field: ruleset.L4Proto, Set: ruleset.Numbers(uint64(n))}
	switch {
	case n == values.ICMP || n == values.ICMPv6:
		return icmpExpr(proto, n, from, to)
	case n == values.TCP || n == values.UDP:
		return portsExpr(proto, n, from, to)
	}
	return proto, "protocol " + strconv.Itoa(n), nil
}

func portsExpr(proto ruleset.In, n int, from, to *document.Node) (ruleset.Expr, string, error) {
	name := map[int]string{values.TCP: "tcp", values.UDP: "udp"}[n]
	lo, ok := from.Int()
	hi, ok2 := to.Int()
	if !ok || !ok2 || lo < 0 || hi > 65535 || hi < lo {
		return nil, "", fmt.Errorf("no range of ports: %q to %q", from.Text(), to.Text())
	}
	words := fmt.Sprintf("%s %d-%d", name, lo, hi)
	switch {
	case lo == 0 && hi == 65535:
		return proto, name, nil
	case lo == hi:
		words = fmt.Sprintf("%s %d", name, lo)
	}
	return ruleset.All{proto, number(ruleset.DPort, lo, hi)}, words, nil
}

// icmpExpr: FromPort is the type, ToPort the code; -1 is any.
func icmpExpr(proto ruleset.In, n int, from, to *document.Node) (ruleset.Expr, string, error) {
	family := uint64(ruleset.FamilyIPv4)
	words := "icmp"
	if n == values.ICMPv6 {
		family, words = ruleset.FamilyIPv6, "icmpv6"
	}
	all := ruleset.All{ruleset.In{Field: ruleset.NFProto, Set: ruleset.Numbers(family)}, proto}
	for i, field := range []ruleset.Field{ruleset.ICMPType, ruleset.ICMPCode} {
		v := [2]*document.Node{from, to}[i]
		k, ok := v.Int()
		switch {
		case v.Kind() <= document.Null || ok && k == -1:
			continue
		case !ok || k < 0 || k > 255:
			return nil, "", fmt.Errorf("no ICMP type and code: %q, %q", from.Text(), to.Text())
		}
		words += fmt.Sprintf(" %s %d", field, k)
		all = append(all, number(field, k, k))
	}
	return all, words, nil
}

func number(f ruleset.Field, lo, hi int) ruleset.In {
	return ruleset.In{Field: f, Set: ruleset.Range(ruleset.Number(uint64(lo)), ruleset.Number(uint64(hi)))}
}

// ruleSet makes the chains.
func (r *reader) ruleSet() *ruleset.RuleSet {
	r.adopt()
	set := &ruleset.RuleSet{}
	for _, g := range r.groups {
		r.groupChains(g)
		set.Chains = append(set.Chains, g.chains[:]...)
	}
	if len(r.groups) == 1 && len(r.cards) == 0 {
		bind(r.groups[0].chains, ruleset.Binding{})
	}
	for _, a := range r.acls {
		chains := r.aclChains(a)
		if len(r.acls) == 1 && len(r.cards) == 0 && len(r.groups) < 2 {
			bind([2]*ruleset.Chain(chains), ruleset.Binding{})
		}
		set.Chains = append(set.Chains, chains...)
	}
	for _, c := range r.cards {
		set.Chains = append(set.Chains, r.cardChains(c)...)
	}
	return set
}

func bind(chains [2]*ruleset.Chain, to ruleset.Binding) {
	for _, ch := range chains {
		to.Direction = ch.Way
		ch.Bindings = append(ch.Bindings, to)
	}
}

// binding is where the groups of a card apply. Its addresses tell it only
// where no network ACL stands before them.
func (r *reader) binding(c *card) ruleset.Binding {
	if len(r.acls) > 0 {
		return ruleset.Binding{Device: c.id}
	}
	return ruleset.Binding{Device: c.id, Addrs: c.addrs}
}

func newChains(id, name string, stateful bool) (out [2]*ruleset.Chain) {
	for i, direction := range directionNames {
		title := id + " " + direction
		if name != "" && name != id {
			title = fmt.Sprintf("%s (%s) %s", id, name, direction)
		}
		out[i] = &ruleset.Chain{Families: both, Title: title, Name: id + " " + direction, Policy: ruleset.Drop, Stateful: stateful,
			Way: [2]ruleset.Direction{ruleset.Inward, ruleset.Outward}[i]}
	}
	return out
}

func (r *reader) groupChains(g *group) {
	g.chains = newChains(g.id, g.name, true)
	for i := range g.rules {
		ch := g.chains[g.rules[i].direction]
		ch.Rules = append(ch.Rules, r.rulesOf(&g.rules[i])...)
	}
	if g.openEgress {
		g.chains[egress].Rules = append(g.chains[egress].Rules, g.defaultEgress())
	}
	if g.partly != "" {
		for _, ch := range g.chains {
			ch.Rules = append(ch.Rules, permitIf("allow what else "+g.id+" allows", nil, ruleset.Atom{Why: g.partly, Unknown: true}))
		}
	}
}

// defaultEgress is the rule that a group has when its template gives it none.
// Whether it stays beside rules that stand alone is not documented clearly.
func (g *group) defaultEgress() *ruleset.Rule {
	const text = "allow all traffic to 0.0.0.0/0, ::/0 (the default)"
	if len(g.chains[egress].Rules) > 0 {
		why := "whether the default egress rule of " + g.id + " is still there"
		return permitIf(text, nil, ruleset.Atom{Key: why, Why: why, Unknown: true})
	}
	return permitIf(text, nil)
}

// cardChains binds the rules of an interface's groups to it: the chains of
// its only group, or chains of its own in which those of several stand
// together.
func (r *reader) cardChains(c *card) []*ruleset.Chain {
	if len(c.groups) == 1 {
		if g := r.byID[c.groups[0]]; g != nil {
			bind(g.chains, r.binding(c))
			return nil
		}
	}
	chains := newChains(c.id, c.name, true)
	for i, ch := range chains {
		for _, id := range c.groups {
			if g := r.byID[id]; g != nil {
				ch.Rules = append(ch.Rules, g.chains[i].Rules...)
				continue
			}
			why := fmt.Sprintf("the rules of %s, which the file does not list", id)
			ch.Rules = append(ch.Rules, permitIf("allow what "+id+" allows", nil, ruleset.Atom{Key: why, Why: why, Unknown: true}))
		}
	}
	bind(chains, r.binding(c))
	return chains[:]
}

// adopt gives rules to their groups; those whose group is not known may
// belong to any.
func (r *reader) adopt() {
	for _, p := range r.orphans {
		if g := r.byID[p.group]; g != nil {
			g.rules = append(g.rules, p)
			continue
		}
		if strings.HasPrefix(p.group, "sg-") {
			g := r.group(p.group)
			g.partly = "rules of " + g.id + " that the file does not define"
			g.rules = append(g.rules, p)
			continue
		}
		r.problem(p.at, "a rule of a security group that the file does not tell")
		p.maybe = "whether the rule belongs to this group"
		if len(r.groups) == 0 {
			r.group("unknown group")
		}
		for _, g := range slices.Clone(r.groups) {
			g.rules = append(g.rules, p)
		}
	}
	r.orphans = nil
}
