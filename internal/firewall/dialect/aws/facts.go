package aws

import (
	"net/netip"
	"slices"

	"github.com/portreeve/portreeve/internal/firewall/dialect/document"
	"github.com/portreeve/portreeve/internal/firewall/dialect/values"
	"github.com/portreeve/portreeve/internal/firewall/ruleset"
)

// card is a network interface.
type card struct {
	id, name string
	owner    string
	groups   []string
	addrs    ruleset.Set
}

func addressSet(p netip.Prefix) ruleset.Set { return values.Prefix(p) }

// card reads an entry of describe-network-interfaces, or of an instance in
// describe-instances.
func (r *reader) card(n *document.Node) {
	id := n.Get("NetworkInterfaceId").Text()
	if id == "" || r.cardByID[id] != nil {
		return
	}
	c := &card{id: id, owner: n.Get("OwnerId").Text(), name: n.Get("Description").Text()}
	for g := range n.Get("Groups").Items() {
		if s := g.Get("GroupId").Text(); s != "" && !slices.Contains(c.groups, s) {
			c.groups = append(c.groups, s)
		}
	}
	r.cardAddress(c, n.Get("PrivateIpAddress"))
	for a := range n.Get("PrivateIpAddresses").Items() {
		r.cardAddress(c, a.Get("PrivateIpAddress"))
	}
	for a := range n.Get("Ipv6Addresses").Items() {
		r.cardAddress(c, a.Get("Ipv6Address"))
	}
	for a := range n.Get("Ipv4Prefixes").Items() {
		r.cardAddress(c, a.Get("Ipv4Prefix"))
	}
	for a := range n.Get("Ipv6Prefixes").Items() {
		r.cardAddress(c, a.Get("Ipv6Prefix"))
	}
	r.cards = append(r.cards, c)
	r.cardByID[id] = c
}

func (r *reader) cardAddress(c *card, n *document.Node) {
	if n.Text() == "" {
		return
	}
	s, err := values.Addresses(n.Text())
	if err != nil {
		r.problem(n, err.Error())
		return
	}
	c.addrs = ruleset.Union(c.addrs, s)
}

// prefixList reads an entry of describe-prefix-lists.
func (r *reader) prefixList(n *document.Node) {
	id := n.Get("PrefixListId").Text()
	if n.Get("Cidrs").Kind() != document.List {
		return
	}
	set := ruleset.Set{}
	for c := range n.Get("Cidrs").Items() {
		s, err := values.Addresses(c.Text())
		if err != nil {
			r.problem(c, err.Error())
			return // the list stays unknown
		}
		set = ruleset.Union(set, s)
	}
	r.lists[id] = ruleset.Union(r.lists[id], set)
}

// members are the addresses of a group's members as far as the documents
// tell, and the addresses of which they do not: none when they list the group
// itself and interfaces of its account, or an interface that is a member;
// otherwise those that are no interface's of theirs.
func (r *reader) members(id, owner string) (members, untold ruleset.Set) {
	if addrs, ok := r.opt.Members[id]; ok {
		for _, a := range addrs {
			members = ruleset.Union(members, ruleset.Of(ruleset.Address(a)))
		}
		return members, nil
	}
	listed := r.byID[id] != nil && r.byID[id].described
	told, all := ruleset.Set{}, false
	for _, c := range r.cards {
		if owner == "" || c.owner == "" || c.owner == owner {
			told, all = ruleset.Union(told, c.addrs), all || listed
		}
		if slices.Contains(c.groups, id) {
			members, all = ruleset.Union(members, c.addrs), true
		}
	}
	if all {
		return members, nil
	}
	return members, ruleset.SAddr.Except(told)
}
