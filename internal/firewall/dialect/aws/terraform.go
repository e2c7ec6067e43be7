package aws

import (
	"cmp"
	"fmt"
	"strings"

	"github.com/portreeve/portreeve/internal/firewall/dialect/document"
	"github.com/portreeve/portreeve/internal/firewall/dialect/values"
	"github.com/portreeve/portreeve/internal/firewall/ruleset"
)

// configuration reads the "resource" object of Terraform configuration in
// JSON syntax: type, then name, then the body or a list of bodies.
func (r *reader) configuration(n *document.Node) {
	for types := range n.Each() {
		for kind, list := range types.Fields() {
			for names := range list.Each() {
				r.named(kind, names)
			}
		}
	}
}

func (r *reader) named(kind string, names *document.Node) {
	for name, bodies := range names.Fields() {
		for body := range bodies.Each() {
			r.resource(kind, kind+"."+name, body)
		}
	}
}

// mostModules bounds how deep modules may stand in each other.
const mostModules = 50

// state reads a module of `terraform show -json`.
func (r *reader) state(n *document.Node, depth int) {
	for res := range n.Get("resources").Items() {
		if mode := res.Get("mode").Text(); mode == "" || mode == "managed" {
			r.resource(res.Get("type").Text(), res.Get("address").Text(), res.Get("values"))
		}
	}
	if depth < mostModules {
		for child := range n.Get("child_modules").Items() {
			r.state(child, depth+1)
		}
	}
}

func (r *reader) resource(kind, address string, n *document.Node) {
	if n.Kind() != document.Map {
		return
	}
	if n.Get("count").Kind() > document.Null || n.Get("for_each").Kind() > document.Null {
		r.problem(n, "a resource that Terraform makes several times: only its pattern is read")
	}
	switch kind {
	case "aws_security_group", "aws_default_security_group":
		r.terraformGroup(address, n)
	case "aws_security_group_rule":
		r.terraformRule(n, n.Get("type").Text())
	case "aws_vpc_security_group_ingress_rule":
		r.terraformRule(n, "ingress")
	case "aws_vpc_security_group_egress_rule":
		r.terraformRule(n, "egress")
	case "aws_network_acl", "aws_default_network_acl":
		r.terraformACL(address, n)
	case "aws_network_acl_rule":
		r.terraformEntry(n)
	case "aws_ec2_managed_prefix_list":
		r.terraformPrefixList(address, n)
	}
}

// literal is the text of an expression that is a constant or a reference to a
// resource of the same file ("${aws_security_group.web.id}"), and whether it
// is.
func literal(s string) (string, bool) {
	inner, ok := strings.CutPrefix(s, "${")
	if !ok {
		return s, !strings.Contains(s, "${") && !strings.Contains(s, "%{")
	}
	inner = strings.TrimSpace(strings.TrimSuffix(inner, "}"))
	for _, suffix := range []string{".id", ".arn", ".security_group_id"} {
		inner = strings.TrimSuffix(inner, suffix)
	}
	ok = strings.HasPrefix(inner, "aws_") && strings.Count(inner, ".") == 1 && !strings.ContainsAny(inner, " ()[]{}?*\"")
	return inner, ok
}

func (r *reader) terraformGroup(address string, n *document.Node) {
	g := r.group(cmp.Or(n.Get("id").Text(), address))
	r.byID[address] = g
	g.name = n.Get("name").Text()
	for direction, key := range directionNames {
		block := n.Get(key)
		if t := block.Text(); t != "" {
			g.rules = append(g.rules, permission{at: block, direction: direction, unknown: "the expression " + t})
		}
		for v := range block.Each() {
			if v.Kind() != document.Map {
				continue
			}
			p := terraformPermission(v, g.id)
			p.direction = direction
			g.rules = append(g.rules, p)
		}
	}
	if n.Get("dynamic").Kind() > document.Null {
		g.partly = "the dynamic blocks of " + address
	}
}

