package filter

import (
	"net/netip"
	"strings"
)

type kind uint8

const (
	kEnd  kind = iota
	kWord      // a keyword, text is its canonical form
	kOp        // punctuation
	kNum
	kName // any other word
	kAddr // dotted numbers
	kAddr6
	kMAC
	kArc // $xx, an ARCnet address
)

// token is one word of the expression. raw is as written, text without
// backslash and, for keywords, canonical.
type token struct {
	kind kind
	text string
	raw  string
	num  uint32
	span
}

// scan cuts the expression into tokens as libpcap's scanner does: of all that
// fits, the longest wins, and of equals a hardware address before a number
// before dotted numbers before a name.
func scan(expr string, w *words) []token {
	var out []token
	for i := 0; ; {
		for i < len(expr) && strings.IndexByte(" \t\r\n", expr[i]) >= 0 {
			i++
		}
		if i == len(expr) {
			return append(out, token{kind: kEnd, span: span{i, i}})
		}
		t := next(expr[i:], i, w)
		out = append(out, t)
		i = t.end
	}
}

func next(s string, at int, w *words) token {
	best, n := kEnd, 0
	for _, c := range [...]struct {
		kind kind
		n    int
	}{
		{kMAC, macLen(s)}, {kNum, numLen(s)}, {kAddr, dottedLen(s)}, {kAddr6, addr6Len(s)}, {kName, nameLen(s)},
	} {
		if c.n > n {
			best, n = c.kind, c.n
		}
	}
	if n == 0 {
		return punctuation(s, at)
	}
	t := token{kind: best, raw: s[:n], text: s[:n], span: span{at, at + n}}
	return t.settle(w)
}

// settle looks a word up and a number's value.
func (t token) settle(w *words) token {
	switch t.kind {
	case kNum:
		t.num = number(t.raw, t.span)
	case kAddr6:
		if _, err := netip.ParseAddr(t.raw); err != nil {
			refuse(t.span, "", "%q is no IPv6 address", t.raw)
		}
	case kName:
		if t.raw[0] == '\\' {
			t.text = t.raw[1:]
		} else if word, ok := w.keys[t.raw]; ok {
			t.kind, t.text = kWord, word
		} else if v, ok := w.numbers[t.raw]; ok {
			t.kind, t.num = kNum, v
		}
	}
	return t
}

func punctuation(s string, at int) token {
	for _, op := range [...]string{"&&", "||", ">=", "<=", "!=", "==", "<<", ">>"} {
		if strings.HasPrefix(s, op) {
			return operator(op, at)
		}
	}
	if s[0] == '$' {
		if n := hexRun(s[1:], 2); n > 0 {
			return token{kind: kArc, raw: s[:1+n], text: s[1 : 1+n], span: span{at, at + 1 + n}}
		}
	}
	if strings.IndexByte("+-*/%:[]!<>()&|^=", s[0]) >= 0 {
		return operator(s[:1], at)
	}
	n := 1
	for n < len(s) && s[n]&0xc0 == 0x80 {
		n++
	}
	refuse(span{at, at + n}, hintFor(s[0]), "this character has no meaning in a filter")
	return token{}
}

func hintFor(c byte) string {
	switch c {
	case ',', ';':
		return "join with or: port 80 or port 443"
	case '"', '\'':
		return "write names without quotes; a keyword as a name takes a backslash before it"
	}
	return ""
}

// operator makes the words for and, or, not and the single = of their signs.
func operator(op string, at int) token {
	t := token{kind: kOp, raw: op, text: op, span: span{at, at + len(op)}}
	switch op {
	case "&&":
		t.kind, t.text = kWord, "and"
	case "||":
		t.kind, t.text = kWord, "or"
	case "!":
		t.kind, t.text = kWord, "not"
	case "==":
		t.text = "="
	}
	return t
}

// number is decimal, octal after 0, hexadecimal after 0x.
func number(s string, at span) uint32 {
	base, digits := uint64(10), s
	switch {
	case len(s) > 1 && (s[1] == 'x' || s[1] == 'X'):
		base, digits = 16, s[2:]
	case s[0] == '0':
		base, digits = 8, s[1:]
	}
	var n uint64
	for i := range len(digits) {
		d := uint64(hexValue(digits[i]))
		if d >= base {
			refuse(at, "a number that begins with 0 is octal", "%q is no octal digit", digits[i])
		}
		if n = n*base + d; n > 0xffffffff {
			refuse(at, "", "the number does not fit in 32 bits")
		}
	}
	return uint32(n)
}
