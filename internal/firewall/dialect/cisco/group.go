package cisco

import (
	"net/netip"
	"strings"

	"github.com/portreeve/portreeve/internal/firewall/ruleset"
)

// group is an object or an object group: lines that are translated when an
// entry asks for them.
type group struct {
	name    string
	kind    groupKind
	proto   string // "object-group service NAME tcp" of ASA: ports only
	line    int
	members []entry
	v6      bool
	// busy while it is translated: a group that holds itself is a circle.
	busy     bool
	network  *addresses
	services []service
	ports    ruleset.Set
	done     bool
	why      string // why it is not understood
}

type groupKind uint8

const (
	networkGroup groupKind = iota
	serviceGroup
	portGroup
	protocolGroup
	icmpGroup
	otherGroup
)

// openGroup reads "object network X", "object-group network|service|… X",
// "object-group ip address X" (NX-OS) and "object-group network ipv4 X" (XR).
func (r *reader) openGroup(first string, c *cursor) {
	c.at++
	g := &group{line: r.line}
	kind := c.peek()
	c.next()
	switch kind {
	case "network":
		if c.peek() == "ipv4" || c.peek() == "ipv6" {
			g.v6 = c.next() == "ipv6"
		}
	case "v6-network":
		g.v6 = true
	case "service", "v6-service":
		g.kind = serviceGroup
	case "protocol":
		g.kind = protocolGroup
	case "icmp-type":
		g.kind = icmpGroup
	case "port":
		g.kind = portGroup
	case "ip", "ipv4", "ipv6":
		if g.v6 = kind == "ipv6"; c.next() == "port" {
			g.kind = portGroup
		}
	default:
		g.kind = otherGroup
	}
	g.name = c.next()
	if g.kind == serviceGroup && first == "object-group" {
		if p := c.peek(); p == "tcp" || p == "udp" || p == "tcp-udp" {
			g.kind, g.proto = portGroup, p
		}
	}
	r.startGroup(g)
}

func (r *reader) startGroup(g *group) {
	if have := r.groups[g.name]; have != nil && have.kind == g.kind {
		g = have // a group may be gone on with
	} else {
		r.groups[g.name] = g
	}
	r.group, r.section = g, groupSection
}

// shownGroup reads the headings of "show object-group".
func (r *reader) shownGroup(ws []word, text string) bool {
	kind, _, ok := strings.Cut(text, " object group ")
	if !ok || len(ws) < 4 {
		return false
	}
	g := &group{line: r.line, name: ws[len(ws)-1].text}
	switch kind {
	case "network", "v6-network":
	case "service", "v6-service":
		g.kind = serviceGroup
	default:
		return false
	}
	g.v6 = strings.HasPrefix(kind, "v6")
	r.startGroup(g)
	return true
}

// groupLine reads a line inside an object or a group.
func (r *reader) groupLine(ws []word, indented bool) bool {
	c := &cursor{words: ws}
	if !indented && !memberWord(c.peek()) {
		return false
	}
	if r.shown(ws) {
		return true
	}
	if isNumber(c.peek()) && len(ws) > 1 {
		c.at++
	}
	switch c.peek() {
	case "description", "nat", "exit", "no", "":
		return true
	}
	r.group.members = append(r.group.members, entry{line: r.line, words: ws[c.at:], text: joined(ws)})
	return true
}

// memberWord are words that a group's lines begin with, where the indentation
// was lost.
func memberWord(s string) bool {
	switch s {
	case "host", "subnet", "range", "fqdn", "network-object", "group-object", "port-object", "service-object", "protocol-object",
		"icmp-object", "eq", "lt", "gt", "neq", "description":
		return true
	}
	return isNumber(s) || strings.Contains(s, "/") && strings.IndexByte("0123456789", s[0]) >= 0
}

// resolve translates a group once; a circle or an unknown name is said.
func (r *reader) resolve(name string, kinds ...groupKind) (*group, string) {
	g := r.groups[name]
	switch {
	case g == nil:
		return nil, "the group " + name + " is not defined here"
	case g.busy:
		return nil, "the group " + name + " holds itself"
	case !containsKind(kinds, g.kind):
		return nil, "the group " + name + " is of another kind"
	case g.done:
		return g, g.why
	}
	g.busy = true
	switch g.kind {
	case networkGroup:
		g.network = &addresses{}
		for _, m := range g.members {
			r.networkMember(g, m)
		}
	case serviceGroup, protocolGroup, icmpGroup:
		for _, m := range g.members {
			r.serviceMember(g, m)
		}
	case portGroup:
		for _, m := range g.members {
			r.portMember(g, m)
		}
	}
	g.busy, g.done = false, true
	return g, g.why
}

func containsKind(kinds []groupKind, k groupKind) bool {
	for _, have := range kinds {
		if have == k {
			return true
		}
	}
	return false
}

// fail notes a member that is not understood.
func (r *reader) fail(g *group, m entry, why string) {
	r.problems.Add(m.line, 0, m.text, why)
	if g.why == "" {
		g.why = "group " + g.name + ": " + why
	}
}

func (r *reader) networkMember(g *group, m entry) {
	c := &cursor{words: m.words}
	switch c.peek() {
	case "group-object":
		c.at++
		if inner, why := r.resolve(c.next(), networkGroup); why != "" {
			r.fail(g, m, why)
		} else {
			g.network.join(inner.network)
		}
		return
	case "network-object", "subnet":
		c.at++
	case "fqdn":
		g.network.why = "the host name " + c.words[len(c.words)-1].text + ", which the device resolves"
		return
	}
	a, why := r.address(c, netmaskFor(r.platform))
	if why == "" && !c.done() {
		why = "not understood: " + c.rest()
	}
	if why != "" {
		r.fail(g, m, why)
		return
	}
	g.network.join(a)
}

