package nftables

// concatenation reads "EXPRESSION . EXPRESSION …".
func (p *parser) concatenation() (any, error) {
	first, err := p.binary()
	if err != nil || !p.peek().is(".") {
		return first, err
	}
	parts := []any{first}
	for p.accept(".") {
		e, err := p.binary()
		if err != nil {
			return nil, err
		}
		parts = append(parts, e)
	}
	return object{"concat": parts}, nil
}

// binarySigns are the words for bit operations.
var binarySigns = map[string]string{"&": "&", "and": "&", "|": "|", "or": "|", "^": "^", "xor": "^", "<<": "<<", "lshift": "<<", ">>": ">>", "rshift": ">>"}

// binary reads "EXPRESSION & VALUE …".
func (p *parser) binary() (any, error) {
	left, err := p.primary()
	for err == nil {
		t := p.peek()
		sign, ok := binarySigns[t.text]
		if !ok || t.quoted || p.done() {
			return left, nil
		}
		p.at++
		var right any
		if right, err = p.operandValue(); err == nil {
			left = object{sign: []any{left, right}}
		}
	}
	return nil, err
}

// operandValue is the right side of a bit operation.
func (p *parser) operandValue() (any, error) {
	if isExpression(p.peek()) {
		return p.primary()
	}
	return p.value()
}

// expression reads what is assigned: a value, an expression, or a map.
func (p *parser) expression() (any, error) {
	var e any
	var err error
	if isExpression(p.peek()) {
		e, err = p.concatenation()
	} else {
		e, err = p.rightSide(false)
	}
	if err == nil && p.accept("map") {
		var data any
		data, err = p.mapData()
		e = object{"map": object{"key": e, "data": data}}
	}
	return e, err
}

// metaKeys are the keys of meta that may stand without the word.
var metaKeys = map[string]bool{"iif": true, "iifname": true, "oif": true, "oifname": true, "iifgroup": true, "oifgroup": true,
	"iiftype": true, "oiftype": true, "mark": true, "skuid": true, "skgid": true, "cpu": true, "pkttype": true, "rtclassid": true,
	"ibrname": true, "obrname": true, "ibriport": true, "obriport": true, "cgroup": true, "nftrace": true, "time": true, "hour": true, "day": true}

var headers = map[string]bool{"ip": true, "ip6": true, "tcp": true, "udp": true, "udplite": true, "sctp": true, "dccp": true, "th": true,
	"icmp": true, "icmpv6": true, "igmp": true, "ether": true, "vlan": true, "arp": true, "ah": true, "esp": true, "comp": true, "gre": true}

var extensionHeaders = map[string]bool{"frag": true, "hbh": true, "rt0": true, "rt2": true, "rt4": true, "dst": true, "mh": true, "srh": true}

// isExpression reports the words that begin an expression.
func isExpression(t token) bool {
	if t.quoted {
		return false
	}
	switch t.text {
	case "meta", "ct", "fib", "rt", "socket", "osf", "numgen", "jhash", "symhash", "ipsec", "exthdr", "@ll", "@nh", "@th", "@ih":
		return true
	}
	return metaKeys[t.text] || headers[t.text] || extensionHeaders[t.text]
}

// primary reads one expression that gives a value.
func (p *parser) primary() (any, error) {
	t := p.next()
	if p.at > len(p.toks) || t.is(";") || t.is("}") {
		return nil, errorAt(t, "an expression is missing")
	}
	switch t.text {
	case "meta":
		return object{"meta": object{"key": p.next().text}}, nil
	case "ct":
		return p.ctExpression()
	case "fib":
		return p.fibExpression()
	case "(":
		e, err := p.concatenation()
		if err != nil {
			return nil, err
		}
		return e, p.expect(")")
	case "numgen":
		return p.numgen()
	case "jhash", "symhash":
		return p.hash(t.text)
	case "socket", "osf", "rt", "ipsec", "exthdr":
		return p.rareExpression(t)
	case "@ll", "@nh", "@th", "@ih":
		return p.raw(t)
	}
	switch {
	case metaKeys[t.text]:
		return object{"meta": object{"key": t.text}}, nil
	case extensionHeaders[t.text]:
		return object{"exthdr": p.exthdr(t.text)}, nil
	case headers[t.text]:
		return p.header(t.text)
	}
	return nil, errorAt(t, "%q is no expression that is understood", t.text)
}

