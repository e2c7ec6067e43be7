package pf

import (
	"net/netip"
	"strings"

	"github.com/portreeve/portreeve/internal/firewall/ruleset"
)

// anchor reads "anchor ["name"] [in|out] [quick] [on IF] … [{ rules }]".
func (p *parser) anchor() error {
	b := &building{rule: rule{line: p.start.line}}
	name := ""
	if t := p.peek(); t.quoted || !isAnchorOption(t) {
		name = p.next().text
	}
	for !p.atEnd() && !p.peek().is("{") {
		t := p.next()
		if err := p.option(b, t); err != nil {
			return err
		}
	}
	b.text = strings.Join(p.said, " ")
	if !p.accept("{") {
		b.elsewhere = "the anchor " + name + ", whose rules are not in the file"
		if programAnchor(name) {
			b.cond(ruleset.Atom{Key: "anchor " + name, Why: "rules that a proxy puts into the anchor " + name, Lean: ruleset.UsuallyFalse})
		}
		p.into.items = append(p.into.items, item{rule: b.rule})
		return nil
	}
	if p.depth++; p.depth > mostDepth {
		p.depth--
		return errorAt(p.start, "anchors in anchors, too deep")
	}
	inner := &anchor{parent: p.into}
	p.into.items = append(p.into.items, item{rule: b.rule, inner: inner})
	p.into = inner
	return nil
}

// programAnchor reports anchors that a proxy fills with rules for single
// connections (ftp-proxy(8), tftp-proxy(8)).
func programAnchor(name string) bool {
	return strings.HasPrefix(name, "ftp-proxy") || strings.HasPrefix(name, "tftp-proxy")
}

func isAnchorOption(t token) bool {
	switch t.text {
	case "in", "out", "on", "quick", "inet", "inet6", "proto", "from", "to", "all", "{", "\n", "log":
		return true
	}
	return false
}

func (p *parser) closeAnchor() {
	if p.into.parent == nil {
		p.problems.Add(p.start.line, p.start.col, "}", "a brace that nothing opened")
		return
	}
	p.into = p.into.parent
	p.depth--
}

// antispoof reads "antispoof [log] [quick] for IF [inet|inet6]" as the block
// rules that it stands for (pf.conf(5)).
func (p *parser) antispoof() error {
	quick := false
	families := []uint64{ruleset.FamilyIPv4, ruleset.FamilyIPv6}
	var list []ifspec
	for !p.atEnd() {
		switch t := p.next(); t.text {
		case "quick":
			quick = true
		case "log":
			if p.peek().is("(") {
				p.parentheses()
			}
		case "for":
			var err error
			if list, err = p.interfaces(); err != nil {
				return err
			}
		case "inet":
			families = families[:1]
		case "inet6":
			families = families[1:]
		case "label", "ridentifier":
			p.next()
		default:
			return errorAt(t, "%q is not understood", t.text)
		}
	}
	text := strings.Join(p.said, " ")
	for _, spec := range list {
		p.spoofed(spec, quick, families, text)
	}
	return nil
}

func (p *parser) spoofed(spec ifspec, quick bool, families []uint64, text string) {
	name := strings.Trim(spec.name, "()")
	base := rule{line: p.start.line, text: text, block: true, quick: quick, in: true}
	family := ruleset.In{Field: ruleset.NFProto, Set: ruleset.Numbers(families...)}
	network, own := p.interfaceAddress(ruleset.SAddr, name+":network"), p.interfaceAddress(ruleset.SAddr, name)
	if strings.HasPrefix(name, "lo") {
		network = ruleset.In{Field: ruleset.SAddr, Set: ruleset.Union(ruleset.Prefix(netip.MustParsePrefix("127.0.0.0/8")), ruleset.Prefix(netip.MustParsePrefix("::1/128")))}
		own = nil
	}
	elsewhere := base
	elsewhere.on = [][]ifspec{{{name, true}}}
	elsewhere.conds = []ruleset.Expr{family, network}
	p.into.items = append(p.into.items, item{rule: elsewhere})
	if own != nil {
		self := base
		self.conds = []ruleset.Expr{family, own}
		p.into.items = append(p.into.items, item{rule: self})
	}
}
