package pf

import (
	"strconv"
	"strings"

	"github.com/portreeve/portreeve/internal/firewall/ruleset"
)

// rule is a filter rule.
type rule struct {
	line  int
	text  string
	block bool
	// nothing: a match rule, which decides nothing.
	nothing bool
	quick   bool
	in, out bool           // directions; neither is both
	on      [][]ifspec     // every list must hold
	conds   []ruleset.Expr // but for the interface
	steps   []ruleset.Step // translation, before the verdict
	noState bool
	// elsewhere: something that is not known decides, or goes on.
	elsewhere string
}

// ifspec is an interface, or a group of them.
type ifspec struct {
	name string
	not  bool
}

// building is a rule as it is read.
type building struct {
	rule
	protos   []string
	protoSet ruleset.Set // nil: any
	flags    string      // "", "any" or "S/SA"
	state    bool        // keep, modulate or synproxy state was said
}

// filter reads "pass|block|match …".
func (p *parser) filter(action token) error {
	b := &building{rule: rule{line: action.line, block: action.is("block"), nothing: action.is("match")}}
	if b.block {
		p.blockPolicy()
	}
	for !p.atEnd() {
		t := p.peek()
		if t.is("}") {
			break
		}
		p.next()
		if err := p.option(b, t); err != nil {
			return err
		}
	}
	b.text = strings.Join(p.said, " ")
	b.finish()
	p.noState = p.noState || b.noState && !b.block && !b.nothing
	p.into.items = append(p.into.items, item{rule: b.rule})
	return nil
}

// blockPolicy reads what a block rule answers with.
func (p *parser) blockPolicy() {
	switch t := p.peek(); t.text {
	case "drop":
		p.at++
	case "return", "return-rst", "return-icmp", "return-icmp6":
		p.at++
		if p.peek().is("(") {
			p.parentheses()
		}
	}
}

// parentheses leaves out "( … )".
func (p *parser) parentheses() {
	for depth := 0; !p.atEnd(); {
		t := p.next()
		switch {
		case t.is("("):
			depth++
		case t.is(")"):
			if depth--; depth <= 0 {
				return
			}
		}
	}
}

// option reads one part of a rule.
func (p *parser) option(b *building, t token) (err error) {
	switch t.text {
	case "in":
		b.in = true
	case "out":
		b.out = true
	case "quick":
		b.quick = true
	case "log":
		if p.peek().is("(") {
			p.parentheses()
		}
	case "on":
		return p.onInterface(b)
	case "inet":
		b.cond(ruleset.In{Field: ruleset.NFProto, Set: ruleset.Numbers(ruleset.FamilyIPv4)})
	case "inet6":
		b.cond(ruleset.In{Field: ruleset.NFProto, Set: ruleset.Numbers(ruleset.FamilyIPv6)})
	case "proto":
		return p.protocols(b)
	case "all":
	case "from":
		return p.side(b, ruleset.SAddr, ruleset.SPort)
	case "to":
		return p.side(b, ruleset.DAddr, ruleset.DPort)
	case "port": // "from any port 1" is read by side; "to port 80" too
		return p.ports(b, ruleset.DPort)
	default:
		return p.filterOption(b, t)
	}
	return err
}

func (b *building) cond(e ruleset.Expr) {
	if e != nil {
		b.conds = append(b.conds, e)
	}
}

func (p *parser) onInterface(b *building) error {
	if p.accept("rdomain") {
		b.cond(ruleset.Atom{Why: "the routing domain " + p.next().text, Unknown: true})
		return nil
	}
	list, err := p.interfaces()
	b.on = append(b.on, list)
	return err
}

// interfaces reads an interface or a list of them.
func (p *parser) interfaces() (list []ifspec, err error) {
	if !p.accept("{") {
		one, err := p.oneInterface()
		return []ifspec{one}, err
	}
	for {
		switch {
		case p.done():
			return nil, errorAt(p.last(), "a list that does not end")
		case p.accept("}"):
			return list, nil
		case p.accept(","), p.accept("\n"):
			continue
		}
		one, err := p.oneInterface()
		if err != nil {
			return nil, err
		}
		list = append(list, one)
	}
}

func (p *parser) oneInterface() (ifspec, error) {
	not := p.accept("!")
	t := p.next()
	if t.is("\n") || t.is("{") || strings.HasPrefix(t.text, "$") {
		return ifspec{}, errorAt(t, "%q is no interface", t.text)
	}
	return ifspec{t.text, not}, nil
}

