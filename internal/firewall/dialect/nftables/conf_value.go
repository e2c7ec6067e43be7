package nftables

import (
	"net/netip"
	"strconv"
	"strings"
)

// rightSide reads a value: a word, a range, a prefix, a list, a set, a
// concatenation, or flags joined by "|". inSet: a comma ends it.
func (p *parser) rightSide(inSet bool) (any, error) {
	first, err := p.concatValue()
	if err != nil || inSet || !p.peek().is(",") {
		return first, err
	}
	values := []any{first}
	for p.accept(",") {
		v, err := p.concatValue()
		if err != nil {
			return nil, err
		}
		values = append(values, v)
	}
	return values, nil
}

// concatValue reads "a . b . c".
func (p *parser) concatValue() (any, error) {
	first, err := p.orValue()
	if err != nil || !p.peek().is(".") {
		return first, err
	}
	parts := []any{first}
	for p.accept(".") {
		v, err := p.orValue()
		if err != nil {
			return nil, err
		}
		parts = append(parts, v)
	}
	return object{"concat": parts}, nil
}

// orValue reads "a | b".
func (p *parser) orValue() (any, error) {
	first, err := p.value()
	if err != nil || !p.peek().is("|") && !p.peek().is("or") {
		return first, err
	}
	parts := []any{first}
	for p.accept("|") || p.accept("or") {
		v, err := p.value()
		if err != nil {
			return nil, err
		}
		parts = append(parts, v)
	}
	return object{"|": parts}, nil
}

// value reads one value. An unbraced expression ("ct mark set meta mark") is
// read by expression.
func (p *parser) value() (any, error) {
	t := p.peek()
	switch {
	case p.atEnd() || t.is(",") || t.is(")"):
		return nil, errorAt(t, "a value is missing")
	case t.is("{"):
		elems, err := p.elements()
		return object{"set": elems}, err
	case t.is("("):
		p.at++
		v, err := p.rightSide(false)
		if err != nil {
			return nil, err
		}
		return v, p.expect(")")
	}
	p.at++
	if t.quoted {
		return t.text, nil
	}
	if strings.Contains(t.text, "$") {
		return nil, errorAt(t, "%q is not defined", t.text)
	}
	return p.wordOrRange(t)
}

// wordOrRange reads "a", "a-b", "a - b" and "a/b".
func (p *parser) wordOrRange(t token) (any, error) {
	if !p.peek().is("-") {
		return wordValue(t.text), nil
	}
	p.at++
	return object{"range": []any{wordValue(t.text), wordValue(p.next().text)}}, nil
}

// wordValue reads a word as nft's JSON would have it.
func wordValue(s string) any {
	if v := plainValue(s); v != nil {
		return v
	}
	if base, length, ok := strings.Cut(s, "/"); ok {
		if n, err := strconv.Atoi(length); err == nil && isAddress(base) {
			return object{"prefix": object{"addr": base, "len": jsonInt(n)}}
		}
	}
	if lo, hi, ok := strings.Cut(s, "-"); ok {
		a, b := plainValue(lo), plainValue(hi)
		if a != nil && b != nil {
			return object{"range": []any{a, b}}
		}
	}
	return s
}

// plainValue reads a number or an address; nil for anything else.
func plainValue(s string) any {
	if isAddress(s) {
		return s
	}
	if s == "" || s[0] < '0' || s[0] > '9' {
		return nil
	}
	if n, err := strconv.ParseUint(s, 0, 64); err == nil && (s[0] != '0' || len(s) == 1 || s[1]|0x20 == 'x') {
		return number10(n)
	}
	if n, err := strconv.ParseUint(s, 10, 64); err == nil {
		return number10(n)
	}
	return nil
}

func isAddress(s string) bool {
	if !strings.ContainsAny(s, ".:") {
		return false
	}
	ip, err := netip.ParseAddr(s)
	return err == nil && ip.Zone() == ""
}

// elements reads "{ a, b : c, … }".
func (p *parser) elements() ([]any, error) {
	open := p.peek()
	if err := p.expect("{"); err != nil {
		return nil, err
	}
	if p.depth++; p.depth > mostNested {
		return nil, errorAt(open, "sets in sets, too deep")
	}
	defer func() { p.depth-- }()
	elems := []any{}
	for {
		p.skipEnds()
		switch {
		case p.done():
			return nil, errorAt(open, "a brace that does not close")
		case p.accept("}"):
			return elems, nil
		case p.accept(","):
			continue
		}
		e, err := p.setElement()
		if err != nil {
			return nil, err
		}
		if o, ok := e.(object); ok && o["set"] != nil { // a variable that is a set
			elems = append(elems, list(o["set"])...)
			continue
		}
		elems = append(elems, e)
	}
}

