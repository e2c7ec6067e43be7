package aws

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"strings"

	"github.com/portreeve/portreeve/internal/firewall/dialect/permits"
	"github.com/portreeve/portreeve/internal/firewall/dialect/values"
	"github.com/portreeve/portreeve/internal/firewall/rulefile"
	"github.com/portreeve/portreeve/internal/firewall/ruleset"
)

// RenderOptions say what is written.
type RenderOptions struct {
	// Terraform writes configuration in JSON syntax (.tf.json); otherwise it
	// is the JSON that `aws ec2 authorize-security-group-ingress
	// --cli-input-json` takes, or a list of such groups.
	Terraform bool
	// GroupID is the group that is meant, GroupName the name of a new one;
	// without both it is named like the file.
	GroupID, GroupName string
	// VpcID is the network of new groups in Terraform.
	VpcID string
	// For are the addresses that the group will be attached to: only what goes
	// to them is written, and in one group. Empty: a group for every set of
	// destinations.
	For []netip.Prefix
}

// ErrSeveral is returned when one group is named and the rules have several
// sets of destinations.
var ErrSeveral = errors.New("the rules have several destinations, and one group is for all its members: say which addresses it is for")

// Render writes security groups that permit what the file permits. A group
// permits to whom it is attached, so every set of destinations becomes a group
// of its own; its description says for which addresses it is. What a security
// group has no words for is left out and said in the notes, one sentence each.
func Render(w io.Writer, f *rulefile.File, o RenderOptions) (notes []string, err error) {
	policy, err := permits.Of(f, permits.Able{For: o.For})
	if err != nil {
		return nil, err
	}
	groups := permits.ByDestination(policy.Permits)
	if len(groups) > 1 && (o.GroupID != "" || len(o.For) > 0) {
		return nil, ErrSeveral
	}
	if len(groups) == 0 {
		groups = []permits.Group{{To: permits.Full(permits.To)}}
	}
	out := &writer{notes: policy.Notes}
	name := groupName(f, o)
	made := make([]madeGroup, len(groups))
	for i, g := range groups {
		made[i] = madeGroup{ID: o.GroupID, Name: name, Description: description("what " + name + " permits to " + permits.Addresses(g.To)), Ingress: out.permissions(g.Regions)}
		if len(groups) > 1 {
			made[i].Name = fmt.Sprintf("%s-%d", name, i+1)
		}
		if n := made[i].rules(); n > quota {
			out.notes = append(out.notes, fmt.Sprintf("the group %s has %d rules; without a higher quota a group takes %d", cmp.Or(o.GroupID, made[i].Name), n, quota))
		}
		if to := permits.Addresses(g.To); to != "any" || len(groups) > 1 {
			out.notes = append(out.notes, fmt.Sprintf("attach the group %s to %s", cmp.Or(o.GroupID, made[i].Name), to))
		}
	}
	var doc any = commandLine(made)
	if o.Terraform {
		doc = out.terraform(made, o)
	} else if len(made) > 1 {
		out.notes = append(out.notes, `each entry of SecurityGroups is one input: jq '.SecurityGroups[0]' FILE | aws ec2 authorize-security-group-ingress --cli-input-json file:///dev/stdin`)
	}
	return out.notes, encode(w, doc)
}

func encode(w io.Writer, doc any) error {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	if err := enc.Encode(doc); err != nil {
		return err
	}
	_, err := w.Write(b.Bytes())
	return err
}

func groupName(f *rulefile.File, o RenderOptions) string {
	for _, s := range []string{o.GroupName, f.Name} {
		if s = description(s); s != "" && !strings.HasPrefix(s, "sg-") {
			return s
		}
	}
	return "portreeve"
}

// description keeps what descriptions and names of groups may have, up to 255
// characters (EC2 API reference, CreateSecurityGroup).
func description(s string) string {
	const allowed = "._-:/()#,@[]+=&;{}!$* "
	s = strings.Map(func(c rune) rune {
		if c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || strings.ContainsRune(allowed, c) {
			return c
		}
		return ' '
	}, s)
	s = strings.NewReplacer("${", "{", "%{", "{").Replace(s) // no templates for Terraform
	s = strings.Join(strings.Fields(s), " ")
	return strings.TrimSpace(s[:min(len(s), 255)])
}

// madeGroup is a group to be written.
type madeGroup struct {
	ID, Name, Description string
	Ingress               []ipPermission
}

// quota is how many inbound rules of IPv4, and of IPv6, a group takes by
// default (Amazon VPC quotas).
const quota = 60

// rules is the larger number of rules of one family.
func (g *madeGroup) rules() int {
	four, six := 0, 0
	for _, p := range g.Ingress {
		four, six = four+len(p.IpRanges), six+len(p.Ipv6Ranges)
	}
	return max(four, six)
}

// ipPermission is IpPermission of the EC2 API.
type ipPermission struct {
	IpProtocol string
	FromPort   *int        `json:",omitempty"`
	ToPort     *int        `json:",omitempty"`
	IpRanges   []ipRange   `json:",omitempty"`
	Ipv6Ranges []ipv6Range `json:",omitempty"`
}

type ipRange struct {
	CidrIp      string
	Description string `json:",omitempty"`
}

type ipv6Range struct {
	CidrIpv6    string
	Description string `json:",omitempty"`
}

// inputGroup is the input of authorize-security-group-ingress.
type inputGroup struct {
	GroupId       string `json:",omitempty"`
	GroupName     string `json:",omitempty"`
	IpPermissions []ipPermission
}

