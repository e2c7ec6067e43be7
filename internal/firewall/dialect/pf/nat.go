package pf

import (
	"strings"

	"github.com/portreeve/portreeve/internal/firewall/ruleset"
)

// translation reads "rdr-to …", "nat-to …" and what routes a packet
// elsewhere.
func (p *parser) translation(b *building, t token) error {
	switch t.text {
	case "route-to", "dup-to", "reply-to", "divert-reply":
		if !t.is("divert-reply") {
			return p.route()
		}
		return nil
	case "divert-packet":
		p.accept("port")
		p.next()
		b.elsewhere = "a program in userspace decides (divert-packet)"
		return nil
	case "divert-to":
		to, err := p.target()
		if err != nil {
			return err
		}
		b.steps = append(b.steps, ruleset.Translate{Kind: ruleset.Divert, Continues: true, To: []ruleset.Target{to}})
		return nil
	}
	to, err := p.target()
	if err != nil {
		return err
	}
	switch {
	case t.is("rdr-to") && b.nothing, t.is("nat-to") && b.nothing, t.is("binat-to"), t.is("af-to"):
		// What follows a match rule sees the new addresses: pf's order is lost
		// in ours.
		b.elsewhere = "an address that " + t.text + " changes before later rules are looked at"
		if b.nothing && t.is("nat-to") {
			b.elsewhere = "" // the source, of packets that leave
			b.nothing = true
		}
	case t.is("rdr-to"):
		b.steps = append(b.steps, ruleset.Translate{Kind: ruleset.DNAT, Continues: true, To: []ruleset.Target{to}, Unknown: unknownTarget(to)})
	}
	return nil
}

// unknownTarget says why a target is not known.
func unknownTarget(t ruleset.Target) string {
	if t.Addrs == nil && t.Ports == nil {
		return "a target whose addresses the file does not tell"
	}
	return ""
}

// route reads "(em1 192.0.2.1)", "192.0.2.1@em1", "{ … }" with its options.
func (p *parser) route() error {
	switch t := p.peek(); {
	case t.is("("):
		p.parentheses()
	case t.is("{"):
		for depth := 0; !p.done(); {
			w := p.next()
			if w.is("{") {
				depth++
			} else if w.is("}") {
				if depth--; depth == 0 {
					break
				}
			}
			if depth == 0 {
				break
			}
		}
	default:
		p.next()
	}
	return nil
}

// target reads "ADDRESS [port N[:*]]", a list of addresses, "(em0)".
func (p *parser) target() (to ruleset.Target, err error) {
	e, err := p.hosts(ruleset.DAddr)
	if err != nil {
		return to, err
	}
	if in, ok := e.(ruleset.In); ok {
		to.Addrs = in.Set
	}
	if p.accept("port") {
		t := p.next()
		lo, hi, isRange := strings.Cut(t.text, ":")
		n, err := p.portNumber(&building{}, t, lo, 0)
		if err != nil {
			return to, err
		}
		m := n
		if isRange && hi != "*" {
			if m, err = p.portNumber(&building{}, t, hi, 0); err != nil {
				return to, err
			}
		}
		to.Ports = ruleset.Range(ruleset.Number(n), ruleset.Number(m))
		if hi == "*" {
			to.Ports = ruleset.Range(ruleset.Number(n), ruleset.Number(65535))
		}
		if _, known := e.(ruleset.In); !known && e != nil {
			to = ruleset.Target{} // a port alone would be a wrong target
		}
	}
	return to, nil
}

// natRule is a translation rule of the old kind (FreeBSD, NetBSD, macOS):
// they come before the filter rules, and the first that fits decides.
type natRule struct {
	line   int
	text   string
	no     bool
	pass   bool
	on     [][]ifspec
	conds  []ruleset.Expr
	to     ruleset.Target
	anchor string
}

// oldNAT reads "[no] rdr|nat|binat [pass] [on IF] … [-> TARGET]".
func (p *parser) oldNAT(t token) error {
	r := natRule{line: t.line, no: t.is("no")}
	if r.no {
		t = p.next()
		if t.is("scrub") {
			p.restOfLine()
			return nil
		}
	}
	p.understood++
	if t.is("nat") || t.is("binat") {
		p.restOfLine() // the source of packets that leave
		if t.is("binat") {
			return errorAt(t, "binat changes addresses both ways, which is not followed")
		}
		return nil
	}
	if !t.is("rdr") {
		return errorAt(t, "%q is not understood", t.text)
	}
	r.pass = p.accept("pass")
	b := &building{}
	for !p.atEnd() && !p.peek().is("->") {
		o := p.next()
		if o.is("tag") || o.is("log") || o.is("tagged") {
			if err := p.filterOptionOrLog(b, o); err != nil {
				return err
			}
			continue
		}
		if err := p.option(b, o); err != nil {
			return err
		}
	}
	r.on, r.conds = b.on, b.conds
	if p.accept("->") {
		to, err := p.target()
		if err != nil {
			return err
		}
		r.to = to
		for isPool(p.peek()) {
			p.next()
		}
	}
	r.text = strings.Join(p.said, " ")
	p.into.nat = append(p.into.nat, r)
	return nil
}

func (p *parser) filterOptionOrLog(b *building, o token) error {
	if o.is("log") {
		return p.optional()
	}
	return p.filterOption(b, o)
}

func isPool(t token) bool {
	switch t.text {
	case "round-robin", "random", "bitmask", "source-hash", "sticky-address", "static-port":
		return true
	}
	return false
}
