package nftables

import "strings"

// nat reads "dnat [ip|ip6] [prefix] [addr . port] to TARGET [FLAGS]" and its
// relatives.
func (p *parser) nat(kind string) (object, error) {
	o := object{}
	for !p.atEnd() {
		switch t := p.peek(); t.text {
		case "ip", "ip6":
			p.at++
			o["family"] = t.text
		case "prefix", "interval":
			p.at++
			o["type_flags"] = append(list(o["type_flags"]), t.text)
		case "addr", "port", ".":
			p.at++
		case "to":
			p.at++
			return p.natTarget(kind, o)
		case ":", "random", "fully-random", "persistent":
			return p.natTarget(kind, o)
		default:
			if strings.HasPrefix(t.text, ":") { // "tproxy to" may be left out of old listings
				return p.natTarget(kind, o)
			}
			return object{kind: o}, nil
		}
	}
	return object{kind: o}, nil
}

func (p *parser) natTarget(kind string, o object) (object, error) {
	t := p.peek()
	switch {
	case isNatFlag(t):
	case isExpression(t):
		e, err := p.expression()
		if err != nil {
			return nil, err
		}
		o["addr"] = e
		if kind == "redirect" || kind == "masquerade" {
			o["port"], o["addr"] = e, nil
			delete(o, "addr")
		}
	case !p.atEnd():
		if err := p.natWord(o); err != nil {
			return nil, err
		}
	}
	return object{kind: o}, p.natFlags(o)
}

// natWord reads "10.0.0.1", "10.0.0.1:80", "[2001:db8::1]:80", ":80-90", and a
// port that is chosen by a map (":tcp dport map …").
func (p *parser) natWord(o object) error {
	t := p.next()
	addr, port, err := splitTarget(t)
	if err != nil {
		return err
	}
	if addr != "" {
		o["addr"] = wordValue(addr)
	}
	switch {
	case port == ":" && !p.atEnd():
		e, err := p.expression()
		o["port"] = e
		return err
	case port != "":
		o["port"] = p.portValue(port[1:])
		if (headers[port[1:]] || port[1:] == "meta") && !p.atEnd() { // ":tcp dport map"
			p.at--
			word := t
			word.text = port[1:]
			p.toks[p.at] = word
			e, err := p.expression()
			o["port"] = e
			return err
		}
	case p.peek().is(":"):
		p.at++
		v, err := p.value()
		o["port"] = v
		return err
	}
	return nil
}

func (p *parser) portValue(s string) any {
	if p.opt.Port != nil {
		if n, ok := p.opt.Port("tcp", s); ok {
			return number10(uint64(n))
		}
	}
	return wordValue(s)
}

// splitTarget gives the address and the port with its colon.
func splitTarget(t token) (addr, port string, err error) {
	s := t.text
	if strings.HasPrefix(s, "[") {
		inside, rest, ok := strings.Cut(s[1:], "]")
		if lo, hi, isRange := strings.Cut(rest, "-["); ok && isRange && lo == "" {
			hi, rest, ok = strings.Cut(hi, "]")
			inside += "-" + hi
		}
		if !ok || rest != "" && rest[0] != ':' {
			return "", "", errorAt(t, "%q is no address and port", s)
		}
		return inside, rest, nil
	}
	if _, plain := wordValue(s).(string); !plain || isAddress(s) {
		return s, "", nil
	}
	if i := strings.IndexByte(s, ':'); i >= 0 && strings.Count(s, ":") == 1 {
		return s[:i], s[i:], nil
	}
	return s, "", nil
}

func isNatFlag(t token) bool {
	return t.is("random") || t.is("fully-random") || t.is("persistent")
}

func (p *parser) natFlags(o object) error {
	for isNatFlag(p.peek()) || p.peek().is(",") {
		if t := p.next(); !t.is(",") {
			o["flags"] = append(list(o["flags"]), t.text)
		}
	}
	return nil
}
