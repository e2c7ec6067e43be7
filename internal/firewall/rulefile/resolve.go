package rulefile

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"unicode"

	"github.com/goccy/go-yaml/ast"
)

// Families are the address families that a rule can fit.
type Families struct{ IPv4, IPv6 bool }

// Resolved is a rule with its texts understood. Nil lists are any.
type Resolved struct {
	*Rule
	Index     int // in File.Rules
	Proto     int // IANA number, AnyProto
	From, To  []AddrRange
	Ports     []PortRange
	FromPorts []PortRange
	Types     []ICMPType
	Families  Families
}

// Resolve understands every rule, those of action ask too. Errors are Errors.
func (f *File) Resolve() ([]Resolved, error) {
	out := make([]Resolved, 0, len(f.Rules))
	var errs Errors
	for i := range f.Rules {
		r, bad := resolve(&f.Rules[i])
		r.Index = i
		for _, b := range bad {
			if len(errs) < MaxErrors {
				errs = append(errs, &Error{Line: f.Rules[i].Line, What: fmt.Sprintf("rule %d: %s: %v", i+1, b.key, b.err)})
			}
		}
		out = append(out, r)
	}
	if len(errs) > 0 {
		return nil, errs
	}
	return out, nil
}

// Active are the rules that do something: all but those of action ask.
func (f *File) Active() ([]Resolved, error) {
	all, err := f.Resolve()
	return slices.DeleteFunc(all, func(r Resolved) bool { return r.Action == Ask }), err
}

// Actions of rules.
const (
	Permit = "permit"
	Deny   = "deny"
	Ask    = "ask"
)

// wrong is a key whose value is wrong; item is the entry of its list, -1 for
// the whole.
type wrong struct {
	key  string
	item int
	err  error
}

// checkRule tells what is wrong in a rule where it stands.
func (d *decoder) checkRule(n ast.Node, r *Rule, at nodes) {
	_, bad := resolve(r)
	for _, b := range bad {
		where := n
		if at[b.key] != nil {
			where = at[b.key]
		}
		if s, ok := where.(*ast.SequenceNode); ok && b.item >= 0 && b.item < len(s.Values) {
			where = s.Values[b.item]
		}
		d.fail(where, "%s: %v", b.key, b.err)
	}
}

func (d *decoder) chainName(n ast.Node, to *string) {
	d.text(n, to)
	if !nameFits(*to) {
		d.fail(n, "%.60q is no name for tables and chains (a letter, then letters, digits, _ and -, at most 20)", *to)
	}
}

// nameFits: what every dialect takes as the name of a chain, table or access
// list (iptables allows 28 bytes, of which some are ours).
func nameFits(s string) bool {
	for i, r := range s {
		letter := r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z'
		if !letter && (i == 0 || !unicode.IsDigit(r) && r != '_' && r != '-' || r > 127) {
			return false
		}
	}
	return len(s) <= 20
}

// resolve understands one rule.
func resolve(r *Rule) (out Resolved, bad []wrong) {
	out.Rule = r
	check := func(key string, err error) {
		if err != nil {
			bad = append(bad, wrong{key, -1, err})
		}
	}
	check("action", checkAction(r.Action))
	var err error
	out.Proto, err = ParseProto(r.Proto)
	if r.Proto == "" {
		err = errors.New("is missing (tcp, udp, sctp, udplite, dccp, icmp, icmp6, any or a number)")
	}
	check("proto", err)
	protoKnown := err == nil
	out.From, bad = parseAll("from", r.From, ParseAddrRange, bad)
	out.To, bad = parseAll("to", r.To, ParseAddrRange, bad)
	out.Ports, bad = parseAll("ports", r.Ports, ParsePortRange, bad)
	out.FromPorts, bad = parseAll("from_ports", r.FromPorts, ParsePortRange, bad)
	out.Types, bad = parseAll("types", r.Types, ParseICMPType, bad)
	check("in", checkInterface(r.In))
	check("out", checkInterface(r.Out))
	check("dynamic", checkWord(r.Dynamic))
	if protoKnown && len(bad) == 0 {
		bad = contradictions(&out, bad)
	}
	return out, bad
}

func parseAll[T any](key string, list []string, parse func(string) (T, error), bad []wrong) ([]T, []wrong) {
	var out []T
	for i, s := range list {
		v, err := parse(s)
		if err != nil {
			bad = append(bad, wrong{key, i, err})
			continue
		}
		out = append(out, v)
	}
	return out, bad
}

func checkAction(s string) error {
	switch s {
	case Permit, Deny, Ask:
		return nil
	case "":
		return errors.New("is missing (permit, deny or ask)")
	}
	return fmt.Errorf("%.60q is no action (permit, deny, ask)", s)
}

