package filter

import (
	"slices"
	"strings"
)

// maxDepth bounds nesting, so that no expression exhausts the stack.
const maxDepth = 200

type parser struct {
	toks  []token
	i     int
	depth int
	w     *words
}

// class is what a unit turned out to be; in parentheses that is known only
// at their end.
type class uint8

const (
	isNum   class = iota // a number: an id or arithmetic, by what follows
	isArith              // arithmetic
	isID                 // ids joined and negated, for the qualifiers before
	isTerm               // complete
)

type unit struct {
	class class
	n     node
	a     arith
	num   token
	q     qual // what an id after it inherits
	at    span
}

// parse gives the tree of an expression, nil for the empty one.
func parse(expr string, w *words) node {
	p := &parser{toks: scan(expr, w), w: w}
	if p.tok().kind == kEnd {
		return nil
	}
	u := p.sequence(qual{}, false)
	if t := p.tok(); t.kind != kEnd {
		p.unexpected(t)
	}
	return p.condition(u)
}

func (p *parser) tok() token { return p.toks[p.i] }

func (p *parser) peek(n int) token { return p.toks[min(p.i+n, len(p.toks)-1)] }

func (p *parser) advance() token {
	t := p.toks[p.i]
	if t.kind != kEnd {
		p.i++
	}
	return t
}

// is reports the next token to be one of these keywords or signs.
func (p *parser) is(texts ...string) bool {
	t := p.tok()
	return (t.kind == kWord || t.kind == kOp) && slices.Contains(texts, t.text)
}

func (p *parser) expect(text string) token {
	if !p.is(text) {
		t := p.tok()
		refuse(t.span, "", "%s expected here", text)
	}
	return p.advance()
}

func (p *parser) enter(at span) func() {
	if p.depth++; p.depth > maxDepth {
		refuse(at, "", "the expression is nested more than %d deep", maxDepth)
	}
	return func() { p.depth-- }
}

// sequence reads units joined by and and or, which bind alike, from the left.
// q is what a leading id inherits; idOnly: only ids may come, as behind
// "port (".
func (p *parser) sequence(q qual, idOnly bool) unit {
	left := p.unit(q, idOnly)
	for p.joint() {
		left = p.asCondition(left, q)
		word := p.advance()
		only := idOnly || left.class == isID
		right := p.asCondition(p.unit(left.q, only), left.q)
		if only && right.class != isID {
			refuse(right.at, "close the parenthesis first", "only names, numbers and addresses can follow here")
		}
		left = unit{class: left.class, n: &bothNode{word.text, left.n, right.n}, q: right.q, at: left.at.to(right.at)}
	}
	return left
}

// joint reports and or or; in capitals they are no name here, for two ids
// cannot follow each other.
func (p *parser) joint() bool {
	p.promote("and", "or")
	return p.is("and", "or")
}

// asCondition makes a number an id, and refuses lone arithmetic.
func (p *parser) asCondition(u unit, q qual) unit {
	switch u.class {
	case isNum:
		return unit{class: isID, n: p.id(q, u.num, token{}), q: q, at: u.at}
	case isArith:
		refuse(u.at, "compare it: ip[8] < 5", "this is a number, not a condition")
	}
	return u
}

// condition is asCondition for the whole expression.
func (p *parser) condition(u unit) node { return p.asCondition(u, qual{}).n }

func (p *parser) unit(q qual, idOnly bool) unit {
	t := p.tok()
	defer p.enter(t.span)()
	p.promoteStart(q, idOnly)
	t = p.tok()
	switch {
	case p.is("not"):
		return p.negation(q, idOnly)
	case p.is("("):
		return p.parens(q, idOnly)
	case t.kind == kNum:
		p.advance()
		u := unit{class: isNum, num: t, a: &numArith{t.num, t.span}, at: t.span}
		return p.arithTail(u, idOnly)
	case isIDToken(t):
		return p.idUnit(q)
	case idOnly || t.kind == kEnd:
		p.unexpected(t)
	case p.is("-", "len") || isProtocol(t.text) && p.peek(1).text == "[":
		a := p.operand()
		return p.arithTail(unit{class: isArith, a: a, at: a.where()}, idOnly)
	}
	return p.term()
}

