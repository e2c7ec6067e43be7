package filter

import (
	"slices"
	"strings"
)

// promote makes the next token a keyword if it is one of these in capitals.
func (p *parser) promote(texts ...string) {
	t := p.tok()
	if t.kind != kName || t.raw[0] == '\\' {
		return
	}
	if word, ok := p.w.keys[strings.ToLower(t.raw)]; ok && (len(texts) == 0 || slices.Contains(texts, word)) {
		p.toks[p.i].kind, p.toks[p.i].text = kWord, word
	}
}

// promoteStart does so at the beginning of a unit, where a name is possible
// if an id may be inherited: then a word in capitals is a keyword only if
// what follows cannot follow a name.
func (p *parser) promoteStart(q qual, idOnly bool) {
	t := p.peek(1)
	ends := t.kind == kEnd || t.text == ")" || slices.Contains([]string{"and", "or"}, strings.ToLower(t.text))
	if !idOnly && !q.known || !idOnly && !ends {
		p.promote()
	}
}

// startsID reports what can begin an id.
func startsID(t token) bool {
	return isIDToken(t) || t.kind == kNum || t.text == "(" || t.text == "not"
}

// term is a primitive.
func (p *parser) term() unit {
	start := p.tok()
	proto := ""
	if start.kind == kWord && isProtocol(start.text) {
		proto = p.advance().text
		p.promote()
	}
	if u, ok := p.head(start.span, proto); ok {
		return u
	}
	if p.is("broadcast", "multicast", "type", "subtype", "dir") {
		return p.word(start.span, proto)
	}
	if proto != "" {
		return unit{class: isTerm, n: &protoNode{proto, start.span}, at: start.span}
	}
	if start.kind == kWord && isForeign(start.text) {
		refuse(start.span, "", "%s is of ATM or SS7 captures and not supported", start.text)
	}
	return p.word(start.span, "")
}

// head reads direction and type and the ids they hold for.
func (p *parser) head(start span, proto string) (unit, bool) {
	q := qual{proto: proto, known: true}
	q.dir = p.direction()
	if q.dir != "" && startsID(p.peek(1)) {
		p.promote("host", "net", "port", "portrange")
	}
	switch {
	case p.is("host", "net", "port", "portrange"):
		q.typ = p.advance().text
	case q.dir == "" && p.is("proto", "protochain", "gateway"):
		q.typ = p.advance().text
		q = p.protoForm(q)
	case q.dir == "":
		return unit{}, false
	}
	u := p.asCondition(p.unit(q, true), q)
	if u.class != isID {
		refuse(u.at, "", "a name, number or address is expected here")
	}
	if n, ok := u.n.(*idNode); ok {
		n.at = start.to(n.at)
	}
	u.at, u.q = start.to(u.at), q
	return u.asTerm(), true
}

// asTerm: what a head governs is complete.
func (u unit) asTerm() unit {
	u.class = isTerm
	return u
}

// direction reads src, dst, "src or dst", "src and dst", addr1 and the like.
func (p *parser) direction() string {
	if p.is("addr1", "addr2", "addr3", "addr4", "ra", "ta") {
		return p.advance().text
	}
	if !p.is("src", "dst") {
		return ""
	}
	first := p.advance().text
	joint, second := strings.ToLower(p.tok().text), strings.ToLower(p.peek(1).text)
	if (joint == "or" || joint == "and") && (second == "src" || second == "dst") && second != first {
		p.i += 2
		return joint
	}
	return first
}

// protoForm lets a protocol's name stand after proto without backslash and in
// any case, and reads the form "proto TCP port 80", which is "tcp port 80".
func (p *parser) protoForm(q qual) qual {
	t := p.tok()
	if t.kind == kWord && isProtocol(t.text) {
		p.toks[p.i].kind = kName
	}
	name := strings.ToLower(p.tok().text)
	if q.typ != "proto" || q.proto != "" || p.tok().kind != kName || !slices.Contains([]string{"tcp", "udp", "sctp"}, name) {
		return q
	}
	if !slices.Contains([]string{"src", "dst", "port", "portrange"}, strings.ToLower(p.peek(1).text)) {
		return q
	}
	p.advance()
	p.promote()
	q = qual{proto: name, known: true, dir: p.direction()}
	p.promote("port", "portrange")
	if !p.is("port", "portrange") {
		refuse(p.tok().span, "", "port or portrange expected here")
	}
	q.typ = p.advance().text
	return q
}

// word reads a primitive of its own and what belongs to it.
func (p *parser) word(start span, proto string) unit {
	t := p.tok()
	if t.kind != kWord {
		p.unexpected(t)
	}
	n := &wordNode{word: t.text, proto: proto, at: start.to(t.span)}
	p.arguments(n)
	n.at = start.to(p.toks[p.i-1].span)
	return unit{class: isTerm, n: n, at: n.at}
}

