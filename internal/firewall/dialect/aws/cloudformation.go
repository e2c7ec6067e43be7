package aws

import (
	"fmt"
	"strings"

	"github.com/portreeve/portreeve/internal/firewall/dialect/document"
)

// template reads the Resources of a CloudFormation template. A logical name
// is the group's id; intrinsic functions other than Ref and GetAtt of a
// resource are not looked into.
func (r *reader) template(n *document.Node) {
	for name, res := range n.Fields() {
		props := res.Get("Properties")
		if res.Get("Condition").Kind() > document.Null {
			r.problem(res.Get("Condition"), "a resource that is made under a condition, taken as made")
		}
		switch res.Get("Type").Text() {
		case "AWS::EC2::SecurityGroup":
			r.templateGroup(name, props)
		case "AWS::EC2::SecurityGroupIngress":
			r.templateRule(props, ingress)
		case "AWS::EC2::SecurityGroupEgress":
			r.templateRule(props, egress)
		case "AWS::EC2::NetworkAcl":
			r.acl(name)
		case "AWS::EC2::NetworkAclEntry":
			r.templateEntry(props)
		}
	}
}

// reference is the text of a literal, a Ref or a GetAtt of a resource.
func reference(n *document.Node) (string, bool) {
	switch n.Kind() {
	case document.String, document.Number:
		return n.Text(), !strings.Contains(n.Text(), "{{resolve:")
	case document.Map:
		if s := n.Get("Ref").Text(); s != "" {
			return s, true
		}
		if list := n.Get("Fn::GetAtt").Texts(); len(list) > 0 {
			name, _, _ := strings.Cut(list[0], ".")
			return name, name != ""
		}
	}
	return "", false
}

func (r *reader) templateGroup(name string, n *document.Node) {
	g := r.group(name)
	g.name = n.Get("GroupName").Text()
	for direction, key := range []string{"SecurityGroupIngress", "SecurityGroupEgress"} {
		for v := range n.Get(key).Each() {
			p := templatePermission(v)
			p.direction = direction
			g.rules = append(g.rules, p)
		}
	}
	if n.Get("SecurityGroupEgress").Len() == 0 {
		// AWS::EC2::SecurityGroup: without egress rules everything may leave.
		g.openEgress = true
	}
}

func templatePermission(n *document.Node) permission {
	p := permission{at: n, proto: n.Get("IpProtocol"), from: n.Get("FromPort"), to: n.Get("ToPort")}
	if n.Kind() != document.Map || n.Get("Fn::If").Kind() > document.Null {
		p.unknown = "a rule that is not literal"
		return p
	}
	comment := n.Get("Description").Text()
	add := func(kind peerKind, keys ...string) {
		for _, key := range keys {
			v := n.Get(key)
			if v.Kind() <= document.Null {
				continue
			}
			text, ok := reference(v)
			if !ok || kind == cidr && v.Kind() == document.Map {
				p.peers = append(p.peers, peer{kind: notLiteral, at: v, text: fmt.Sprintf("the value of %s", key), comment: comment})
				continue
			}
			p.peers = append(p.peers, peer{kind: kind, at: v, text: text, comment: comment})
		}
	}
	add(cidr, "CidrIp", "CidrIpv6")
	add(prefixList, "SourcePrefixListId", "DestinationPrefixListId")
	add(member, "SourceSecurityGroupId", "SourceSecurityGroupName", "DestinationSecurityGroupId")
	return p
}

func (r *reader) templateRule(n *document.Node, direction int) {
	p := templatePermission(n)
	p.direction = direction
	if id, ok := reference(n.Get("GroupId")); ok {
		p.group = id
	} else if id, ok := reference(n.Get("GroupName")); ok {
		p.group = id
	}
	r.orphans = append(r.orphans, p)
}

func (r *reader) templateEntry(n *document.Node) {
	id, ok := reference(n.Get("NetworkAclId"))
	if !ok {
		r.problem(n, "an entry of an access list that the file does not tell")
		id = "unknown access list"
	}
	a := r.acl(id)
	e := entry{at: n, number: r.ruleNumber(n, n.Get("RuleNumber")), action: n.Get("RuleAction").Text(), proto: n.Get("Protocol").Text(),
		from: n.At("PortRange", "From"), to: n.At("PortRange", "To"), typ: n.At("Icmp", "Type"), code: n.At("Icmp", "Code"),
		prefixes: present(n.Get("CidrBlock"), n.Get("Ipv6CidrBlock"))}
	if n.Get("Egress").True() {
		e.direction = egress
	}
	a.entries = append(a.entries, e)
}
