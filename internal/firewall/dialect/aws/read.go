package aws

import (
	"errors"
	"io"
	"net/netip"

	"github.com/portreeve/portreeve/internal/firewall/dialect/document"
	"github.com/portreeve/portreeve/internal/firewall/dialect/problem"
	"github.com/portreeve/portreeve/internal/firewall/ruleset"
)

// Options add to what the documents say.
type Options struct {
	// PrefixLists are the entries of prefix lists by their ids.
	PrefixLists map[string][]netip.Prefix
	// Members are the addresses of the members of security groups by ids.
	Members map[string][]netip.Addr
}

// ErrFormat is returned for documents without any filter of AWS.
var ErrFormat = errors.New("neither security groups nor network access lists of AWS")

// Read reads JSON documents. See the package comment for their forms.
func Read(in io.Reader, o Options) (*ruleset.RuleSet, []problem.Problem, error) {
	data, err := document.Bytes(in)
	if err != nil {
		return nil, nil, err
	}
	docs, err := document.JSON(data)
	r := newReader(o)
	for _, d := range docs {
		r.document(d)
	}
	set := r.ruleSet()
	switch {
	case len(set.Chains) > 0 && err != nil:
		set.Missing = append(set.Missing, ruleset.Missing{Families: ruleset.IPv4 | ruleset.IPv6, Why: "the file is damaged: " + err.Error()})
		return set, r.problems.All(), err
	case err != nil:
		return nil, nil, err
	case len(set.Chains) == 0:
		return nil, r.problems.All(), ErrFormat
	}
	return set, r.problems.All(), nil
}

type reader struct {
	opt      Options
	problems problem.List
	groups   []*group
	byID     map[string]*group
	acls     []*acl
	aclByID  map[string]*acl
	cards    []*card
	cardByID map[string]*card
	lists    map[string]ruleset.Set
	orphans  []permission // rules of groups that are not known yet
}

func newReader(o Options) *reader {
	r := &reader{opt: o, byID: map[string]*group{}, aclByID: map[string]*acl{}, cardByID: map[string]*card{}, lists: map[string]ruleset.Set{}}
	for id, prefixes := range o.PrefixLists {
		for _, p := range prefixes {
			r.lists[id] = ruleset.Union(r.lists[id], addressSet(p))
		}
	}
	return r
}

func (r *reader) problem(n *document.Node, why string) {
	r.problems.Add(n.Line(), n.Column(), n.Text(), why)
}

// document reads one JSON value by its keys.
func (r *reader) document(n *document.Node) {
	for item := range n.Items() {
		r.item(item)
	}
	if n.Kind() != document.Map {
		return
	}
	r.item(n)
	for _, key := range []string{"SecurityGroups", "SecurityGroupRules", "NetworkAcls", "NetworkInterfaces", "PrefixLists"} {
		for item := range n.Get(key).Items() {
			r.item(item)
		}
	}
	for v := range n.Get("Reservations").Items() {
		r.item(v)
	}
	r.template(n.Get("Resources"))
	r.configuration(n.Get("resource"))
	r.state(n.At("values", "root_module"), 0)
	r.state(n.At("planned_values", "root_module"), 0)
}

// item reads one thing that a describe command lists.
func (r *reader) item(n *document.Node) {
	has := func(key string) bool { return n.Get(key).Kind() != document.Missing }
	switch {
	case has("SecurityGroupRuleId") || has("IsEgress"):
		r.describedRule(n)
	case has("GroupId") && has("GroupName"), (has("GroupId") || has("GroupName")) && (has("IpPermissions") || has("IpPermissionsEgress")):
		r.describedGroup(n)
	case has("NetworkAclId") && has("Entries"):
		r.describedACL(n)
	case has("NetworkInterfaceId"):
		r.card(n)
	case has("PrefixListId"):
		r.prefixList(n)
	case has("Instances"):
		for instance := range n.Get("Instances").Items() {
			for c := range instance.Get("NetworkInterfaces").Items() {
				r.card(c)
			}
		}
	}
}
