package cisco

import (
	"fmt"

	"github.com/portreeve/portreeve/internal/firewall/dialect/ordered"
	"github.com/portreeve/portreeve/internal/firewall/rulefile"
)

// mostInline is how many addresses an entry of ASA spells out; longer lists
// become object groups.
const mostInline = 2

func (r *renderer) asa(rules []ordered.Rule) {
	iface := r.opt.In
	if iface == "" {
		iface = "INTERFACE"
	}
	r.head("paste in configuration mode, then: access-group "+r.name+" in interface "+iface,
		"show access-list "+r.name+"; packet-tracer input "+iface+" …",
		"no access-group "+r.name+" in interface "+iface+"; clear configure access-list "+r.name)
	r.line("clear configure access-list %s", r.name)
	s := &asaSides{r: r}
	for i := range rules { // groups first: an entry may name only what is there
		s.rule = &rules[i]
		s.define("from", rules[i].From)
		s.define("to", rules[i].To)
	}
	for i := range rules {
		rule := &rules[i]
		r.line("access-list %s remark %s", r.name, rule.Comment(90))
		s.rule = rule
		r.asaEntries(rule, s)
	}
	r.line("access-list %s extended deny ip any any", r.name)
}

// asaEntries writes a rule. One for both families without addresses needs no
// care: any stands for both.
func (r *renderer) asaEntries(rule *ordered.Rule, s *asaSides) {
	s.any = "any"
	switch f := rule.Families; {
	case f.IPv4 && !f.IPv6:
		s.any = "any4"
	case f.IPv6 && !f.IPv4:
		s.any = "any6"
	}
	r.entries("access-list "+r.name+" extended ", rule, s, rule.Families.IPv6 && !rule.Families.IPv4, false)
}

// asaSides writes addresses with netmasks, ranges and long lists as groups.
type asaSides struct {
	r    *renderer
	rule *ordered.Rule
	any  string
}

func (s *asaSides) group(side string) string {
	return fmt.Sprintf("%s-%d-%s", s.r.name, s.rule.Number, side)
}

// needsGroup reports a list that is long.
func needsGroup(list []rulefile.AddrRange) bool { return len(ordered.Prefixes(list)) > mostInline }

func (s *asaSides) define(side string, list []rulefile.AddrRange) {
	if !needsGroup(list) {
		return
	}
	s.r.line("object-group network %s", s.group(side))
	for _, p := range ordered.Prefixes(list) {
		switch {
		case p.Bits() == p.Addr().BitLen():
			s.r.line(" network-object host %s", p.Addr())
		case p.Addr().Is4():
			s.r.line(" network-object %s %s", p.Addr(), mask(p.Bits(), false))
		default:
			s.r.line(" network-object %s", p)
		}
	}
	s.r.line("exit")
}

func (s *asaSides) addresses(list []rulefile.AddrRange) (out []string) {
	if needsGroup(list) {
		side := "from"
		if len(list) == len(s.rule.To) && &list[0] == &s.rule.To[0] {
			side = "to"
		}
		return []string{"object-group " + s.group(side)}
	}
	for _, p := range ordered.Prefixes(list) {
		switch {
		case p.Bits() == p.Addr().BitLen():
			out = append(out, "host "+p.Addr().String())
		case p.Addr().Is4():
			out = append(out, p.Addr().String()+" "+mask(p.Bits(), false))
		default:
			out = append(out, p.String())
		}
	}
	if out == nil {
		return []string{s.any}
	}
	return out
}
