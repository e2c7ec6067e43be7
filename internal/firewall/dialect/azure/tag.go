package azure

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/portreeve/portreeve/internal/firewall/dialect/values"
	"github.com/portreeve/portreeve/internal/firewall/ruleset"
)

// tags says what service tags stand for in one group.
type tags struct {
	opt     Options
	network ruleset.Set // VirtualNetwork as far as it is known
	open    string      // why there may be more; "" when that is all
	// private: the documents show no network at all; what more there may be
	// is then taken to have addresses that are not public.
	private bool
}

// platform is the address of Azure's own host, which is in VirtualNetwork and
// sends the load balancer's probes.
func platform() netip.Addr { return netip.AddrFrom4([4]byte{168, 63, 129, 16}) }

func host() ruleset.Set { return ruleset.Of(ruleset.Address(platform())) }

// notPublic are the blocks that Azure does not count as reachable by the
// Internet, as effective rules expand the tag: private, shared, loopback,
// link-local and multicast addresses.
var notPublic = []string{"0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.168.0.0/16",
	"224.0.0.0/3", "::/8", "fc00::/7", "fe80::/10", "ff00::/8"}

func public() ruleset.Set {
	var s ruleset.Set
	for _, p := range notPublic {
		s = ruleset.Union(s, values.Prefix(netip.MustParsePrefix(p)))
	}
	return ruleset.SAddr.Except(s)
}

// tags finds the virtual networks that a group is used in.
func (r *reader) tags(g *group) *tags {
	t := &tags{opt: r.opt}
	var nets []*network
	for _, v := range r.networks {
		if slices.ContainsFunc(v.children, func(s string) bool { return r.uses(g, s) || r.onCard(g, s) }) {
			nets = append(nets, v)
		}
	}
	if len(nets) == 0 && len(r.networks) == 1 {
		nets = r.networks
	}
	if len(nets) != 1 {
		t.open, t.private = "the address space of the virtual network", len(r.networks) == 0
	}
	for _, v := range nets {
		if v.open != "" {
			t.open = v.open
		}
		for _, p := range v.spaces {
			s, err := values.Addresses(p.Text())
			if err != nil {
				r.problem(p, err.Error())
				t.open = "the address space of the virtual network"
			}
			t.network = ruleset.Union(t.network, s)
		}
	}
	t.network = ruleset.Union(t.network, host())
	return t
}

// onCard reports whether an interface in the subnet has the group.
func (r *reader) onCard(g *group, subnet string) bool {
	return slices.ContainsFunc(r.cards, func(c *card) bool {
		return (g.id != "" && c.group == g.id || slices.Contains(g.cards, c.id)) && slices.Contains(c.subnets, subnet)
	})
}

// tag is the condition that an address has a service tag, and whether it is
// understood.
func (t *tags) tag(name string, f ruleset.Field) (ruleset.Expr, bool) {
	if prefixes, ok := t.opt.Tags[name]; ok {
		set := ruleset.Set{}
		for _, p := range prefixes {
			set = ruleset.Union(set, values.Prefix(p))
		}
		return ruleset.In{Field: f, Set: set}, true
	}
	switch strings.ToLower(name) {
	case "virtualnetwork", "virtual_network":
		return t.virtual(f, true), t.open == ""
	case "internet":
		return t.internet(f), t.open == ""
	case "azureloadbalancer", "azure_loadbalancer":
		return ruleset.In{Field: f, Set: host()}, true
	case "azureplatformimds":
		return ruleset.In{Field: f, Set: ruleset.Of(ruleset.Address(netip.AddrFrom4([4]byte{169, 254, 169, 254})))}, true
	case "azureplatformdns":
		return ruleset.In{Field: f, Set: host()}, true
	}
	return unknown(fmt.Sprintf("whether the %s is in %s", f, name)), false
}

// virtual is the condition of being in VirtualNetwork, or not.
func (t *tags) virtual(f ruleset.Field, in bool) ruleset.Expr {
	inside, outside := ruleset.In{Field: f, Set: t.network}, ruleset.In{Field: f, Set: f.Except(t.network)}
	var atom ruleset.Expr = ruleset.Atom{Key: "VirtualNetwork " + f.String(), Why: fmt.Sprintf("whether the %s is in VirtualNetwork: %s", f, t.open), Unknown: true}
	if t.private {
		atom = ruleset.All{ruleset.In{Field: f, Set: f.Except(public())}, atom}
	}
	switch {
	case t.open == "" && in:
		return inside
	case t.open == "":
		return outside
	case in:
		return ruleset.Any{inside, ruleset.All{outside, atom}}
	}
	return ruleset.All{outside, ruleset.Not{Expr: atom}}
}

// internet is what is public and not in VirtualNetwork. Of private addresses
// elsewhere the documentation does not tell.
func (t *tags) internet(f ruleset.Field) ruleset.Expr {
	p := public()
	return ruleset.All{t.virtual(f, false), ruleset.Any{
		ruleset.In{Field: f, Set: p},
		ruleset.All{ruleset.In{Field: f, Set: f.Except(p)}, unknown(fmt.Sprintf("whether Internet includes the %s", f))},
	}}
}