// terraformPermission reads an ingress or egress block, or a rule's resource.
func terraformPermission(n *document.Node, self string) permission {
	p := permission{at: n, proto: cmp.Or(n.Get("protocol"), n.Get("ip_protocol")), from: n.Get("from_port"), to: n.Get("to_port")}
	comment := n.Get("description").Text()
	add := func(kind peerKind, keys ...string) {
		for _, key := range keys {
			for v := range n.Get(key).Each() {
				p.peers = append(p.peers, expressionPeer(v, kind, comment))
			}
		}
	}
	add(cidr, "cidr_blocks", "ipv6_cidr_blocks", "cidr_ipv4", "cidr_ipv6")
	add(prefixList, "prefix_list_ids", "prefix_list_id")
	add(member, "security_groups", "source_security_group_id", "referenced_security_group_id")
	if n.Get("self").True() {
		p.peers = append(p.peers, peer{kind: member, at: n.Get("self"), text: self, comment: comment})
	}
	return p
}

func expressionPeer(v *document.Node, kind peerKind, comment string) peer {
	text, ok := literal(v.Text())
	if !ok || kind == cidr && text != v.Text() || v.Kind() != document.String {
		return peer{kind: notLiteral, at: v, text: fmt.Sprintf("the expression %q", v.Text()), comment: comment}
	}
	if kind == member { // account/group
		if owner, id, both := strings.Cut(text, "/"); both {
			return peer{kind: member, at: v, text: id, owner: owner, comment: comment}
		}
	}
	return peer{kind: kind, at: v, text: text, comment: comment}
}

func (r *reader) terraformRule(n *document.Node, direction string) {
	id, ok := literal(n.Get("security_group_id").Text())
	p := terraformPermission(n, id)
	if ok {
		p.group = id
	}
	switch direction {
	case "egress":
		p.direction = egress
	case "ingress":
	default: // it may be either; the other way is added as unknown too
		p.unknown = fmt.Sprintf("a rule of the type %q", direction)
		out := p
		out.direction = egress
		r.orphans = append(r.orphans, out)
	}
	r.orphans = append(r.orphans, p)
}

func (r *reader) terraformACL(address string, n *document.Node) {
	a := r.acl(cmp.Or(n.Get("id").Text(), address))
	r.aclByID[address] = a
	a.name = n.At("tags", "Name").Text()
	for direction, key := range directionNames {
		for v := range n.Get(key).Each() {
			if v.Kind() != document.Map {
				a.partly = "the expression " + v.Text()
				continue
			}
			a.entries = append(a.entries, entry{at: v, direction: direction, number: r.ruleNumber(v, v.Get("rule_no")),
				action: v.Get("action").Text(), proto: v.Get("protocol").Text(), from: v.Get("from_port"), to: v.Get("to_port"),
				typ: v.Get("icmp_type"), code: v.Get("icmp_code"), prefixes: present(v.Get("cidr_block"), v.Get("ipv6_cidr_block"))})
		}
	}
	if n.Get("dynamic").Kind() > document.Null {
		a.partly = "the dynamic blocks of " + address
	}
}

func (r *reader) terraformEntry(n *document.Node) {
	id, ok := literal(n.Get("network_acl_id").Text())
	if !ok || id == "" {
		r.problem(n, "an entry of an access list that the file does not tell")
		id = "unknown access list"
	}
	a := r.acl(id)
	e := entry{at: n, number: r.ruleNumber(n, n.Get("rule_number")), action: n.Get("rule_action").Text(), proto: n.Get("protocol").Text(),
		from: n.Get("from_port"), to: n.Get("to_port"), typ: n.Get("icmp_type"), code: n.Get("icmp_code"),
		prefixes: present(n.Get("cidr_block"), n.Get("ipv6_cidr_block"))}
	if n.Get("egress").True() {
		e.direction = egress
	}
	a.entries = append(a.entries, e)
}

func (r *reader) terraformPrefixList(address string, n *document.Node) {
	set := ruleset.Set{}
	for v := range n.Get("entry").Each() {
		s, err := values.Addresses(v.Get("cidr").Text())
		if err != nil {
			r.problem(v, err.Error())
			return
		}
		set = ruleset.Union(set, s)
	}
	r.lists[address] = set
	if id := n.Get("id").Text(); id != "" {
		r.lists[id] = set
	}
}
