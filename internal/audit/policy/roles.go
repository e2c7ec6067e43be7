package policy

import (
	"fmt"
	"net/netip"
	"path"
	"slices"
	"strings"

	"github.com/goccy/go-yaml/ast"
	"github.com/portreeve/portreeve/internal/exposure"
)

// Role is what more is expected and protected on some hosts.
type Role struct {
	Name string `yaml:"name"`
	// Hosts are names of groups, patterns of host names, addresses and
	// networks. A host that any of them matches has the role.
	Hosts     []HostPattern `yaml:"hosts"`
	Expect    []Expect      `yaml:"expect"`
	Protected []Protect     `yaml:"protected"`
}

// Group is a named list of hosts.
type Group struct {
	Name         string
	Hosts        []HostPattern
	Line, Column int
}

// Groups are in the order of the file.
type Groups []Group

// UnmarshalYAML reads `web: ["web-*", 10.0.1.0/24]` and keeps the order.
func (g *Groups) UnmarshalYAML(n ast.Node) error {
	if _, empty := n.(*ast.NullNode); empty {
		return nil
	}
	m, ok := n.(ast.MapNode)
	if !ok {
		return at(n, fmt.Errorf("groups: names with lists of hosts are needed (groups: {web: [\"web-*\"]})"))
	}
	for it := m.MapRange(); it.Next(); {
		one := Group{Name: scalar(it.Key())}
		one.Line, one.Column = place(it.Key())
		hosts, err := hostList(it.Value())
		if err != nil {
			return err
		}
		if one.Name == "" || len(hosts) == 0 {
			return at(it.Key(), fmt.Errorf("groups: %q needs a name and a list of hosts", one.Name))
		}
		if g.find(one.Name) != nil {
			return at(it.Key(), fmt.Errorf("groups: %q is there twice", one.Name))
		}
		one.Hosts = hosts
		*g = append(*g, one)
	}
	return nil
}

func hostList(n ast.Node) ([]HostPattern, error) {
	list, ok := n.(*ast.SequenceNode)
	if !ok {
		return nil, at(n, fmt.Errorf("a list of hosts is needed ([\"web-*\", 10.0.1.0/24])"))
	}
	out := make([]HostPattern, len(list.Values))
	for i, v := range list.Values {
		if err := out[i].UnmarshalYAML(v); err != nil {
			return nil, err
		}
	}
	return out, nil
}

func (g Groups) find(name string) *Group {
	for i := range g {
		if g[i].Name == name {
			return &g[i]
		}
	}
	return nil
}

// HostPattern is one word that stands for hosts: an address or a network
// (Prefix is valid), or a pattern of host names (*, ?, [a-z]), which under
// `roles:` may be the name of a group.
type HostPattern struct {
	Text         string
	Prefix       netip.Prefix
	Line, Column int
}

// UnmarshalYAML refuses what can stand for no host.
func (h *HostPattern) UnmarshalYAML(n ast.Node) error {
	text := scalar(n)
	if _, plain := n.(ast.ScalarNode); !plain || text == "" {
		return at(n, fmt.Errorf("a host is needed here: a name, a pattern (web-*), an address or a network"))
	}
	h.Text = text
	h.Line, h.Column = place(n)
	if _, err := netip.ParseAddr(text); err == nil || strings.Contains(text, "/") {
		p, err := readNetwork(text)
		if err != nil {
			return at(n, err)
		}
		h.Prefix = p
		return nil
	}
	if _, err := path.Match(text, ""); err != nil || strings.ContainsAny(text, " \t\n") {
		return at(n, fmt.Errorf("%q is no valid pattern of host names (*, ?, [a-z])", text))
	}
	return nil
}

// Matches tells whether the pattern stands for the host. Names are compared
// without case; a pattern without a dot is also tried on the first part of the
// name (web-* on web-01.example.org), and every pattern on the addresses as
// they are written (10.0.1.*).
func (h *HostPattern) Matches(host string, addrs []netip.Addr) bool {
	if h.Prefix.IsValid() {
		return slices.ContainsFunc(addrs, func(a netip.Addr) bool { return h.Prefix.Contains(a.Unmap().WithZone("")) })
	}
	glob, host := strings.ToLower(h.Text), strings.ToLower(strings.TrimSuffix(host, "."))
	first, _, _ := strings.Cut(host, ".")
	if is(glob, host) || !strings.Contains(glob, ".") && is(glob, first) {
		return true
	}
	return slices.ContainsFunc(addrs, func(a netip.Addr) bool { return is(glob, a.Unmap().WithZone("").String()) })
}

