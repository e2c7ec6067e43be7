package nftables

import (
	"errors"
	"strings"
)

// errStatement is a statement that is not understood; the rule that holds it
// may do anything.
var errStatement = errors.New("not understood")

// rule reads statements up to the end of the line. What is not understood
// becomes a statement that may do anything.
func (p *parser) rule() object {
	first := p.peek()
	r := object{"line": jsonInt(first.line)}
	var exprs []any
	for !p.atEnd() {
		t := p.peek()
		if t.is("comment") {
			p.at++
			r["comment"] = p.next().text
			continue
		}
		stmt, err := p.statement()
		if err != nil {
			rest := p.skipStatement()
			text := strings.TrimSpace(t.text + " … " + rest)
			p.problems.Add(t.line, t.col, text, err.Error())
			exprs = append(exprs, object{"not understood": text})
			break
		}
		if stmt != nil {
			exprs = append(exprs, stmt)
		}
	}
	r["expr"] = exprs
	return r
}

// statement reads one statement of a rule, in the shape of nft's JSON.
func (p *parser) statement() (object, error) {
	t := p.next()
	switch t.text {
	case "accept", "drop", "continue", "return", "notrack":
		return object{t.text: nil}, nil
	case "jump", "goto":
		return object{t.text: object{"target": p.next().text}}, nil
	case "counter", "log", "last", "quota", "limit":
		return p.amount(t)
	case "reject":
		return p.reject()
	case "dnat", "snat", "masquerade", "redirect", "tproxy":
		return p.nat(t.text)
	case "queue", "fwd", "dup", "flow", "synproxy":
		return p.away(t.text)
	case "add", "update", "delete", "set":
		return p.dynamic(t.text)
	case "meter":
		return p.meter()
	case "xt":
		return object{"xt": object{"type": p.next().text, "name": p.next().text}}, nil
	case "ct":
		if s, ok, err := p.ctStatement(); ok {
			return s, err
		}
	}
	p.at--
	return p.matchOrSet()
}

// ctStatement reads "ct count …" and the objects that a rule attaches.
func (p *parser) ctStatement() (object, bool, error) {
	switch key := p.peek(); key.text {
	case "count":
		p.at++
		o := object{}
		if p.accept("over") {
			o["inv"] = true
		}
		n := p.next()
		o["val"] = wordValue(n.text)
		return object{"ct count": o}, true, nil
	case "helper", "timeout", "expectation":
		p.at++
		if p.accept("set") {
			return object{"ct " + key.text: p.next().text}, true, nil
		}
		p.at--
	}
	return nil, false, nil
}

// amount reads counters, logs and limits.
func (p *parser) amount(t token) (object, error) {
	switch t.text {
	case "counter":
		return p.counter()
	case "log":
		return p.logStatement()
	case "last":
		if p.accept("used") {
			p.at++
		}
		return object{"last": nil}, nil
	case "limit":
		return p.limit()
	}
	if p.accept("name") {
		return object{"quota": p.next().text}, nil
	}
	o, err := p.quota()
	return object{"quota": o}, err
}

func (p *parser) counter() (object, error) {
	if p.accept("name") {
		return object{"counter": p.next().text}, nil
	}
	o := object{}
	for p.peek().is("packets") || p.peek().is("bytes") {
		key := p.next().text
		o[key] = wordValue(p.next().text)
	}
	return object{"counter": o}, nil
}

func (p *parser) logStatement() (object, error) {
	o := object{}
	for {
		switch t := p.peek(); t.text {
		case "prefix", "level", "group", "snaplen", "queue-threshold":
			p.at++
			o[t.text] = p.next().text
		case "flags":
			p.at++
			p.at++ // the kind of flags
			for p.peek().is("options") || p.peek().is("sequence") || p.accept(",") {
				if p.peek().is("options") || p.peek().is("sequence") {
					p.at++
				}
			}
		default:
			return object{"log": o}, nil
		}
	}
}

// limit reads "rate [over] N/UNIT [burst N packets]" and "name X".
func (p *parser) limit() (object, error) {
	if p.accept("name") {
		return object{"limit": p.next().text}, nil
	}
	if err := p.expect("rate"); err != nil {
		return nil, err
	}
	o, err := p.limitRate()
	return object{"limit": o}, err
}

