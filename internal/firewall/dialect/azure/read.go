package azure

import (
	"cmp"
	"errors"
	"io"
	"net/netip"
	"path"
	"slices"
	"strings"

	"github.com/portreeve/portreeve/internal/firewall/dialect/document"
	"github.com/portreeve/portreeve/internal/firewall/dialect/problem"
	"github.com/portreeve/portreeve/internal/firewall/ruleset"
)

// Options add to what the documents say.
type Options struct {
	// Tags are the prefixes of service tags by name, as Microsoft publishes
	// them.
	Tags map[string][]netip.Prefix
}

// ErrFormat is returned for documents without a network security group.
var ErrFormat = errors.New("no network security group of Azure")

// Read reads JSON documents. See the package comment for their forms.
func Read(in io.Reader, o Options) (*ruleset.RuleSet, []problem.Problem, error) {
	data, err := document.Bytes(in)
	if err != nil {
		return nil, nil, err
	}
	docs, err := document.JSON(data)
	r := &reader{opt: o, byID: map[string]*group{}}
	for _, d := range docs {
		r.document(d, 0)
	}
	set := r.ruleSet()
	switch {
	case len(set.Chains) > 0 && err != nil:
		set.Missing = append(set.Missing, ruleset.Missing{Families: both, Why: "the file is damaged: " + err.Error()})
		return set, r.problems.All(), err
	case err != nil:
		return nil, nil, err
	case len(set.Chains) == 0:
		return nil, r.problems.All(), ErrFormat
	}
	return set, r.problems.All(), nil
}

const both = ruleset.IPv4 | ruleset.IPv6

type reader struct {
	opt      Options
	problems problem.List
	groups   []*group
	byID     map[string]*group // by lower-case id, and by name
	networks []*network
	cards    []*card
}

// group is a network security group.
type group struct {
	id, name string
	rules    []*document.Node
	defaults []*document.Node
	hasOwn   bool // the default rules are in the document
	// subnets and cards are the ids, in lower case, of where it is used.
	subnets, cards []string
}

// network is a virtual network.
type network struct {
	id       string
	spaces   []*document.Node
	subnets  map[string]string // id of a subnet, id of its group
	names    map[string]string // id of a subnet, "network/subnet"
	open     string            // why there may be more addresses
	children []string
}

// card is a network interface.
type card struct {
	id, name string
	group    string
	subnets  []string
	asgs     []membership
}

// membership is an address in an application security group.
type membership struct {
	group string
	addr  *document.Node
}

func (r *reader) problem(n *document.Node, why string) {
	r.problems.Add(n.Line(), n.Column(), n.Text(), why)
}

// prop is a property, flat or below "properties".
func prop(n *document.Node, key string) *document.Node {
	if v := n.Fold("properties").Fold(key); v != nil {
		return v
	}
	return n.Fold(key)
}

func id(n *document.Node) string { return strings.ToLower(n.Fold("id").Text()) }

// mostNested bounds lists in lists and templates in templates.
const mostNested = 20

// document reads a value by its keys or its type.
func (r *reader) document(n *document.Node, depth int) {
	if depth > mostNested {
		return
	}
	if n.Kind() == document.List {
		r.list(n, depth)
		return
	}
	kind := strings.ToLower(n.Fold("type").Text())
	switch {
	case kind == "microsoft.network/networksecuritygroups/securityrules" && prop(n, "access") != nil:
		r.looseRule(n)
	case prop(n, "securityRules") != nil || kind == "microsoft.network/networksecuritygroups" || prop(n, "defaultSecurityRules") != nil:
		r.group(n)
	case n.Fold("effectiveSecurityRules") != nil:
		r.effective(n)
	case prop(n, "addressSpace") != nil:
		r.network(n)
	case prop(n, "ipConfigurations") != nil && (strings.HasSuffix(kind, "/networkinterfaces") || prop(n, "macAddress") != nil || prop(n, "networkSecurityGroup") != nil):
		r.card(n)
	}
	for _, key := range []string{"value", "resources"} {
		if v := n.Fold(key); v.Kind() == document.List {
			r.list(v, depth)
		}
	}
	if t := n.Fold("properties").Fold("template"); t.Kind() == document.Map { // a nested deployment
		r.document(t, depth+1)
	}
}

// list reads the values of a list. Rules by themselves are one group.
func (r *reader) list(n *document.Node, depth int) {
	var rules []*document.Node
	for v := range n.Items() {
		if !strings.Contains(strings.ToLower(v.Fold("type").Text()), "/securityrules") && prop(v, "access") != nil && prop(v, "priority") != nil ||
			prop(v, "access") != nil && strings.Contains(id(v), "/networksecuritygroups/") {
			rules = append(rules, v)
			continue
		}
		r.document(v, depth+1)
	}
	for _, v := range rules {
		r.looseRule(v)
	}
}

