package gcp

import (
	"cmp"
	"errors"
	"io"
	"regexp"
	"slices"
	"strings"

	"github.com/portreeve/portreeve/internal/firewall/dialect/document"
	"github.com/portreeve/portreeve/internal/firewall/dialect/problem"
	"github.com/portreeve/portreeve/internal/firewall/dialect/values"
	"github.com/portreeve/portreeve/internal/firewall/ruleset"
)

// Options say for which instance the rules are read.
type Options struct {
	// TargetTags and TargetAccounts are what the instance in question has.
	// When both are nil, a rule for some targets depends on the instance.
	TargetTags     []string
	TargetAccounts []string
}

// ErrFormat is returned for documents without a firewall rule.
var ErrFormat = errors.New("no firewall rules of Google Cloud")

// Read reads JSON or YAML documents. See the package comment for their forms.
func Read(in io.Reader, o Options) (*ruleset.RuleSet, []problem.Problem, error) {
	data, err := document.Bytes(in)
	if err != nil {
		return nil, nil, err
	}
	docs, err := documents(data)
	r := &reader{opt: o}
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

// looksYAML reports text with a key or an item that rules in YAML have.
var looksYAML = regexp.MustCompile(`(?m)^(?:- |\s*)(?:allowed|denied|match|IPProtocol|sourceRanges|destinationRanges|firewallPolicy):`)

// documents reads JSON, or YAML as gcloud prints it.
func documents(data []byte) (docs []*document.Node, err error) {
	if document.IsJSON(data) {
		return document.JSON(data)
	}
	if !looksYAML.Match(data) {
		return nil, ErrFormat
	}
	for _, p := range document.Parts(data) {
		n, err := p.Node()
		if err != nil {
			return docs, err
		}
		if n != nil {
			docs = append(docs, n)
		}
	}
	return docs, nil
}

const both = ruleset.IPv4 | ruleset.IPv6

type reader struct {
	opt       Options
	problems  problem.List
	rules     []*document.Node
	policies  []*policy
	effective []*effective
	instances []instance
	loose     *policy // policy rules without their policy
}

// policy is a firewall policy.
type policy struct {
	name  string
	kind  string // HIERARCHY, NETWORK, NETWORK_REGIONAL, SYSTEM
	rules []*document.Node
}

// effective is a document of get-effective-firewalls.
type effective struct {
	rules    []*document.Node
	policies []*policy
	after    bool // the network policy comes after the VPC rules
}

// instance is where tags and accounts are.
type instance struct {
	tags, accounts []string
	addrs          ruleset.Set
}

func (r *reader) problem(n *document.Node, why string) {
	r.problems.Add(n.Line(), n.Column(), n.Text(), why)
}

const mostNested = 10

// document reads a value by its keys.
func (r *reader) document(n *document.Node, depth int) {
	has := func(key string) bool { return n.Get(key).Kind() > document.Null }
	switch {
	case depth > mostNested:
	case n.Kind() == document.List:
		for v := range n.Items() {
			r.document(v, depth+1)
		}
	case has("firewallPolicys") || has("firewallPolicies") || has("firewalls"):
		r.effectiveFirewalls(n)
	case has("allowed") || has("denied"):
		r.rules = append(r.rules, n)
	case has("rules") && n.Get("rules").Kind() == document.List:
		r.policies = append(r.policies, r.policy(n))
	case has("match") && has("action"):
		if r.loose == nil {
			r.loose = &policy{name: cmp.Or(lastPart(n.Get("firewallPolicy").Text()), "rules")}
			r.policies = append(r.policies, r.loose)
		}
		r.loose.rules = append(r.loose.rules, n)
	case has("networkInterfaces") && (has("machineType") || has("tags") || has("serviceAccounts")):
		r.instance(n)
	case n.Get("items").Kind() == document.List:
		r.document(n.Get("items"), depth+1)
	case n.Get("kind").Text() == "compute#firewall":
		r.rules = append(r.rules, n)
	}
}

func (r *reader) policy(n *document.Node) *policy {
	p := &policy{name: cmp.Or(n.Get("displayName").Text(), n.Get("shortName").Text(), n.Get("name").Text(), "unnamed"), kind: n.Get("type").Text()}
	p.rules = slices.Collect(n.Get("rules").Items())
	// Rules of a policy's own packet mirroring are in another list.
	return p
}

func (r *reader) effectiveFirewalls(n *document.Node) {
	e := &effective{rules: slices.Collect(n.Get("firewalls").Items())}
	for p := range cmp.Or(n.Get("firewallPolicys"), n.Get("firewallPolicies")).Items() {
		e.policies = append(e.policies, r.policy(p))
	}
	e.after = n.Get("networkFirewallPolicyEnforcementOrder").Text() != "BEFORE_CLASSIC_FIREWALL"
	r.effective = append(r.effective, e)
}

func (r *reader) instance(n *document.Node) {
	var i instance
	i.tags = n.Get("tags").Get("items").Texts()
	for a := range n.Get("serviceAccounts").Items() {
		i.accounts = append(i.accounts, a.Get("email").Text())
	}
	for c := range n.Get("networkInterfaces").Items() {
		for _, key := range []string{"networkIP", "ipv6Address"} {
			if a := c.Get(key); a.Text() != "" {
				s, err := values.Addresses(a.Text())
				if err != nil {
					r.problem(a, err.Error())
				}
				i.addrs = ruleset.Union(i.addrs, s)
			}
		}
	}
	r.instances = append(r.instances, i)
}

func lastPart(s string) string { return s[strings.LastIndexByte(s, '/')+1:] }
