package cisco

import (
	"strings"

	"github.com/portreeve/portreeve/internal/firewall/ruleset"
)

// interfaceLine reads a line under "interface".
func (r *reader) interfaceLine(ws []word) {
	c := &cursor{words: ws}
	switch first := c.next(); first {
	case "ip", "ipv4", "ipv6":
		switch c.peek() {
		case "access-group", "traffic-filter":
			r.apply(first == "ipv6", c)
		case "inspect":
			r.problems.Add(r.line, c.column(), joined(ws), "answers that inspection lets pass are not followed")
		}
	case "nameif":
		r.device = c.next()
		r.nameifs = append(r.nameifs, r.device)
	}
}

// apply reads "access-group NAME in|out" of IOS, NX-OS and EOS, "ingress" and
// "egress" of XR, and "traffic-filter NAME in|out" of IPv6.
func (r *reader) apply(v6 bool, c *cursor) {
	c.at++
	name := c.next()
	b := ruleset.Binding{Device: r.device}
	switch c.peek() {
	case "in", "ingress":
		b.Direction = ruleset.Inward
	case "out", "egress":
		b.Direction = ruleset.Outward
	default:
		r.problems.Add(r.line, c.column(), joined(c.words), "neither in nor out")
		return
	}
	key := listKey{v6, name}
	r.bindings[key] = append(r.bindings[key], b)
}

// accessGroup reads ASA's "access-group NAME in|out interface IF" and
// "access-group NAME global".
func (r *reader) accessGroup(c *cursor) {
	name := c.next()
	r.platform = ASA
	key := listKey{name: name}
	switch dir := c.next(); dir {
	case "global":
		r.globals = append(r.globals, name)
	case "in", "out":
		if !c.accept("interface") {
			r.problems.Add(r.line, c.column(), joined(c.words), "no interface")
			return
		}
		b := ruleset.Binding{Device: c.next(), Direction: ruleset.Inward}
		if dir == "out" {
			b.Direction = ruleset.Outward
		}
		if c.accept("control-plane") {
			return // packets to the firewall itself
		}
		r.bindings[key] = append(r.bindings[key], b)
	default:
		r.problems.Add(r.line, 0, joined(c.words), "neither in, out nor global")
	}
}

// bindGlobal applies ASA's global list: behind every list that an interface
// has inward, and alone on the others.
// A list that is outward somewhere, too, is a chain of its own there.
func (r *reader) bindGlobal(chains map[listKey]*ruleset.Chain) (extra []*ruleset.Chain) {
	for _, name := range r.globals {
		global := chains[listKey{name: name}]
		if global == nil {
			continue
		}
		taken := map[string]bool{}
		for key, ch := range chains {
			if key.name == name {
				continue
			}
			for _, b := range ch.Bindings {
				if b.Direction == ruleset.Inward {
					taken[b.Device] = true
				}
			}
			if hasInward(ch) {
				extra = append(extra, outwardOnly(ch)...)
				ch.Rules = append(ch.Rules[:len(ch.Rules):len(ch.Rules)], global.Rules...)
			}
		}
		if len(taken) == 0 {
			global.Bindings = append(global.Bindings, ruleset.Binding{Direction: ruleset.Inward})
		}
		for _, dev := range r.nameifs {
			if len(taken) > 0 && !taken[dev] {
				global.Bindings = append(global.Bindings, ruleset.Binding{Device: dev, Direction: ruleset.Inward})
			}
		}
	}
	return extra
}

// outwardOnly takes the outward bindings of a chain to a copy of it.
func outwardOnly(ch *ruleset.Chain) []*ruleset.Chain {
	out := *ch
	out.Bindings = nil
	var in []ruleset.Binding
	for _, b := range ch.Bindings {
		if b.Direction == ruleset.Inward {
			in = append(in, b)
		} else {
			out.Bindings = append(out.Bindings, b)
		}
	}
	if out.Bindings == nil {
		return nil
	}
	ch.Bindings, out.Title = in, out.Title+" (outward)"
	return []*ruleset.Chain{&out}
}

func hasInward(ch *ruleset.Chain) bool {
	for _, b := range ch.Bindings {
		if b.Direction == ruleset.Inward {
			return true
		}
	}
	return false
}

// title is a chain's name for people.
func (l *list) title() string {
	switch {
	case l.asa:
		return "access-list " + l.name
	case l.v6:
		return "ipv6 access-list " + l.name
	case l.standard:
		return "ip access-list standard " + l.name
	}
	return strings.TrimSpace("ip access-list " + l.name)
}
