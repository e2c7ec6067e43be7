package pf

import (
	"cmp"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/portreeve/portreeve/internal/firewall/ruleset"
)

// table is a named set of addresses.
type table struct {
	entries []tableEntry
	unknown string // why its addresses are not all here
}

type tableEntry struct {
	prefix netip.Prefix
	not    bool
}

// table reads "table <name> [persist] [const] [file "f"] [{ … }]".
func (p *parser) table() error {
	name := p.next()
	if !strings.HasPrefix(name.text, "<") {
		return errorAt(name, "the name of a table is missing")
	}
	t := &table{}
	p.tables[name.text] = t
	for !p.atEnd() {
		switch w := p.next(); w.text {
		case "persist", "const", "counters":
		case "file":
			t.unknown = "the table " + name.text + " is read from the file " + p.next().text
		case "{":
			if err := p.tableEntries(t, name.text); err != nil {
				return err
			}
		default:
			return errorAt(w, "%q in a table", w.text)
		}
	}
	return nil
}

func (p *parser) tableEntries(t *table, name string) error {
	for {
		switch {
		case p.done():
			return errorAt(p.last(), "the table %s does not end", name)
		case p.accept("}"):
			return nil
		case p.accept(","), p.accept("\n"):
			continue
		}
		not := p.accept("!")
		w := p.next()
		prefix, ok := prefixOf(w.text)
		if !ok {
			t.unknown = "the table " + name + " holds " + w.text + ", whose addresses are not in the file"
			continue
		}
		t.entries = append(t.entries, tableEntry{prefix, not})
	}
}

// expr is the condition that a field is in the table: the longest entry that
// holds an address decides (pf.conf(5), "Tables").
func (t *table) expr(f ruleset.Field) ruleset.Expr {
	slices.SortStableFunc(t.entries, func(a, b tableEntry) int { return cmp.Compare(a.prefix.Bits(), b.prefix.Bits()) })
	var set ruleset.Set
	for i := 0; i < len(t.entries); {
		var add, sub ruleset.Set
		bits := t.entries[i].prefix.Bits()
		for ; i < len(t.entries) && t.entries[i].prefix.Bits() == bits; i++ {
			if t.entries[i].not {
				sub = append(sub, prefixSet(t.entries[i].prefix)...)
			} else {
				add = append(add, prefixSet(t.entries[i].prefix)...)
			}
		}
		set = ruleset.Union(set, add).Minus(ruleset.Union(sub))
	}
	in := ruleset.In{Field: f, Set: set}
	if t.unknown == "" {
		return in
	}
	return ruleset.Any{in, ruleset.Atom{Key: f.String() + " " + t.unknown, Why: t.unknown, Unknown: true}}
}

// prefixOf reads an address or a network; "10/8" is 10.0.0.0/8.
func prefixOf(s string) (netip.Prefix, bool) {
	if ip, err := netip.ParseAddr(s); err == nil && ip.Zone() == "" {
		return netip.PrefixFrom(ip, ip.BitLen()), true
	}
	base, length, ok := strings.Cut(s, "/")
	n, err := strconv.Atoi(length)
	if !ok || err != nil {
		return netip.Prefix{}, false
	}
	for strings.Count(base, ".") < 3 && !strings.Contains(base, ":") {
		base += ".0"
	}
	ip, err := netip.ParseAddr(base)
	if err != nil || ip.Zone() != "" || n < 0 || n > ip.BitLen() {
		return netip.Prefix{}, false
	}
	return netip.PrefixFrom(ip, n), true
}

var allIPv4 = ruleset.Prefix(netip.PrefixFrom(netip.IPv4Unspecified(), 0))

// prefixSet is a network's addresses; those of IPv4 are no part of "::/0".
func prefixSet(p netip.Prefix) ruleset.Set {
	set := ruleset.Prefix(p)
	if p.Addr().Is6() {
		set = set.Minus(allIPv4)
	}
	return set
}

// hosts reads what follows from and to: one host, or a list. nil is any.
func (p *parser) hosts(f ruleset.Field) (ruleset.Expr, error) {
	if !p.accept("{") {
		return p.host(f)
	}
	var any ruleset.Any
	for {
		switch {
		case p.done():
			return nil, errorAt(p.last(), "a list that does not end")
		case p.accept("}"):
			return joinAny(any), nil
		case p.accept(","), p.accept("\n"):
			continue
		case p.peek().is("{"):
			return nil, errorAt(p.peek(), "a list in a list")
		}
		e, err := p.host(f)
		if err != nil {
			return nil, err
		}
		if e == nil {
			e = ruleset.Const{Holds: true}
		}
		any = append(any, e)
	}
}

