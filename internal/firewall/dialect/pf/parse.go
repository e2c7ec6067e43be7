package pf

import (
	"errors"
	"io"
	"net/netip"
	"strings"

	"github.com/portreeve/portreeve/internal/firewall/dialect/portname"
	"github.com/portreeve/portreeve/internal/firewall/dialect/problem"
	"github.com/portreeve/portreeve/internal/firewall/ruleset"
)

// Options say what is known beyond the file.
type Options struct {
	// Interfaces are the addresses and networks of interfaces, for "(em0)" and
	// "em0:network"; nil where they are not known.
	Interfaces map[string][]netip.Prefix
}

// Read reads a pf.conf.
func Read(in io.Reader, o Options) (*ruleset.RuleSet, []problem.Problem, error) {
	src, err := readAll(in)
	if err != nil {
		return nil, nil, err
	}
	// Rules may stand before the tables that they name: the first reading is
	// for the tables.
	first, err := parse(src, o, map[string]*table{})
	if err != nil {
		return nil, nil, errors.Join(ErrFormat, err)
	}
	p, err := parse(src, o, first.tables)
	if err != nil {
		return nil, nil, errors.Join(ErrFormat, err)
	}
	if p.depth > 0 {
		return nil, p.problems.All(), errors.Join(ErrFormat, errorAt(p.last(), "an anchor that does not close"))
	}
	if p.understood == 0 {
		return nil, p.problems.All(), ErrFormat
	}
	return p.ruleSet(), p.problems.All(), nil
}

func parse(src string, o Options, tables map[string]*table) (*parser, error) {
	toks, err := scan(src)
	if err != nil {
		return nil, err
	}
	p := &parser{toks: toks, opt: o, macros: map[string][]token{}, tables: tables, top: &anchor{}}
	p.into = p.top
	for !p.done() {
		p.line()
	}
	return p, nil
}

// parser reads the tokens of a file.
type parser struct {
	toks       []token
	at         int
	opt        Options
	macros     map[string][]token
	tables     map[string]*table
	top        *anchor
	into       *anchor // the anchor that is open
	depth      int
	spliced    int
	understood int
	problems   problem.List
	skip       []ifspec // set skip on
	noState    bool     // a rule keeps no state
	start      token    // of the statement
	said       []string // words of the statement that were read
}

// anchor is a list of rules; the top of the file is one.
type anchor struct {
	parent *anchor
	items  []item
	nat    []natRule
}

// item is a rule, or an anchor that stands like a rule.
type item struct {
	rule
	inner *anchor // rules in braces
}

func (p *parser) done() bool { return p.at >= len(p.toks) }

func (p *parser) last() token { return p.toks[len(p.toks)-1] }

// peek gives the next token with macros replaced.
func (p *parser) peek() token {
	for p.at < len(p.toks) {
		t := p.toks[p.at]
		if t.quoted || !strings.HasPrefix(t.text, "$") || !p.replace(t) {
			return t
		}
	}
	end := p.last()
	end.text, end.quoted = "\n", false
	return end
}

// replace puts a macro's words in the place of its name.
func (p *parser) replace(t token) bool {
	value, ok := p.macros[t.text[1:]]
	if !ok || p.spliced+len(value) > mostTokens {
		return false
	}
	p.spliced += len(value) + 1
	if len(value) > p.at+1 {
		p.toks = append(make([]token, len(value)), p.toks[p.at+1:]...)
		p.at = 0
	} else {
		p.at -= len(value) - 1
	}
	for i, v := range value {
		v.line, v.col = t.line, t.col
		p.toks[p.at+i] = v
	}
	return true
}

func (p *parser) next() token {
	t := p.peek()
	p.at++
	p.say(t)
	return t
}

// mostSaid bounds the text of a rule, in words.
const mostSaid = 200

func (p *parser) say(t token) {
	if len(p.said) < mostSaid && !t.is("\n") {
		p.said = append(p.said, t.text)
	}
}

func (p *parser) accept(s string) bool {
	if t := p.peek(); t.is(s) && !p.done() {
		p.at++
		p.say(t)
		return true
	}
	return false
}

func (p *parser) expect(s string) error {
	if t := p.next(); !t.is(s) {
		return errorAt(t, "%q where %q should stand", t.text, s)
	}
	return nil
}

func (p *parser) atEnd() bool { return p.done() || p.peek().is("\n") }

