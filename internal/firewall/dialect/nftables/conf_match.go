package nftables

import "strings"

// signNames are the words for signs.
var signNames = map[string]string{"==": "==", "eq": "==", "!=": "!=", "ne": "!=", "<": "<", "lt": "<", ">": ">", "gt": ">",
	"<=": "<=", "le": "<=", ">=": ">=", "ge": ">=", "!": "!"}

// matchOrSet reads "EXPRESSION [SIGN] VALUE", "EXPRESSION vmap …" and
// "EXPRESSION set …".
func (p *parser) matchOrSet() (object, error) {
	start := p.peek()
	left, err := p.concatenation()
	if err != nil {
		return nil, err
	}
	switch t := p.peek(); {
	case p.atEnd():
		return nil, errorAt(start, "%q: the statement ends early", start.text)
	case t.is("vmap"):
		p.at++
		data, err := p.mapData()
		return object{"vmap": object{"key": left, "data": data}}, err
	case t.is("set"):
		p.at++
		value, err := p.expression()
		return object{"mangle": object{"key": left, "value": value}}, err
	}
	sign, signed := signNames[p.peek().text]
	if signed && !p.peek().quoted {
		p.at++
	}
	right, err := p.rightSideOf(left)
	if err != nil {
		return nil, err
	}
	if sign == "" {
		sign = impliedSign(left, right)
	}
	if p.accept("/") {
		return p.slashMask(left, sign, right)
	}
	return object{"match": object{"op": sign, "left": left, "right": right}}, nil
}

// slashMask reads "tcp flags VALUE / MASK", short for "flags & MASK == VALUE".
func (p *parser) slashMask(left any, sign string, right any) (object, error) {
	mask, err := p.rightSide(false)
	if sign == "in" {
		sign = "=="
	}
	return object{"match": object{"op": sign, "left": object{"&": []any{left, mask}}, "right": right}}, err
}

// impliedSign is what no sign stands for: flags are asked for one of them,
// unless a set lists them.
func impliedSign(left, right any) string {
	if isFlagField(left) && !isSet(right) {
		return "in"
	}
	return "=="
}

func isFlagField(left any) bool {
	o, _ := left.(object)
	if ct, ok := o["ct"].(object); ok {
		return text(ct["key"]) == "state" || text(ct["key"]) == "status" || text(ct["key"]) == "event"
	}
	pl, _ := o["payload"].(object)
	return text(pl["protocol"]) == "tcp" && text(pl["field"]) == "flags"
}

// rightSideOf reads a value and resolves the names of services in it.
func (p *parser) rightSideOf(left any) (any, error) {
	right, err := p.rightSide(false)
	if err != nil || p.opt.Port == nil {
		return right, err
	}
	return p.servicesOf(left, right), nil
}

// servicesOf resolves service names where the left side is a port.
func (p *parser) servicesOf(left, right any) any {
	if parts := concat(left); parts != nil {
		return p.concatServices(parts, right)
	}
	o, _ := left.(object)
	pl, _ := o["payload"].(object)
	if f := text(pl["field"]); f != "dport" && f != "sport" {
		return right
	}
	return p.services(text(pl["protocol"]), right)
}

// concatServices resolves the parts of concatenated elements.
func (p *parser) concatServices(parts []any, right any) any {
	if o, ok := right.(object); ok && o["set"] != nil {
		elems := list(o["set"])
		for i, e := range elems {
			elems[i] = p.concatServices(parts, e)
		}
		return right
	}
	if pair, ok := right.([]any); ok && len(pair) == 2 {
		pair[0] = p.concatServices(parts, pair[0])
		return right
	}
	if values := concat(right); len(values) == len(parts) {
		for i := range parts {
			values[i] = p.servicesOf(parts[i], values[i])
		}
	}
	return right
}

func (p *parser) services(proto string, v any) any {
	switch v := v.(type) {
	case string:
		for _, try := range strings.Fields(strings.Replace(proto, "th", "tcp udp", 1)) {
			if n, ok := p.opt.Port(try, v); ok && !strings.HasPrefix(v, "@") {
				return number10(uint64(n))
			}
		}
	case []any:
		for i := range v {
			v[i] = p.services(proto, v[i])
		}
	case object:
		for _, kind := range []string{"set", "range"} {
			if l, ok := v[kind].([]any); ok {
				v[kind] = p.services(proto, l)
			}
		}
	}
	return v
}