// setElement reads "KEY [ATTRIBUTES] [: VALUE]". A colon may hang at a word.
func (p *parser) setElement() (any, error) {
	p.splitColon()
	key, err := p.concatValueSplit()
	if err != nil {
		return nil, err
	}
	if err := p.attributes(); err != nil {
		return nil, err
	}
	p.skipEnds()
	if !p.accept(":") {
		return key, nil
	}
	p.skipEnds()
	value, err := p.mapValue()
	if err != nil {
		return nil, err
	}
	return []any{key, value}, p.attributes()
}

// concatValueSplit is concatValue with colons cut off the words.
func (p *parser) concatValueSplit() (any, error) {
	first, err := p.orValue()
	if err != nil {
		return nil, err
	}
	parts := []any{first}
	for p.skipEndsBefore("."); p.accept("."); p.skipEndsBefore(".") {
		p.skipEnds()
		p.splitColon()
		v, err := p.orValue()
		if err != nil {
			return nil, err
		}
		parts = append(parts, v)
	}
	if len(parts) == 1 {
		return first, nil
	}
	return object{"concat": parts}, nil
}

// skipEndsBefore leaves out line ends when s follows them.
func (p *parser) skipEndsBefore(s string) {
	at := p.at
	p.skipEnds()
	if p.done() || !p.toks[p.at].is(s) {
		p.at = at
	}
}

// splitColon makes "22:accept" and "22:" two or three tokens.
func (p *parser) splitColon() {
	t := p.peek()
	if t.quoted || p.done() || !strings.Contains(t.text, ":") || t.is(":") || isColoned(t.text) {
		return
	}
	i := strings.LastIndexByte(t.text, ':')
	parts := make([]token, 0, 3)
	for _, s := range []string{t.text[:i], ":", t.text[i+1:]} {
		if s != "" {
			parts = append(parts, token{text: s, line: t.line, col: t.col})
		}
	}
	p.splice(t, parts)
}

// isColoned reports words whose colons are their own: IPv6 addresses, their
// prefixes and ranges, MAC addresses.
func isColoned(s string) bool {
	if _, ok := wordValue(s).(string); !ok || isAddress(s) {
		return true
	}
	return strings.Count(s, ":") == 5 && len(s) <= 17
}

// attributes leaves out what says nothing about which packets an element
// stands for.
func (p *parser) attributes() error {
	for {
		switch t := p.peek(); t.text {
		case "timeout", "expires", "comment":
			p.at += 2
		case "counter", "limit", "quota", "last":
			p.at++
			if _, err := p.amount(t); err != nil {
				return err
			}
		case "ct":
			p.at++
			if _, ok, err := p.ctStatement(); !ok || err != nil {
				return errorAt(t, "%q after an element", t.text)
			}
		default:
			return nil
		}
	}
}

// mapValue reads the data of a map: a verdict or a value.
func (p *parser) mapValue() (any, error) {
	t := p.peek()
	switch t.text {
	case "accept", "drop", "continue", "return":
		p.at++
		return object{t.text: nil}, nil
	case "jump", "goto":
		p.at++
		return object{t.text: object{"target": p.next().text}}, nil
	}
	return p.concatValue()
}

// mapData reads "{ … }" or "@NAME" after vmap and map.
func (p *parser) mapData() (any, error) {
	if t := p.peek(); strings.HasPrefix(t.text, "@") {
		p.at++
		return t.text, nil
	}
	elems, err := p.elements()
	return object{"set": elems}, err
}

// objectBlock reads "NAME { … }" of a set, a map, a limit, a quota or a
// counter.
func (p *parser) objectBlock(t *confTable, kind string) error {
	o := t.object(kind, p.next().text)
	if !p.accept("{") {
		return nil
	}
	for {
		p.skipEnds()
		switch {
		case p.done():
			return errorAt(p.peek(), "the %s does not end", kind)
		case p.accept("}"):
			return nil
		}
		if err := p.objectItem(o, kind); err != nil {
			return err
		}
	}
}

func (p *parser) objectItem(o object, kind string) (err error) {
	word := p.peek()
	var add object
	switch {
	case word.is("elements"):
		p.at++
		if err = p.expect("="); err != nil {
			return err
		}
		var elems []any
		elems, err = p.elements()
		o["elem"] = append(list(o["elem"]), elems...)
		return err
	case kind == "limit" && word.is("rate"):
		p.at++
		add, err = p.limitRate()
	case kind == "quota" && !word.is("comment"):
		add, err = p.quota()
	default:
		p.skipStatement()
	}
	for k, v := range add {
		o[k] = v
	}
	return err
}