// header reads "ip saddr", "tcp option maxseg size", "ip option lsrr …".
func (p *parser) header(proto string) (any, error) {
	field := p.next()
	if !field.is("option") {
		return object{"payload": object{"protocol": proto, "field": field.text}}, nil
	}
	o := object{"name": p.next().text}
	switch f := p.peek(); f.text {
	case "size", "kind", "length", "left", "right", "count", "tsval", "tsecr", "ptr", "addr", "type", "value":
		p.at++
		o["field"] = f.text
	}
	return object{proto + " option": o}, nil
}

func (p *parser) exthdr(name string) object {
	o := object{"name": name}
	if t := p.peek(); !t.is("exists") && !t.is("missing") {
		p.at++
		o["field"] = t.text
	}
	return o
}

// ctExpression reads "ct [original|reply] [ip|ip6] KEY".
func (p *parser) ctExpression() (any, error) {
	o := object{}
	t := p.next()
	if t.is("original") || t.is("reply") {
		o["dir"] = t.text
		t = p.next()
	}
	key := t.text
	if t.is("ip") || t.is("ip6") {
		key += " " + p.next().text
	}
	o["key"] = key
	return object{"ct": o}, nil
}

// fibExpression reads "fib saddr . iif oif".
func (p *parser) fibExpression() (any, error) {
	flags := []any{p.next().text}
	for p.accept(".") {
		flags = append(flags, p.next().text)
	}
	return object{"fib": object{"flags": flags, "result": p.next().text}}, nil
}

// numgen reads "numgen random|inc mod N [offset N]".
func (p *parser) numgen() (any, error) {
	o := object{"mode": p.next().text}
	if err := p.expect("mod"); err != nil {
		return nil, err
	}
	o["mod"] = wordValue(p.next().text)
	if p.accept("offset") {
		o["offset"] = wordValue(p.next().text)
	}
	return object{"numgen": o}, nil
}

// hash reads "jhash EXPRESSION mod N [seed N] [offset N]".
func (p *parser) hash(kind string) (any, error) {
	o := object{}
	if kind == "jhash" {
		e, err := p.concatenation()
		if err != nil {
			return nil, err
		}
		o["expr"] = e
	}
	if err := p.expect("mod"); err != nil {
		return nil, err
	}
	o["mod"] = wordValue(p.next().text)
	for p.peek().is("seed") || p.peek().is("offset") {
		key := p.next().text
		o[key] = wordValue(p.next().text)
	}
	return object{kind: o}, nil
}

func (p *parser) rareExpression(t token) (any, error) {
	switch t.text {
	case "exthdr":
		return object{"exthdr": object{"name": p.next().text}}, nil
	case "socket":
		o := object{"key": p.next().text}
		if p.accept("level") {
			p.at++
		}
		return object{"socket": o}, nil
	case "osf":
		o := object{"key": p.next().text}
		if text(o["key"]) == "ttl" {
			p.at++
			o["key"] = p.next().text
		}
		return object{"osf": o}, nil
	case "ipsec":
		o := object{"dir": p.next().text}
		if p.accept("spnum") {
			p.at++
		}
		key := p.next().text
		if key == "ip" || key == "ip6" {
			key += " " + p.next().text
		}
		o["key"] = key
		return object{"ipsec": o}, nil
	}
	key := p.next()
	if key.is("ip") || key.is("ip6") {
		key = p.next()
	}
	return object{"rt": object{"key": key.text}}, nil
}

// raw reads "@th,16,16".
func (p *parser) raw(t token) (any, error) {
	o := object{"base": t.text[1:]}
	for _, key := range []string{"offset", "len"} {
		if err := p.expect(","); err != nil {
			return nil, err
		}
		o[key] = wordValue(p.next().text)
	}
	return object{"payload": o}, nil
}
