package ordered

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/portreeve/portreeve/internal/firewall/rulefile"
)

// Rule is an active rule; its lists are sorted and joined, nil is any.
type Rule struct {
	rulefile.Resolved
	Number int // in the file, from 1
}

// Permits reports a permit; otherwise the rule denies.
func (r *Rule) Permits() bool { return r.Action == rulefile.Permit }

// Rules gives the active rules of a file in their order.
func Rules(f *rulefile.File) ([]Rule, error) {
	active, err := f.Active()
	if err != nil {
		return nil, err
	}
	out := make([]Rule, len(active))
	for i, r := range active {
		r.From, r.To = joinAddrs(r.From), joinAddrs(r.To)
		r.Ports, r.FromPorts = joinPorts(r.Ports), joinPorts(r.FromPorts)
		own := *r.Rule // a writer may change it; the file stays as it is
		r.Rule = &own
		out[i] = Rule{Resolved: r, Number: r.Index + 1}
	}
	return out, nil
}

// Name is what chains, tables and lists are called.
func Name(f *rulefile.File) string { return cmp.Or(f.Name, "portreeve") }

func joinAddrs(in []rulefile.AddrRange) (out []rulefile.AddrRange) {
	in = slices.Clone(in)
	slices.SortFunc(in, func(a, b rulefile.AddrRange) int { return a.Lo.Compare(b.Lo) })
	for _, r := range in {
		n := len(out) - 1
		if n >= 0 && out[n].Hi.BitLen() == r.Lo.BitLen() && (!out[n].Hi.Less(r.Lo) || out[n].Hi.Next() == r.Lo) {
			if out[n].Hi.Less(r.Hi) {
				out[n].Hi = r.Hi
			}
			continue
		}
		out = append(out, r)
	}
	return out
}

func joinPorts(in []rulefile.PortRange) (out []rulefile.PortRange) {
	in = slices.Clone(in)
	slices.SortFunc(in, func(a, b rulefile.PortRange) int { return cmp.Compare(a.Lo, b.Lo) })
	for _, r := range in {
		if n := len(out) - 1; n >= 0 && int(r.Lo) <= int(out[n].Hi)+1 {
			out[n].Hi = max(out[n].Hi, r.Hi)
			continue
		}
		out = append(out, r)
	}
	return out
}

// Prefixes are the prefixes that cover just the ranges.
func Prefixes(list []rulefile.AddrRange) (out []netip.Prefix) {
	for _, r := range list {
		out = append(out, r.Prefixes()...)
	}
	return out
}

// Comment is what a rule is called, in printable ASCII without quotes and
// backslashes, at most so many bytes.
func (r *Rule) Comment(most int) string {
	s := cmp.Or(r.Name, r.Rule.Comment, r.Service)
	if s == "" {
		s = fmt.Sprintf("rule %d", r.Number)
	}
	return Plain(s, most)
}

// Plain makes a text safe to stand in a comment or a quoted string.
func Plain(s string, most int) string {
	s = strings.Map(func(c rune) rune {
		if c < ' ' || c > '~' || strings.ContainsRune("\"'\\`$", c) {
			return '_'
		}
		return c
	}, s)
	return strings.TrimSpace(s[:min(len(s), most)])
}

// Notes are what a language cannot say, one sentence each.
type Notes []string

// Cannot notes a condition that cannot be said, and reports whether the rule
// is written without it: a deny is, a permit is not.
func (n *Notes) Cannot(r *Rule, what string) (write bool) {
	if r.Permits() {
		n.Add("rule %d (%s) is left out: %s", r.Number, r.Comment(60), what)
		return false
	}
	n.Add("rule %d (%s) denies more than it says: %s", r.Number, r.Comment(60), what)
	return true
}

// Add notes a sentence.
func (n *Notes) Add(format string, args ...any) { *n = append(*n, fmt.Sprintf(format, args...)) }

// Helpers are the protocols that agree further ports in band, and the control
// ports at which the kernel's connection tracking listens in
// (nf_conntrack_ftp and others).
var helpers = map[string]struct {
	Proto int
	Port  uint16
}{"ftp": {6, 21}, "tftp": {17, 69}, "sip": {17, 5060}, "h323": {6, 1720}, "pptp": {6, 1723}, "irc": {6, 6667}, "amanda": {17, 10080},
	"snmp": {17, 161}, "netbios-ns": {17, 137}, "sane": {6, 6566}}

// Control reports that a rule is for the control connection of a protocol that
// connection tracking has a helper for.
func (r *Rule) Control() bool {
	h, ok := helpers[r.Dynamic]
	return ok && r.Permits() && r.Proto == h.Proto && slices.ContainsFunc(r.Ports, func(p rulefile.PortRange) bool { return p.Lo <= h.Port && h.Port <= p.Hi })
}

// ControlPort is the port of the control connection.
func (r *Rule) ControlPort() uint16 { return helpers[r.Dynamic].Port }

// NoteControl notes that a control connection's further ports need a helper.
func (n *Notes) NoteControl(r *Rule, how string) {
	if r.Control() {
		n.Add("rule %d (%s): %s agrees further ports in its connection; %s", r.Number, r.Comment(60), r.Dynamic, how)
	}
}

// Whole splits ICMP types into those of any code and those of one.
func Whole(types []rulefile.ICMPType) (whole []uint8, single []rulefile.ICMPType) {
	for _, t := range types {
		if t.Code < 0 {
			if !slices.Contains(whole, t.Type) {
				whole = append(whole, t.Type)
			}
		} else if !slices.Contains(single, t) {
			single = append(single, t)
		}
	}
	slices.Sort(whole)
	return whole, single
}