func is(glob, name string) bool {
	ok, _ := path.Match(glob, name)
	return ok && name != ""
}

// hosts are a role's patterns with the groups in place of their names.
func (p *Policy) hosts(r *Role) []HostPattern {
	var out []HostPattern
	for _, h := range r.Hosts {
		if g := p.Groups.find(h.Text); g != nil {
			out = append(out, g.Hosts...)
			continue
		}
		out = append(out, h)
	}
	return out
}

// Has tells whether a host of that name, with those addresses, has the role.
func (p *Policy) Has(r *Role, host string, addrs []netip.Addr) bool {
	return slices.ContainsFunc(p.hosts(r), func(h HostPattern) bool { return h.Matches(host, addrs) })
}

// For is the policy for one host: the file's own lists, then those of each
// role that the host has, in the order of the file. addrs are the host's
// addresses other than loopback. A nil policy gives nil.
func (p *Policy) For(host string, addrs []netip.Addr) *Policy {
	return p.merged(func(r *Role) bool { return p.Has(r, host, addrs) })
}

// ForRoles is the policy for a host that has just the roles named; it may be
// called with none.
func (p *Policy) ForRoles(names ...string) *Policy {
	return p.merged(func(r *Role) bool { return slices.Contains(names, r.Name) })
}

// ForAll is the policy of all hosts together, for what looks at a whole
// network. What several roles protect is there once.
func (p *Policy) ForAll() *Policy {
	out := p.merged(func(*Role) bool { return true })
	if out != nil {
		out.Protected = oncePerPort(out.Protected)
	}
	return out
}

func oncePerPort(list []Protect) []Protect {
	type ports struct {
		proto       exposure.Proto
		first, last uint16
	}
	seen := map[ports]bool{}
	return slices.DeleteFunc(list, func(e Protect) bool {
		k := ports{e.Port.Proto, e.Port.First, e.Port.Last}
		again := seen[k]
		seen[k] = true
		return again
	})
}

func (p *Policy) merged(has func(*Role) bool) *Policy {
	if p == nil {
		return nil
	}
	out := *p
	out.Expect, out.Protected, out.Applied = slices.Clone(p.Expect), slices.Clone(p.Protected), nil
	for i := range p.Roles {
		if r := &p.Roles[i]; has(r) {
			out.add(r)
		}
	}
	out.Roles, out.Groups = nil, nil
	return &out
}

func (p *Policy) add(r *Role) {
	p.Applied = append(p.Applied, r.Name)
	for _, e := range r.Expect {
		e.Role = r.Name
		p.Expect = append(p.Expect, e)
	}
	for _, e := range r.Protected {
		e.Role = r.Name
		p.Protected = append(p.Protected, e)
	}
}

// maxRoles bounds the roles of a file, which are compared with each other.
const maxRoles = 1000

func (p *Policy) checkRoles() error {
	if len(p.Roles) > maxRoles {
		return &Error{What: fmt.Sprintf("a policy may hold %d roles, this one has %d", maxRoles, len(p.Roles))}
	}
	seen := map[string]bool{}
	for i := range p.Roles {
		r := &p.Roles[i]
		where := fmt.Sprintf("roles, entry %d: ", i+1)
		switch {
		case r.Name == "":
			return &Error{What: where + "`name` is missing"}
		case len(r.Hosts) == 0:
			return &Error{What: where + "`hosts` is missing: nobody would have the role (\"*\" is every host)"}
		case seen[r.Name]:
			return &Error{Line: r.Hosts[0].Line, What: fmt.Sprintf("roles: %q is there twice", r.Name)}
		}
		seen[r.Name] = true
		if i := slices.IndexFunc(r.Hosts, func(h HostPattern) bool { return h.Text == "" }); i >= 0 {
			return &Error{What: fmt.Sprintf("%shosts, entry %d is empty", where, i+1)}
		}
		if err := checkLists(where, r.Expect, r.Protected); err != nil {
			return err
		}
	}
	return nil
}