// joinAny makes one set of sets of the same field.
func joinAny(any ruleset.Any) ruleset.Expr {
	var rest ruleset.Any
	var sets []ruleset.Set
	field := ruleset.Field(0)
	for _, e := range any {
		if c, ok := e.(ruleset.Const); ok && c.Holds {
			return nil
		}
		in, ok := e.(ruleset.In)
		if !ok || in.Mask != (ruleset.Value{}) || len(sets) > 0 && in.Field != field {
			rest = append(rest, e)
			continue
		}
		field = in.Field
		sets = append(sets, in.Set)
	}
	if len(sets) > 0 {
		rest = append(rest, ruleset.In{Field: field, Set: ruleset.Union(sets...)})
	}
	if len(rest) == 1 {
		return rest[0]
	}
	return rest
}

// host reads "[!] ADDRESS"; nil is any.
func (p *parser) host(f ruleset.Field) (ruleset.Expr, error) {
	not := p.accept("!")
	e, err := p.plainHost(f)
	switch {
	case err != nil || !not:
		return e, err
	case e == nil:
		return ruleset.Const{}, nil
	}
	if in, ok := e.(ruleset.In); ok {
		in.Set = f.Except(in.Set)
		return in, nil
	}
	return ruleset.Not{Expr: e}, nil
}

func (p *parser) plainHost(f ruleset.Field) (ruleset.Expr, error) {
	t := p.next()
	switch {
	case t.is("\n") || t.is(",") || t.is("}"):
		return nil, errorAt(t, "an address is missing")
	case t.is("any"):
		return nil, nil
	case t.is("no-route"), t.is("urpf-failed"):
		return ruleset.Atom{Key: t.text, Why: "an address that is not routed back (" + t.text + ")", Lean: ruleset.UsuallyFalse}, nil
	case t.is("self"):
		return p.interfaceAddress(f, "self"), nil
	case t.is("route"):
		return unknownAddress(f, "the addresses of route label "+p.next().text), nil
	case t.is("("):
		name := p.next()
		return p.interfaceAddress(f, name.text), p.expect(")")
	case strings.HasPrefix(t.text, "<"):
		return p.tableExpr(f, t)
	}
	return p.addressOrName(f, t)
}

func (p *parser) tableExpr(f ruleset.Field, t token) (ruleset.Expr, error) {
	if tb := p.tables[t.text]; tb != nil {
		return tb.expr(f), nil
	}
	return unknownAddress(f, "the table "+t.text+", which the file does not fill"), nil
}

func unknownAddress(f ruleset.Field, why string) ruleset.Expr {
	return ruleset.Atom{Key: f.String() + " " + why, Why: why, Unknown: true}
}

func (p *parser) addressOrName(f ruleset.Field, t token) (ruleset.Expr, error) {
	lo, okLo := prefixOf(t.text)
	if okLo && p.accept("-") {
		hi := p.next()
		last, ok := prefixOf(hi.text)
		if !ok {
			return nil, errorAt(hi, "%q ends no range", hi.text)
		}
		return ruleset.In{Field: f, Set: ruleset.Range(ruleset.Address(lo.Addr()), ruleset.Address(last.Addr()))}, nil
	}
	if okLo {
		return ruleset.In{Field: f, Set: prefixSet(lo)}, nil
	}
	if a, b, cut := strings.Cut(t.text, "-"); cut {
		from, okA := prefixOf(a)
		to, okB := prefixOf(b)
		if okA && okB {
			return ruleset.In{Field: f, Set: ruleset.Range(ruleset.Address(from.Addr()), ruleset.Address(to.Addr()))}, nil
		}
	}
	if strings.HasPrefix(t.text, "$") {
		return nil, errorAt(t, "the macro %q is not defined", t.text)
	}
	if !isName(t.text) {
		return nil, errorAt(t, "%q is no address", t.text)
	}
	return p.interfaceAddress(f, t.text), nil
}

func isName(s string) bool {
	for _, c := range s {
		if c < '0' || c > '9' && c < 'A' || c > 'Z' && c < 'a' && c != '_' || c > 'z' {
			if c != '.' && c != '-' && c != ':' && c != '/' && c != '*' {
				return false
			}
		}
	}
	return s != ""
}

// interfaceAddress reads "em0", "em0:network", "em0/24" and host names: their
// addresses are known only when they were given.
func (p *parser) interfaceAddress(f ruleset.Field, s string) ruleset.Expr {
	base, _, _ := strings.Cut(s, "/")
	name, part, _ := strings.Cut(base, ":")
	known, ok := p.opt.Interfaces[name]
	if !ok || part == "broadcast" || part == "peer" || base != s {
		return unknownAddress(f, "the addresses of "+s)
	}
	var sets []ruleset.Set
	for _, prefix := range known {
		if part != "network" {
			prefix = netip.PrefixFrom(prefix.Addr(), prefix.Addr().BitLen())
		}
		sets = append(sets, ruleset.Prefix(prefix))
	}
	return ruleset.In{Field: f, Set: ruleset.Union(sets...)}
}