func commandLine(made []madeGroup) any {
	list := make([]inputGroup, len(made))
	for i, g := range made {
		list[i] = inputGroup{GroupId: g.ID, GroupName: g.Name, IpPermissions: g.Ingress}
		if g.ID != "" {
			list[i].GroupName = ""
		}
	}
	if len(list) == 1 {
		return list[0]
	}
	return struct{ SecurityGroups []inputGroup }{list}
}

type writer struct{ notes []string }

// permissions writes the regions of a group.
func (w *writer) permissions(regions []permits.Region) []ipPermission {
	out := []ipPermission{}
	for i := range regions {
		r := &regions[i]
		p := ipPermission{}
		text := description(strings.TrimSpace(r.Rule.Name + " " + r.Rule.Comment))
		for _, x := range values.Prefixes(r.Sets[permits.From]) {
			if x.Addr().Is4() {
				p.IpRanges = append(p.IpRanges, ipRange{x.String(), text})
			} else {
				p.Ipv6Ranges = append(p.Ipv6Ranges, ipv6Range{x.String(), text})
			}
		}
		out = append(out, w.services(r, p)...)
	}
	return out
}

// services writes the protocols and ports of a region, with its sources.
func (w *writer) services(r *permits.Region, p ipPermission) (out []ipPermission) {
	add := func(proto string, from, to int, ranged bool) {
		next := p
		next.IpProtocol = proto
		if ranged {
			next.FromPort, next.ToPort = &from, &to
		}
		out = append(out, next)
	}
	protocols := r.Protocols()
	if protocols == nil {
		add("-1", 0, 0, false)
		return out
	}
	for _, n := range protocols {
		switch {
		case n == values.TCP || n == values.UDP:
			name := map[int]string{values.TCP: "tcp", values.UDP: "udp"}[n]
			permits.Values(r.Sets[permits.Ports], func(lo, hi int) { add(name, lo, hi, true) })
		case n == values.ICMP || n == values.ICMPv6:
			name := map[int]string{values.ICMP: "icmp", values.ICMPv6: "icmpv6"}[n]
			icmpTypes(r.Sets[permits.Types], func(typ, code int) { add(name, typ, code, true) })
		case values.HasPorts(n) && !r.Any(permits.Ports):
			w.notes = append(w.notes, fmt.Sprintf("%s is left out for protocol %d: security groups know no ports of it", permits.Name(r.Rule), n))
		default:
			add(fmt.Sprint(n), 0, 0, false)
		}
	}
	return out
}

// icmpTypes calls fn for every type, with code -1 for all codes; once with
// -1, -1 for all types.
func icmpTypes(s ruleset.Set, fn func(typ, code int)) {
	if s.Equal(permits.Full(permits.Types)) {
		fn(-1, -1)
		return
	}
	permits.Values(s, func(lo, hi int) {
		for v := lo; v <= hi; v++ {
			if v&255 == 0 && v+255 <= hi {
				fn(v>>8, -1)
				v += 255
				continue
			}
			fn(v>>8, v&255)
		}
	})
}

// Terraform's resources (the AWS provider's aws_security_group and
// aws_vpc_security_group_ingress_rule).
type (
	terraformGroup struct {
		Name        string            `json:"name"`
		Description string            `json:"description"`
		VpcID       string            `json:"vpc_id,omitempty"`
		Tags        map[string]string `json:"tags"`
	}
	terraformRule struct {
		GroupID     string `json:"security_group_id"`
		Description string `json:"description,omitempty"`
		Protocol    string `json:"ip_protocol"`
		FromPort    *int   `json:"from_port,omitempty"`
		ToPort      *int   `json:"to_port,omitempty"`
		IPv4        string `json:"cidr_ipv4,omitempty"`
		IPv6        string `json:"cidr_ipv6,omitempty"`
	}
)

// terraform writes groups and their rules. Resources are numbered, so that no
// name of the file becomes an identifier.
func (w *writer) terraform(made []madeGroup, o RenderOptions) any {
	groups, rules, open := map[string]terraformGroup{}, map[string]terraformRule{}, map[string]terraformRule{}
	for i, g := range made {
		id := fmt.Sprintf("portreeve_%d", i+1)
		ref := fmt.Sprintf("${aws_security_group.%s.id}", id)
		if o.GroupID != "" {
			ref = description(o.GroupID)
		} else {
			groups[id] = terraformGroup{g.Name, g.Description, description(o.VpcID), map[string]string{"ManagedBy": "portreeve"}}
			for _, any := range []terraformRule{{IPv4: "0.0.0.0/0"}, {IPv6: "::/0"}} {
				any.GroupID, any.Protocol, any.Description = ref, "-1", "all egress, as groups have it by default"
				open[fmt.Sprintf("%s_%d", id, len(open)+1)] = any
			}
		}
		for _, p := range g.Ingress {
			base := terraformRule{GroupID: ref, Protocol: p.IpProtocol, FromPort: p.FromPort, ToPort: p.ToPort}
			for _, x := range p.IpRanges {
				base.IPv4, base.IPv6, base.Description = x.CidrIp, "", x.Description
				rules[fmt.Sprintf("%s_%05d", id, len(rules)+1)] = base
			}
			for _, x := range p.Ipv6Ranges {
				base.IPv4, base.IPv6, base.Description = "", x.CidrIpv6, x.Description
				rules[fmt.Sprintf("%s_%05d", id, len(rules)+1)] = base
			}
		}
	}
	return map[string]any{"resource": struct {
		Groups  map[string]terraformGroup `json:"aws_security_group,omitempty"`
		Ingress map[string]terraformRule  `json:"aws_vpc_security_group_ingress_rule,omitempty"`
		Egress  map[string]terraformRule  `json:"aws_vpc_security_group_egress_rule,omitempty"`
	}{groups, rules, open}}
}