func (p *parser) arguments(n *wordNode) {
	t := p.tok()
	switch n.word {
	case "broadcast", "multicast", "inbound", "outbound", "pppoed":
		p.advance()
	case "less", "greater", "ifindex", "rnr", "srnr":
		p.advance()
		n.args = append(n.args, p.argument(kNum))
	case "vlan", "mpls", "pppoes", "geneve":
		p.advance()
		n.args = p.optionalNumber()
	case "ifname", "ruleset", "action":
		p.advance()
		n.args = append(n.args, p.argument(kName))
	case "reason", "dir":
		p.advance()
		n.args = append(n.args, p.argument(kName, kNum))
	case "byte":
		p.byteArguments(n)
	case "llc":
		p.advance()
		if p.tok().kind == kName && !p.isKeyName() || p.is("rnr") {
			n.args = append(n.args, p.advance())
		}
	case "type", "subtype":
		p.wlanArguments(n)
	default:
		p.unexpected(t)
	}
}

// isKeyName reports a keyword in capitals.
func (p *parser) isKeyName() bool {
	t := p.tok()
	_, ok := p.w.keys[strings.ToLower(t.raw)]
	return ok && t.raw != "RNR"
}

func (p *parser) argument(kinds ...kind) token {
	t := p.advance()
	if !slices.Contains(kinds, t.kind) {
		what := "a number"
		if kinds[0] == kName {
			what = "a name"
		}
		refuse(t.span, "", "%s is expected here", what)
	}
	return t
}

// optionalNumber is a number, perhaps in parentheses.
func (p *parser) optionalNumber() []token {
	depth := 0
	for p.is("(") {
		p.advance()
		depth++
	}
	if p.tok().kind != kNum {
		if depth > 0 {
			refuse(p.tok().span, "", "a number is expected here")
		}
		return nil
	}
	t := p.advance()
	for ; depth > 0; depth-- {
		p.expect(")")
	}
	return []token{t}
}

func (p *parser) byteArguments(n *wordNode) {
	p.advance()
	index := p.argument(kNum)
	op := p.advance()
	if op.kind != kOp || !slices.Contains([]string{"=", "<", ">"}, op.text) {
		refuse(op.span, "write ether[0] & 1 != 0", "byte knows =, < and > only")
	}
	n.args = append(n.args, index, op, p.argument(kNum))
}

func (p *parser) wlanArguments(n *wordNode) {
	if p.advance().text == "subtype" {
		n.args = append(n.args, p.argument(kName))
		return
	}
	n.args = append(n.args, p.argument(kName, kNum))
	p.promote("subtype")
	if p.is("subtype") {
		p.advance()
		n.args = append(n.args, p.argument(kName, kNum))
	}
}

// operand is arithmetic up to the next operator.
func (p *parser) operand() arith {
	t := p.tok()
	defer p.enter(t.span)()
	switch {
	case t.kind == kNum:
		p.advance()
		return &numArith{t.num, t.span}
	case p.is("len"):
		p.advance()
		return &lenArith{t.span}
	case p.is("-"):
		p.advance()
		return &negArith{p.operators(p.operand(), unary), t.span}
	case p.is("("):
		p.advance()
		a := p.operators(p.operand(), 1)
		p.expect(")")
		return a
	case isProtocol(t.text) && t.kind == kWord && p.peek(1).text == "[":
		return p.access()
	}
	refuse(t.span, "", "a number or packet data such as ip[8] is expected here")
	return nil
}

func (p *parser) access() arith {
	proto := p.advance()
	p.advance()
	a := &loadArith{proto: proto.text, index: p.operators(p.operand(), 1), size: 1}
	if p.is(":") {
		p.advance()
		size := p.argument(kNum)
		if a.size = size.num; a.size != 1 && a.size != 2 && a.size != 4 {
			refuse(size.span, "", "a size is 1, 2 or 4")
		}
	}
	a.at = proto.span.to(p.expect("]").span)
	return a
}

// unary binds closer than every operator but % and ^.
const unary = 6

// operators goes on with operators that bind at least as close as floor. % and
// ^ have no precedence in libpcap's grammar: they take all that follows as
// their right side, whatever stands on their left.
func (p *parser) operators(l arith, floor int) arith {
	defer p.enter(l.where())()
	for {
		op := p.tok()
		prec := precedence(op)
		if prec == 0 || prec > 0 && prec < floor {
			return l
		}
		p.advance()
		if prec < 0 {
			prec = 0
		}
		l = &opArith{op.text, l, p.operators(p.operand(), prec+1)}
	}
}

// precedence is 0 for what is no operator, -1 for % and ^.
func precedence(t token) int {
	if t.kind != kOp {
		return 0
	}
	switch t.text {
	case "|":
		return 1
	case "&":
		return 2
	case "<<", ">>":
		return 3
	case "+", "-":
		return 4
	case "*", "/":
		return 5
	case "%", "^":
		return -1
	}
	return 0
}
