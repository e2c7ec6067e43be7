package learn

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"

	"github.com/portreeve/portreeve/internal/firewall/rulefile"
)

// statement is a rule that the policy asks for, and whose connections come by
// it.
type statement struct {
	rule        rulefile.Rule
	proto       uint8
	first, last uint16
	more        []uint16     // further ports
	from        netip.Prefix // not valid: anybody
}

func (s *statement) covers(x service, client netip.Addr) bool {
	return x.proto == s.proto && x.from == 0 && (!s.from.IsValid() || s.from.Contains(client)) &&
		(s.first <= x.port && x.last() <= s.last || x.hi <= x.port && slices.Contains(s.more, x.port))
}

// stated are the rules that the policy asks for. What comes by them needs no
// rule of its own: it is their evidence.
func (e *evidence) stated() (out []rulefile.Rule) {
	list := e.statements()
	came := make([]cell, len(list))
	kept := e.rows[:0]
	for _, r := range e.rows {
		i := slices.IndexFunc(list, func(s statement) bool { return s.covers(e.list[r.svc], e.hosts[r.client]) })
		if i < 0 {
			kept = append(kept, r)
			continue
		}
		came[i].add(r)
	}
	e.rows = kept
	for i, s := range list {
		if c := &came[i]; len(c.rows) > 0 {
			e.settle(c)
			s.rule.Evidence = e.evidenceOf(c)
			s.rule.Evidence.Why = "stated by the policy, whatever was seen; " + s.rule.Evidence.Why
		}
		out = append(out, s.rule)
	}
	return out
}

func (e *evidence) statements() (out []statement) {
	for _, o := range e.opt.Policy.Operators {
		s := statement{proto: tcp, from: o.From.Masked(), more: o.Ports}
		if len(s.more) == 0 {
			s.more = []uint16{22}
		}
		s.first, s.last = s.more[0], s.more[0]
		var ports []string
		for _, p := range s.more {
			ports = append(ports, fmt.Sprint(p))
		}
		s.rule = rulefile.Rule{
			Name: "operator's access", Action: rulefile.Permit, Proto: "tcp", From: areaOf(s.from).texts(), Ports: ports,
			Protected: cmp.Or(o.Reason, "the operator comes from here"),
		}
		out = append(out, s)
	}
	for _, p := range e.opt.Policy.Protected {
		s := statement{proto: protoNumber(p.Proto), first: p.First, last: max(p.First, p.Last)}
		s.rule = rulefile.Rule{
			Name: "protected " + e.label(service{proto: s.proto, port: p.First, hi: p.Last}), Action: rulefile.Permit,
			Proto: string(p.Proto), Ports: []string{rulefile.PortRange{Lo: s.first, Hi: s.last}.String()},
			Protected: cmp.Or(p.Reason, "the policy protects this port"),
		}
		out = append(out, s)
	}
	return out
}