// netmaskFor says how two dotted quads are read inside a group: netmasks but
// on NX-OS (Cisco NX-OS Security Command Reference, "object-group ip address").
func netmaskFor(p Platform) maskKind {
	if p == NXOS || p == XR {
		return wildcard
	}
	return netmask
}

// portMember reads "eq 80", "range 1 5", "port-object eq www", "group-object".
func (r *reader) portMember(g *group, m entry) {
	c := &cursor{words: m.words}
	if c.accept("group-object") {
		if inner, why := r.resolve(c.next(), portGroup); why != "" {
			r.fail(g, m, why)
		} else {
			g.ports = ruleset.Union(g.ports, inner.ports)
		}
		return
	}
	c.accept("port-object")
	proto := g.proto
	if proto == "" {
		proto = "tcp"
	}
	ports, ok, why := r.portMatch(c, proto)
	if !ok && why == "" || !c.done() {
		why = "not understood: " + m.text
	}
	if why != "" {
		r.fail(g, m, why)
		return
	}
	g.ports = ruleset.Union(g.ports, ports)
}

// service is a protocol with its ports or ICMP type.
type service struct {
	proto        ruleset.Set // nil: any
	sport, dport ruleset.Set // nil: any
	kind, code   ruleset.Set // of ICMP; nil: any
}

// serviceMember reads a member of a service, protocol or icmp-type group.
func (r *reader) serviceMember(g *group, m entry) {
	c := &cursor{words: m.words}
	if c.accept("group-object") {
		r.innerServices(g, m, c.next())
		return
	}
	switch c.peek() {
	case "service-object", "service", "protocol-object":
		c.at++
		if c.accept("object") {
			r.innerServices(g, m, c.next())
			return
		}
	case "icmp-object":
		c.at++
		s := service{}
		var why string
		if s.kind, s.code, why = r.icmpType(c, "icmp"); why != "" {
			r.fail(g, m, why)
			return
		}
		g.services = append(g.services, s)
		return
	}
	s, why := r.service(c)
	if why == "" && !c.done() {
		why = "not understood: " + c.rest()
	}
	if why != "" {
		r.fail(g, m, why)
		return
	}
	g.services = append(g.services, s)
}

func (r *reader) innerServices(g *group, m entry, name string) {
	inner, why := r.resolve(name, serviceGroup, protocolGroup, icmpGroup)
	if why != "" {
		r.fail(g, m, why)
		return
	}
	if g.services = append(g.services, inner.services...); len(g.services) > mostServices {
		g.services = nil
		r.fail(g, m, "more services than are followed")
	}
}

// mostServices bounds what nested groups can grow to.
const mostServices = 1 << 16

// service reads "tcp [source eq 1] [destination eq 80]", "tcp eq 80",
// "icmp echo 0", "ip", "57".
func (r *reader) service(c *cursor) (s service, why string) {
	name := c.peek()
	c.next()
	if s.proto, why = r.protocol(name); why != "" {
		return s, why
	}
	if isICMP(name) && !c.done() {
		s.kind, s.code, why = r.icmpType(c, name)
		return s, why
	}
	for !c.done() && why == "" {
		to := &s.dport
		switch {
		case c.accept("source"):
			to = &s.sport
		case c.accept("destination"):
		}
		var ok bool
		if *to, ok, why = r.portMatch(c, name); ok {
			continue
		}
		n, isPort := r.port(name, c.peek()) // IOS: "[eq] port"
		if !isPort {
			return s, why
		}
		c.at++
		*to = ruleset.Numbers(n)
	}
	return s, why
}

func isICMP(name string) bool {
	return name == "icmp" || name == "icmp6" || name == "1" || name == "58" || name == "icmpv6"
}

// addresses are a set of addresses: ranges, masks with holes, and what is not
// known.
type addresses struct {
	any    bool
	set    ruleset.Set
	masked []maskedAddress
	why    string // some of it is not known
}

type maskedAddress struct{ value, mask ruleset.Value }

func (a *addresses) join(b *addresses) {
	a.any = a.any || b.any
	a.set = ruleset.Union(a.set, b.set)
	if len(a.masked) < mostServices {
		a.masked = append(a.masked, b.masked...)
	} else {
		a.why = "more masks than are followed"
	}
	if a.why == "" {
		a.why = b.why
	}
}

// expr is the condition that a field is one of the addresses; nil for any.
func (a *addresses) expr(f ruleset.Field) ruleset.Expr {
	if a.any {
		return nil
	}
	in := ruleset.In{Field: f, Set: a.set}
	if len(a.masked) == 0 && a.why == "" {
		return in
	}
	var parts ruleset.Any
	if len(a.set) > 0 {
		parts = append(parts, in)
	}
	for _, m := range a.masked {
		parts = append(parts, ruleset.In{Field: f, Mask: m.mask, Set: ruleset.Of(m.value)})
	}
	if a.why != "" {
		parts = append(parts, ruleset.Atom{Key: f.String() + " " + a.why, Why: a.why, Unknown: true})
	}
	return parts
}

// prefixSet is a prefix's addresses; those of IPv4 are no part of "::/0".
func prefixSet(p netip.Prefix) *addresses {
	set := ruleset.Prefix(p)
	if p.Addr().Is6() {
		set = set.Minus(ruleset.Prefix(allIPv4))
	}
	return &addresses{set: set}
}
