package azure

import (
	"cmp"
	"slices"
	"strings"

	"github.com/portreeve/portreeve/internal/firewall/dialect/document"
	"github.com/portreeve/portreeve/internal/firewall/ruleset"
)

// Priorities: rules have 100 to 4096, default rules from 65000.
const firstDefault = 65000

// defaultRules are those that every group has (Microsoft's documentation of
// network security groups, default security rules).
const defaultRules = `[
 {"name": "AllowVnetInBound", "priority": 65000, "direction": "Inbound", "access": "Allow", "protocol": "*", "sourceAddressPrefix": "VirtualNetwork", "sourcePortRange": "*", "destinationAddressPrefix": "VirtualNetwork", "destinationPortRange": "*"},
 {"name": "AllowAzureLoadBalancerInBound", "priority": 65001, "direction": "Inbound", "access": "Allow", "protocol": "*", "sourceAddressPrefix": "AzureLoadBalancer", "sourcePortRange": "*", "destinationAddressPrefix": "*", "destinationPortRange": "*"},
 {"name": "DenyAllInBound", "priority": 65500, "direction": "Inbound", "access": "Deny", "protocol": "*", "sourceAddressPrefix": "*", "sourcePortRange": "*", "destinationAddressPrefix": "*", "destinationPortRange": "*"},
 {"name": "AllowVnetOutBound", "priority": 65000, "direction": "Outbound", "access": "Allow", "protocol": "*", "sourceAddressPrefix": "VirtualNetwork", "sourcePortRange": "*", "destinationAddressPrefix": "VirtualNetwork", "destinationPortRange": "*"},
 {"name": "AllowInternetOutBound", "priority": 65001, "direction": "Outbound", "access": "Allow", "protocol": "*", "sourceAddressPrefix": "*", "sourcePortRange": "*", "destinationAddressPrefix": "Internet", "destinationPortRange": "*"},
 {"name": "DenyAllOutBound", "priority": 65500, "direction": "Outbound", "access": "Deny", "protocol": "*", "sourceAddressPrefix": "*", "sourcePortRange": "*", "destinationAddressPrefix": "*", "destinationPortRange": "*"}
]`

var directions = [2]string{"inbound", "outbound"}

func (r *reader) ruleSet() *ruleset.RuleSet {
	set := &ruleset.RuleSet{}
	for _, g := range r.groups {
		set.Chains = append(set.Chains, r.chains(g)...)
	}
	return set
}

// chains makes the two chains of a group.
func (r *reader) chains(g *group) []*ruleset.Chain {
	title := r.title(g)
	var out [2]*ruleset.Chain
	for i, d := range directions {
		out[i] = &ruleset.Chain{Families: both, Title: title + " " + d, Name: title + " " + d, Policy: ruleset.Drop, Stateful: true,
			Way: [2]ruleset.Direction{ruleset.Inward, ruleset.Outward}[i]}
	}
	rules := append(slices.Clone(g.rules), g.defaults...)
	if !g.hasOwn {
		if docs, err := document.JSON([]byte(defaultRules)); err == nil {
			rules = append(rules, slices.Collect(docs[0].Items())...)
		}
	}
	slices.SortStableFunc(rules, func(a, b *document.Node) int { return cmp.Compare(priority(a), priority(b)) })
	t := r.tags(g)
	for i, n := range rules {
		rule := r.rule(n, t)
		if !g.hasOwn && priority(n) >= firstDefault {
			rule.Line = 0 // it does not stand in the file
		}
		if i > 0 && priority(n) == priority(rules[i-1]) && direction(n) == direction(rules[i-1]) {
			r.problem(n, "two rules of one priority")
		}
		switch direction(n) {
		case "inbound":
			out[0].Rules = append(out[0].Rules, rule)
		case "outbound":
			out[1].Rules = append(out[1].Rules, rule)
		default:
			r.problem(n, "a rule whose direction is not known")
			maybe := &ruleset.Rule{Text: rule.Text, Line: rule.Line, Steps: []ruleset.Step{ruleset.Elsewhere{Why: "a rule whose direction is not known", MayContinue: true}}}
			out[0].Rules, out[1].Rules = append(out[0].Rules, maybe), append(out[1].Rules, maybe)
		}
	}
	r.bind(g, out)
	return out[:]
}

func priority(n *document.Node) int {
	p, ok := prop(n, "priority").Int()
	if !ok {
		return 0 // it may come before all: the rule itself says it is not understood
	}
	return p
}

func direction(n *document.Node) string {
	return strings.ToLower(prop(n, "direction").Text())
}

// title is the group's name, with its resource group where another has the
// same.
func (r *reader) title(g *group) string {
	for _, o := range r.groups {
		if o == g || !strings.EqualFold(o.name, g.name) {
			continue
		}
		if _, rest, ok := strings.Cut(g.id, "/resourcegroups/"); ok {
			in, _, _ := strings.Cut(rest, "/")
			return in + "/" + g.name
		}
	}
	return g.name
}

// bind says on which interfaces and subnets the group's chains apply.
func (r *reader) bind(g *group, chains [2]*ruleset.Chain) {
	var devices []string
	add := func(name string) {
		if name != "" && !slices.Contains(devices, name) {
			devices = append(devices, name)
		}
	}
	for _, c := range r.cards {
		if c.group != "" && c.group == g.id || slices.Contains(g.cards, c.id) || slices.ContainsFunc(c.subnets, func(s string) bool { return r.uses(g, s) }) {
			add(c.name)
		}
	}
	for _, v := range r.networks {
		for _, s := range v.children {
			if r.uses(g, s) {
				add(v.names[s])
			}
		}
	}
	if len(devices) == 0 && len(r.groups) == 1 {
		devices = []string{""}
	}
	for i, way := range []ruleset.Direction{ruleset.Inward, ruleset.Outward} {
		for _, d := range devices {
			chains[i].Bindings = append(chains[i].Bindings, ruleset.Binding{Device: d, Direction: way})
		}
	}
}

// uses reports whether a subnet has the group.
func (r *reader) uses(g *group, subnet string) bool {
	if subnet == "" {
		return false
	}
	if slices.Contains(g.subnets, subnet) {
		return true
	}
	return g.id != "" && slices.ContainsFunc(r.networks, func(v *network) bool { return v.subnets[subnet] == g.id })
}