// restOfLine leaves out what is left of a line, and of a list that it opened.
func (p *parser) restOfLine() string {
	var words []string
	for depth := 0; !p.done(); p.at++ {
		t := p.toks[p.at]
		switch {
		case t.is("{"):
			depth++
		case t.is("}"):
			depth--
		case t.is("\n") && depth <= 0:
			return strings.Join(words, " ")
		}
		if len(words) < 40 {
			words = append(words, t.text)
		}
	}
	return strings.Join(words, " ")
}

// line reads one statement.
func (p *parser) line() {
	for p.accept("\n") {
	}
	if p.done() {
		return
	}
	p.start, p.said = p.peek(), p.said[:0]
	if p.start.is("}") {
		p.at++
		p.closeAnchor()
		return
	}
	err := p.statement()
	if err == nil && !p.atEnd() && !p.peek().is("}") && !p.start.is("anchor") {
		err = errorAt(p.peek(), "%q is not understood here", p.peek().text)
	}
	if err != nil {
		p.failed(err)
	}
}

// failed notes a statement that is not understood; it may do anything.
func (p *parser) failed(err error) {
	t, why := p.start, err.Error()
	var place *placeError
	if errors.As(err, &place) {
		t, why = place.at, place.why
	}
	text := p.start.text
	if rest := p.restOfLine(); rest != "" {
		text += " … " + rest
	}
	p.problems.Add(t.line, t.col, text, why)
	r := rule{line: p.start.line, text: text, elsewhere: "a rule that is not understood (line " + itoa(p.start.line) + ": " + why + ")"}
	p.into.items = append(p.into.items, item{rule: r})
}

// statement reads one statement from its first word.
func (p *parser) statement() error {
	t := p.next()
	if strings.HasPrefix(t.text, "@") { // `pfctl -vv` numbers its rules
		t = p.next()
	}
	if !t.quoted && p.peek().is("=") {
		p.understood++
		p.at++
		return p.macro(t)
	}
	switch t.text {
	case "pass", "block", "match":
		p.understood++
		return p.filter(t)
	case "anchor":
		p.understood++
		return p.anchor()
	case "table":
		p.understood++
		return p.table()
	case "set":
		p.understood++
		return p.set()
	case "antispoof":
		p.understood++
		return p.antispoof()
	case "nat", "rdr", "binat", "no":
		return p.oldNAT(t)
	}
	return p.rarer(t)
}

func (p *parser) rarer(t token) error {
	switch t.text {
	case "scrub", "altq", "queue", "nat-anchor", "binat-anchor", "dummynet", "dummynet-anchor", "scrub-anchor", "ether", "state-policy":
		p.understood++
		p.restOfLine()
		return nil
	case "rdr-anchor":
		p.understood++
		name := p.next().text
		p.restOfLine()
		p.into.nat = append(p.into.nat, natRule{line: t.line, anchor: name})
		return nil
	case "load":
		p.restOfLine() // the anchor that it fills is unknown already
		return nil
	case "include":
		name := p.next().text
		return errorAt(t, "the file %q is included and was not read", name)
	case "[": // counters under a rule of `pfctl -v`
		p.restOfLine()
		return nil
	}
	return errorAt(t, "%q begins no statement that is understood", t.text)
}

// macro reads the value of "name = value"; a quoted value is words.
func (p *parser) macro(name token) error {
	var value []token
	for depth := 0; !p.done(); {
		t := p.peek()
		if t.is("\n") && depth <= 0 {
			break
		}
		p.at++
		switch {
		case t.is("{"):
			depth++
		case t.is("}"):
			depth--
		case t.is("\n"):
			continue
		case !t.quoted && strings.HasPrefix(t.text, "$"):
			return errorAt(t, "the macro %q is not defined", t.text)
		}
		if !t.quoted {
			value = append(value, t)
			continue
		}
		inner, err := scan(t.text)
		if err != nil {
			return errorAt(t, "the value of %s: %v", name.text, err)
		}
		value = append(value, inner[:len(inner)-1]...)
	}
	p.macros[name.text] = value
	return nil
}

// set reads "set skip on …"; other options change no verdict.
func (p *parser) set() error {
	if !p.accept("skip") {
		p.restOfLine()
		return nil
	}
	if err := p.expect("on"); err != nil {
		return err
	}
	list, err := p.interfaces()
	p.skip = append(p.skip, list...)
	return err
}

// port resolves a name or a number.
func port(protos []string, s string) (uint64, bool) {
	for _, proto := range protos {
		if n, ok := portname.Port(proto, s); ok {
			return uint64(n), true
		}
	}
	return 0, false
}