// looseRule reads a rule that stands by itself; its id or the first part of
// its name tells the group.
func (r *reader) looseRule(n *document.Node) {
	owner, name := "", ""
	if before, _, ok := strings.Cut(id(n), "/securityrules/"); ok {
		owner, name = before, path.Base(strings.SplitN(n.Fold("id").Text(), "/securityRules/", 2)[0])
	} else if before, _, ok := strings.Cut(n.Fold("name").Text(), "/"); ok {
		owner, name = strings.ToLower(before), before
	}
	g := r.byID[owner]
	if g == nil {
		g = &group{id: owner, name: cmp.Or(name, "rules")}
		r.groups = append(r.groups, g)
		r.byID[owner] = g
	}
	if p, ok := prop(n, "priority").Int(); ok && p >= firstDefault {
		g.defaults, g.hasOwn = append(g.defaults, n), true
		return
	}
	g.rules = append(g.rules, n)
}

func (r *reader) group(n *document.Node) {
	g := &group{id: id(n), name: cmp.Or(n.Fold("name").Text(), path.Base(n.Fold("id").Text()))}
	if g.id != "" && r.byID[g.id] != nil && len(r.byID[g.id].rules) > 0 {
		r.problem(n, "a group that is listed twice")
		return
	}
	g.rules = slices.Collect(prop(n, "securityRules").Items())
	if d := prop(n, "defaultSecurityRules"); d.Len() > 0 {
		g.defaults, g.hasOwn = slices.Collect(d.Items()), true
	}
	for v := range prop(n, "subnets").Items() {
		g.subnets = append(g.subnets, id(v))
	}
	for v := range prop(n, "networkInterfaces").Items() {
		g.cards = append(g.cards, id(v))
	}
	for v := range n.Fold("resources").Items() { // child resources of a template
		if prop(v, "access") != nil {
			g.rules = append(g.rules, v)
		}
	}
	r.add(g)
}

func (r *reader) add(g *group) {
	r.groups = append(r.groups, g)
	r.byID[cmp.Or(g.id, strings.ToLower(g.name))] = g
	if _, ok := r.byID[strings.ToLower(g.name)]; !ok {
		r.byID[strings.ToLower(g.name)] = g
	}
}

// effective reads an entry of list-effective-nsg.
func (r *reader) effective(n *document.Node) {
	of := n.Fold("networkSecurityGroup")
	g := &group{id: id(of), name: cmp.Or(path.Base(of.Fold("id").Text()), "effective"), hasOwn: true}
	g.rules = slices.Collect(n.Fold("effectiveSecurityRules").Items())
	r.add(g)
}

func (r *reader) network(n *document.Node) {
	v := &network{id: id(n), subnets: map[string]string{}, names: map[string]string{}}
	v.spaces = slices.Collect(prop(n, "addressSpace").Fold("addressPrefixes").Items())
	for s := range prop(n, "subnets").Items() {
		v.subnets[id(s)] = id(prop(s, "networkSecurityGroup"))
		v.names[id(s)] = n.Fold("name").Text() + "/" + s.Fold("name").Text()
		v.children = append(v.children, id(s))
		if strings.EqualFold(s.Fold("name").Text(), "GatewaySubnet") {
			v.open = "the networks behind the gateway of " + n.Fold("name").Text()
		}
	}
	for p := range prop(n, "virtualNetworkPeerings").Items() {
		space := cmp.Or(prop(p, "remoteAddressSpace"), prop(p, "remoteVirtualNetworkAddressSpace"))
		more := slices.Collect(space.Fold("addressPrefixes").Items())
		if len(more) == 0 {
			v.open = "the address space of a peer of " + n.Fold("name").Text()
		}
		v.spaces = append(v.spaces, more...)
	}
	r.networks = append(r.networks, v)
}

func (r *reader) card(n *document.Node) {
	c := &card{id: id(n), name: n.Fold("name").Text(), group: id(prop(n, "networkSecurityGroup"))}
	for ip := range prop(n, "ipConfigurations").Items() {
		if s := id(prop(ip, "subnet")); s != "" && !slices.Contains(c.subnets, s) {
			c.subnets = append(c.subnets, s)
		}
		for g := range prop(ip, "applicationSecurityGroups").Items() {
			c.asgs = append(c.asgs, membership{id(g), prop(ip, "privateIPAddress")})
		}
	}
	r.cards = append(r.cards, c)
}
