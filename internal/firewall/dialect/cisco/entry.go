package cisco

import (
	"strings"

	"github.com/portreeve/portreeve/internal/firewall/ruleset"
)

// entryReader translates one entry.
type entryReader struct {
	*reader
	list  *list
	c     *cursor
	proto string // as it is written, "" when a group names several
	steps []ruleset.Step
	skip  bool // the entry does nothing
	line  int
	text  string
}

func (er *entryReader) match(e ruleset.Expr) {
	if e != nil {
		er.steps = append(er.steps, ruleset.Match{Expr: e})
	}
}

// rule translates an entry; nil for one that does nothing.
func (r *reader) rule(l *list, e entry) *ruleset.Rule {
	rule := &ruleset.Rule{Text: e.text, Line: e.line, Packets: e.packets}
	if e.unknown != "" {
		rule.Steps = []ruleset.Step{ruleset.Elsewhere{Why: e.unknown, MayContinue: true}}
		return rule
	}
	er := &entryReader{reader: r, list: l, c: &cursor{words: e.words}, line: e.line, text: e.text}
	if why := er.read(); why != "" {
		r.problems.Add(e.line, er.c.column(), e.text, why)
		er.match(ruleset.Atom{Why: "line " + itoa(e.line) + ": " + why, Unknown: true})
	}
	if er.skip {
		return nil
	}
	er.steps = append(er.steps, verdict(e.words))
	rule.Steps = er.steps
	return rule
}

// verdict is what an entry that fits does.
func verdict(ws []word) ruleset.Step {
	if strings.EqualFold(ws[0].text, "deny") {
		return ruleset.Decide{Verdict: ruleset.Drop}
	}
	return ruleset.Decide{Verdict: ruleset.Accept}
}

// read gives why the entry is not understood.
func (er *entryReader) read() (why string) {
	switch er.c.next(); strings.ToLower(er.c.words[0].text) {
	case "evaluate":
		er.match(ruleset.Atom{Key: "reflexive " + er.c.peekText(), Why: "the sessions that the reflexive list " + er.c.peekText() + " holds", Lean: ruleset.UsuallyFalse})
		return ""
	case "dynamic":
		return "a dynamic entry, which users open"
	}
	if er.list.standard && (er.list.asa || !looksExtended(er.c)) {
		return er.standard()
	}
	if why = er.protocolPart(); why != "" {
		return why
	}
	if why = er.side(ruleset.SAddr, ruleset.SPort); why != "" {
		return why
	}
	if why = er.side(ruleset.DAddr, ruleset.DPort); why != "" {
		return why
	}
	return er.options()
}

// looksExtended reports an entry that names a protocol though its list is
// shown as a standard one.
func looksExtended(c *cursor) bool {
	switch c.peek() {
	case "ip", "tcp", "udp", "icmp", "igmp", "gre", "esp", "ahp", "ospf", "eigrp":
		return true
	}
	return false
}

// standard reads an entry of an address only. ASA's standard lists are of
// destinations (ASA CLI reference, "access-list standard").
func (er *entryReader) standard() (why string) {
	masks, field := wildcard, ruleset.SAddr
	if er.list.asa {
		masks, field = netmask, ruleset.DAddr
	}
	a, why := er.address(er.c, masks)
	if why != "" {
		return why
	}
	er.match(a.expr(field))
	return er.options()
}

// protocolPart reads "tcp", "57", "object-group G", "object SVC".
func (er *entryReader) protocolPart() (why string) {
	switch word := er.c.peek(); word {
	case "object", "object-group":
		er.c.at++
		return er.serviceGroup(er.c.next())
	default:
		if g := er.groups[er.c.peekText()]; g != nil && g.kind == serviceGroup { // as IOS shows it
			return er.serviceGroup(er.c.next())
		}
		set, why := er.protocol(word)
		if why != "" {
			return why
		}
		er.c.at++
		if word == "icmp" && er.list.v6 {
			word, set = "icmp6", ruleset.Numbers(58)
		}
		er.proto = word
		if set != nil {
			er.match(ruleset.In{Field: ruleset.L4Proto, Set: set})
		}
	}
	return ""
}

func (er *entryReader) serviceGroup(name string) string {
	g, why := er.resolve(name, serviceGroup, protocolGroup)
	if why != "" {
		return why
	}
	var any ruleset.Any
	for _, s := range g.services {
		any = append(any, s.expr())
	}
	if er.proto = commonProtocol(g.services); er.proto == "" {
		er.proto = "tcp-udp"
	}
	er.match(any)
	return ""
}

// commonProtocol tells ICMP groups from others, for what may follow.
func commonProtocol(list []service) string {
	for _, s := range list {
		if !s.proto.Equal(ruleset.Numbers(1)) {
			return ""
		}
	}
	return "icmp"
}

// expr is the condition that a packet is of the service.
func (s service) expr() ruleset.Expr {
	var all ruleset.All
	for _, part := range []struct {
		f ruleset.Field
		s ruleset.Set
	}{{ruleset.L4Proto, s.proto}, {ruleset.SPort, s.sport}, {ruleset.DPort, s.dport}, {ruleset.ICMPType, s.kind}, {ruleset.ICMPCode, s.code}} {
		if part.s != nil {
			all = append(all, ruleset.In{Field: part.f, Set: part.s})
		}
	}
	if len(all) == 0 {
		return ruleset.Const{Holds: true}
	}
	return all
}

// side reads an address and the ports behind it.
func (er *entryReader) side(addr, port ruleset.Field) (why string) {
	masks := wildcard
	if er.list.asa {
		masks = netmask
	}
	a, why := er.address(er.c, masks)
	if why != "" {
		return why
	}
	er.match(a.expr(addr))
	return er.portPart(port)
}

// portPart reads ports; on ASA a group behind an address may be one of ports,
// or the other side's addresses.
func (er *entryReader) portPart(f ruleset.Field) string {
	switch er.c.peek() {
	case "object-group":
		g := er.groups[er.nextText()]
		if g == nil || g.kind == networkGroup || g.kind == icmpGroup {
			return ""
		}
		er.c.at += 2
		return er.portGroup(f, g.name)
	case "portgroup", "port-group":
		er.c.at++
		return er.portGroup(f, er.c.next())
	}
	ports, ok, why := er.portMatch(er.c, er.proto)
	if ok && why == "" {
		er.match(ruleset.In{Field: f, Set: ports})
	}
	return why
}

// nextText is the word behind the next one.
func (er *entryReader) nextText() string {
	if er.c.at+1 < len(er.c.words) {
		return er.c.words[er.c.at+1].text
	}
	return ""
}

// portGroup takes a group of ports, or the ports that a service group has for
// the protocol of the entry.
func (er *entryReader) portGroup(f ruleset.Field, name string) string {
	g, why := er.resolve(name, portGroup, serviceGroup)
	if why != "" {
		return why
	}
	if g.kind == portGroup {
		er.match(ruleset.In{Field: f, Set: g.ports})
		return ""
	}
	var any ruleset.Any
	for _, s := range g.services {
		any = append(any, s.expr())
	}
	er.match(any)
	return ""
}