// protocols reads "tcp", "{ tcp udp }", "6".
func (p *parser) protocols(b *building) error {
	words, err := p.list()
	if err != nil {
		return err
	}
	var sets []ruleset.Set
	for _, w := range words {
		n, ok := protocolNumber(w.text)
		if !ok {
			return errorAt(w, "no protocol %q", w.text)
		}
		b.protos = append(b.protos, w.text)
		sets = append(sets, ruleset.Numbers(n))
	}
	b.protoSet = ruleset.Union(sets...)
	b.cond(ruleset.In{Field: ruleset.L4Proto, Set: b.protoSet})
	return nil
}

// list reads a word or a list of words.
func (p *parser) list() (words []token, err error) {
	open := p.peek()
	if !p.accept("{") {
		t := p.next()
		if t.is("\n") {
			return nil, errorAt(t, "a word is missing")
		}
		return []token{t}, nil
	}
	for {
		switch {
		case p.done():
			return nil, errorAt(open, "a list that does not end")
		case p.accept("}"):
			if len(words) == 0 {
				return nil, errorAt(open, "an empty list")
			}
			return words, nil
		case p.accept(","), p.accept("\n"):
			continue
		}
		words = append(words, p.next())
	}
}

// side reads an address and a port.
func (p *parser) side(b *building, addr, pt ruleset.Field) error {
	if !p.peek().is("port") && !p.peek().is("os") {
		e, err := p.hosts(addr)
		if err != nil {
			return err
		}
		b.cond(e)
	}
	if p.accept("port") {
		if err := p.ports(b, pt); err != nil {
			return err
		}
	}
	if p.accept("os") {
		words, err := p.list()
		if err != nil {
			return err
		}
		b.cond(ruleset.Atom{Key: "os " + words[0].text, Why: "the sender's operating system"})
	}
	return nil
}

// ports reads a port, a comparison, a range, or a list of them.
func (p *parser) ports(b *building, f ruleset.Field) error {
	open := p.peek()
	if !p.accept("{") {
		set, err := p.onePort(b)
		if err == nil {
			b.cond(ruleset.In{Field: f, Set: set})
		}
		return err
	}
	var sets []ruleset.Set
	for {
		switch {
		case p.done():
			return errorAt(open, "a list that does not end")
		case p.accept("}"):
			b.cond(ruleset.In{Field: f, Set: ruleset.Union(sets...)})
			return nil
		case p.accept(","), p.accept("\n"):
			continue
		}
		set, err := p.onePort(b)
		if err != nil {
			return err
		}
		sets = append(sets, set)
	}
}

// onePort reads "80", "= 80", "!= 80", "< 1024", "1:5", "1 >< 5", "1 <> 5".
func (p *parser) onePort(b *building) (ruleset.Set, error) {
	sign := "="
	switch t := p.peek(); t.text {
	case "=", "!=", "<", "<=", ">", ">=", "!":
		p.at++
		sign = t.text
	}
	t := p.next()
	lo, hi, isRange := strings.Cut(t.text, ":")
	n, err := p.portNumber(b, t, lo, 0)
	if err != nil {
		return nil, err
	}
	m := n
	if isRange {
		if m, err = p.portNumber(b, t, hi, 65535); err != nil {
			return nil, err
		}
	}
	if op := p.peek(); !isRange && (op.is("><") || op.is("<>") || op.is(":")) {
		p.at++
		end := p.next()
		if m, err = p.portNumber(b, end, end.text, 65535); err != nil {
			return nil, err
		}
		sign = op.text
	}
	return portSet(sign, n, m), nil
}

func (p *parser) portNumber(b *building, at token, s string, none uint64) (uint64, error) {
	if s == "" {
		return none, nil
	}
	if n, err := strconv.ParseUint(s, 10, 16); err == nil {
		return n, nil
	}
	protos := b.protos
	if len(protos) == 0 {
		protos = []string{"tcp", "udp"}
	}
	if n, ok := port(protos, s); ok {
		return n, nil
	}
	return 0, errorAt(at, "no port %q", s)
}

// portSet gives the ports that a comparison stands for. "><" and "<>" leave
// their ends out (pf.conf(5)).
func portSet(sign string, n, m uint64) ruleset.Set {
	num, all := ruleset.Number, ruleset.DPort.Full()
	switch sign {
	case "!=", "!":
		return all.Minus(ruleset.Range(num(n), num(m)))
	case "<":
		return all.Minus(ruleset.Range(num(n), num(65535)))
	case "<=":
		return ruleset.Range(num(0), num(n))
	case ">":
		return all.Minus(ruleset.Range(num(0), num(n)))
	case ">=":
		return ruleset.Range(num(n), num(65535))
	case "><":
		return ruleset.Range(num(n), num(m)).Minus(ruleset.Numbers(n, m))
	case "<>":
		return all.Minus(ruleset.Range(num(n), num(m)))
	}
	return ruleset.Range(num(n), num(m))
}

func itoa(n int) string { return strconv.Itoa(n) }