// checkInterface takes a name of at most 15 bytes (IFNAMSIZ, linux/if.h); a
// star may end it.
func checkInterface(s string) error {
	stem := strings.TrimSuffix(s, "*")
	if len(stem) > 15 || s == "*" || strings.ContainsFunc(stem, func(r rune) bool {
		return r <= ' ' || r > '~' || strings.ContainsRune(`*/"'\;{}`, r)
	}) {
		return fmt.Errorf("%.60q is no interface (eth0, or eth* for all that begin so; at most 15 characters; leave the key out for any)", s)
	}
	return nil
}

func checkWord(s string) error {
	if len(s) > 32 || strings.ContainsFunc(s, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < '0' || r > '9') && r != '-' && r != '_'
	}) {
		return fmt.Errorf("%.60q is no protocol's name (ftp, tftp, sip, rpc, msrpc, …)", s)
	}
	return nil
}

// contradictions are rules that no packet can fit, or that say two things.
func contradictions(r *Resolved, bad []wrong) []wrong {
	fail := func(key, format string, args ...any) {
		bad = append(bad, wrong{key, -1, fmt.Errorf(format, args...)})
	}
	icmp := r.Proto == protoICMP || r.Proto == protoICMP6
	for _, p := range []struct {
		key  string
		list []PortRange
	}{{"ports", r.Ports}, {"from_ports", r.FromPorts}} {
		if p.list != nil && !hasPorts(r.Proto) {
			fail(p.key, "protocol %s has no ports (tcp, udp, sctp, udplite and dccp have; write one rule for each)", r.Rule.Proto)
		}
	}
	if r.Types != nil && !icmp {
		fail("types", "ICMP types go with proto icmp or icmp6, this rule has %s", r.Rule.Proto)
	}
	r.Families = families(r, fail)
	return bad
}

func families(r *Resolved, fail func(key, format string, args ...any)) Families {
	can := Families{IPv4: r.Proto != protoICMP6, IPv6: r.Proto != protoICMP}
	for _, side := range []struct {
		key  string
		list []AddrRange
	}{{"from", r.From}, {"to", r.To}} {
		if side.list == nil {
			continue
		}
		has := familiesOf(side.list)
		if has.IPv4 && has.IPv6 {
			fail(side.key, "IPv4 and IPv6 addresses in one rule; write a rule for each family")
			return can
		}
		if has.IPv4 && !can.IPv4 || has.IPv6 && !can.IPv6 {
			fail(side.key, "no packet can fit: %s", clash(r))
			return can
		}
		can = has
	}
	return can
}

func clash(r *Resolved) string {
	switch r.Proto {
	case protoICMP:
		return "icmp is IPv4's (icmp6 is IPv6's)"
	case protoICMP6:
		return "icmp6 is IPv6's (icmp is IPv4's)"
	}
	return "from is of one family and to of the other"
}

func familiesOf(list []AddrRange) (f Families) {
	for _, a := range list {
		f.IPv4 = f.IPv4 || a.Lo.Is4()
		f.IPv6 = f.IPv6 || !a.Lo.Is4()
	}
	return f
}

// Fits reports whether the rule fits a new connection. What is not told (an
// invalid address) fits only any.
func (r *Resolved) Fits(p Packet) bool {
	return (r.Proto == AnyProto || r.Proto == int(p.Proto)) &&
		(p.Src.Is4() && r.Families.IPv4 || !p.Src.Is4() && r.Families.IPv6) &&
		anyHas(r.From, p.Src) && anyHas(r.To, p.Dst) &&
		anyPort(r.Ports, p.DstPort) && anyPort(r.FromPorts, p.SrcPort) && r.fitsType(p)
}

// Packet is what opens a connection.
type Packet struct {
	Proto            uint8
	Src, Dst         netip.Addr
	SrcPort, DstPort uint16
	Type, Code       uint8 // ICMP
}

func anyHas(list []AddrRange, a netip.Addr) bool {
	return list == nil || slices.ContainsFunc(list, func(r AddrRange) bool { return r.Contains(a) })
}

func anyPort(list []PortRange, p uint16) bool {
	return list == nil || slices.ContainsFunc(list, func(r PortRange) bool { return p >= r.Lo && p <= r.Hi })
}

func (r *Resolved) fitsType(p Packet) bool {
	return r.Types == nil || slices.ContainsFunc(r.Types, func(t ICMPType) bool {
		return t.Type == p.Type && (t.Code < 0 || t.Code == int16(p.Code))
	})
}