func (p *parser) limitRate() (object, error) {
	o := object{}
	if p.accept("over") {
		o["inv"] = true
	} else {
		p.accept("until")
	}
	rate := p.next()
	n, per, ok := strings.Cut(rate.text, "/")
	if !ok { // "10 mbytes/second"
		unit, p2, cut := strings.Cut(p.next().text, "/")
		if !cut {
			return nil, errorAt(rate, "a rate without a unit")
		}
		o["rate_unit"], per = unit, p2
	}
	o["rate"], o["per"] = wordValue(n), per
	if p.accept("burst") {
		o["burst"] = wordValue(p.next().text)
		if t := p.peek(); t.is("packets") || t.is("bytes") || t.is("kbytes") || t.is("mbytes") {
			p.at++
		}
	}
	return o, nil
}

// quota reads "[over|until] N UNIT [used N UNIT]".
func (p *parser) quota() (object, error) {
	o := object{}
	if p.accept("over") {
		o["inv"] = true
	} else {
		p.accept("until")
	}
	o["val"], o["val_unit"] = wordValue(p.next().text), p.next().text
	if p.accept("used") {
		o["used"], o["used_unit"] = wordValue(p.next().text), p.next().text
	}
	return o, nil
}

func (p *parser) reject() (object, error) {
	if !p.accept("with") {
		return object{"reject": nil}, nil
	}
	kind := p.next()
	if kind.is("tcp") {
		return object{"reject": object{"type": "tcp reset"}}, p.expect("reset")
	}
	p.accept("type")
	return object{"reject": object{"type": kind.text, "expr": p.next().text}}, nil
}

// away reads statements that hand the packet on.
func (p *parser) away(kind string) (object, error) {
	var words []string
	o := object{}
	for !p.atEnd() && !p.peek().is("comment") {
		t := p.next()
		switch t.text {
		case "num", "to":
			o["num"] = p.next().text
		case "flags":
			o["flags"] = []any{p.next().text}
		case "bypass", "fanout":
			o["flags"] = append(list(o["flags"]), t.text)
		default:
			words = append(words, t.text)
		}
	}
	if len(words) > 0 {
		o["words"] = strings.Join(words, " ")
	}
	return object{kind: o}, nil
}

// dynamic reads "add @SET { KEY [timeout T] [STATEMENTS] [: VALUE] }".
func (p *parser) dynamic(op string) (object, error) {
	set := p.next()
	name := set.text
	if !strings.HasPrefix(name, "@") {
		return nil, errorAt(set, "%q where a set should stand", name)
	}
	key, stmts, err := p.keyAndStatements()
	return object{"set": object{"op": op, "elem": key, "set": name, "stmt": stmts}}, err
}

// meter reads "NAME [size N] { KEY STATEMENT }".
func (p *parser) meter() (object, error) {
	o := object{"name": p.next().text}
	if p.accept("size") {
		p.at++
	}
	key, stmts, err := p.keyAndStatements()
	o["key"] = key
	if len(stmts) == 1 {
		o["stmt"] = stmts[0]
	} else if err == nil {
		err = errStatement
	}
	return object{"meter": o}, err
}

func (p *parser) keyAndStatements() (key any, stmts []any, err error) {
	if err = p.expect("{"); err != nil {
		return nil, nil, err
	}
	if key, err = p.concatenation(); err != nil {
		return nil, nil, err
	}
	for !p.accept("}") {
		switch t := p.peek(); {
		case p.done(), t.is(";"):
			return nil, nil, errorAt(t, "a brace that does not close")
		case t.is("timeout"), t.is("expires"):
			p.at += 2
		case t.is(":"):
			p.at++
			if _, err = p.rightSide(false); err != nil {
				return nil, nil, err
			}
		case t.is("comment"):
			p.at += 2
		default:
			s, err := p.statement()
			if err != nil {
				return nil, nil, err
			}
			stmts = append(stmts, s)
		}
	}
	return key, stmts, nil
}