func isIDToken(t token) bool {
	switch t.kind {
	case kName, kAddr, kAddr6, kMAC, kArc:
		return true
	}
	return false
}

func (p *parser) negation(q qual, idOnly bool) unit {
	t := p.advance()
	u := p.asCondition(p.unit(q, idOnly), q)
	u.n = &notNode{u.n, t.span}
	u.at = t.span.to(u.at)
	return u
}

func (p *parser) parens(q qual, idOnly bool) unit {
	open := p.advance()
	u := p.sequence(q, idOnly)
	if !p.is(")") {
		if t := p.tok(); t.kind != kEnd {
			p.unexpected(t)
		}
		refuse(open.span, "", "this parenthesis is not closed")
	}
	u.at = open.span.to(p.advance().span)
	if u.class == isTerm {
		u.q = q
	}
	return p.arithTail(u, idOnly)
}

// arithTail goes on after a number or arithmetic with operators and the
// comparison.
func (p *parser) arithTail(u unit, idOnly bool) unit {
	if idOnly || u.class == isID || u.class == isTerm {
		return u
	}
	a := p.operators(u.a, 1)
	op := p.tok()
	if op.kind == kOp && slices.Contains([]string{"=", "!=", "<", ">", "<=", ">="}, op.text) {
		p.advance()
		r := p.operators(p.operand(), 1)
		at := u.at.to(r.where())
		return unit{class: isTerm, n: &compareNode{op.text, a, r, at}, at: at}
	}
	if a != u.a {
		return unit{class: isArith, a: a, at: a.where()}
	}
	return u
}

// idUnit is one id: a name, or an address with what follows it.
func (p *parser) idUnit(q qual) unit {
	t := p.advance()
	at, mask := t.span, token{}
	p.promote("mask")
	switch {
	case p.is("/") && (t.kind == kAddr || t.kind == kAddr6):
		p.advance()
		if mask = p.advance(); mask.kind != kNum {
			refuse(mask.span, "", "a prefix length is expected after /")
		}
		at = at.to(mask.span)
	case p.is("mask") && t.kind == kAddr:
		p.advance()
		if mask = p.advance(); mask.kind != kAddr {
			refuse(mask.span, "", "a netmask with dots is expected")
		}
		at = at.to(mask.span)
	}
	n := p.id(q, t, mask)
	n.at = at
	return unit{class: isID, n: n, q: q, at: at}
}

func (p *parser) id(q qual, t, mask token) *idNode {
	if q.known {
		return &idNode{q: q, id: t, mask: mask, at: t.span}
	}
	word := "host"
	if t.kind == kNum {
		word = "port"
	}
	hint := "write " + word + " before it"
	if t.kind == kMAC {
		hint = "write ether host before it"
	}
	if t.kind == kName && !strings.ContainsAny(t.text, ".0123456789") {
		hint = "an unknown word; for a host's name write host before it"
	}
	refuse(t.span, hint, "nothing says what %q is", short(t.raw))
	return nil
}

// unexpected refuses a token that fits nowhere.
func (p *parser) unexpected(t token) {
	prev := token{}
	if p.i > 0 {
		prev = p.toks[p.i-1]
	}
	switch {
	case t.kind == kEnd:
		refuse(t.span, "", "the expression ends too early")
	case t.text == "/" && prev.kind == kNum:
		refuse(prev.span.to(t.span), "write the network with dots: 10.0.0.0/8", "a prefix length needs an address with dots")
	case isIDToken(t) || t.kind == kNum || t.kind == kWord:
		refuse(t.span, "join conditions with and or or", "%q cannot stand here", short(t.raw))
	default:
		refuse(t.span, "", "%q cannot stand here", short(t.raw))
	}
}
