package nmapxml

import (
	"strconv"
	"unicode"
	"unicode/utf8"
)

// cut bounds a value to what the reader keeps, between runes.
func cut(s string) string {
	if len(s) <= maxText {
		return s
	}
	n := maxText
	for n > maxText-utf8.UTFMax && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n]
}

// appendXML writes text for an attribute or an element. What XML 1.0 forbids
// (section 2.2: most C0 controls, U+FFFE, U+FFFF) and bytes that are no UTF-8
// become U+FFFD; what a terminal would obey becomes a character reference.
func appendXML(dst []byte, s string) []byte {
	s = cut(s)
	for i := 0; i < len(s); {
		if c := s[i]; c < utf8.RuneSelf {
			dst = appendASCII(dst, c)
			i++
			continue
		}
		r, n := utf8.DecodeRuneInString(s[i:])
		i += n
		switch {
		case r == 0xfffe || r == 0xffff:
			dst = append(dst, "\uFFFD"...)
		case obeyed(r):
			dst = append(strconv.AppendUint(append(dst, "&#"...), uint64(r), 10), ';')
		default:
			dst = utf8.AppendRune(dst, r)
		}
	}
	return dst
}

func appendASCII(dst []byte, c byte) []byte {
	switch c {
	case '&':
		return append(dst, "&amp;"...)
	case '<':
		return append(dst, "&lt;"...)
	case '>':
		return append(dst, "&gt;"...)
	case '"':
		return append(dst, "&quot;"...)
	case '\t', '\n', '\r', 0x7f:
		return append(strconv.AppendUint(append(dst, "&#"...), uint64(c), 10), ';')
	}
	if c < ' ' {
		return append(dst, "\uFFFD"...)
	}
	return append(dst, c)
}

// appendPlain writes text into a line of the grepable format: "/", which
// divides its fields, becomes "|".
func appendPlain(dst []byte, s string) []byte {
	from := len(dst)
	dst = appendLine(dst, s)
	for i := from; i < len(dst); i++ {
		if dst[i] == '/' {
			dst[i] = '|'
		}
	}
	return dst
}

// appendLine writes text on one line, with "." for what a terminal would obey.
func appendLine(dst []byte, s string) []byte {
	s = cut(s)
	for i := 0; i < len(s); {
		r, n := utf8.DecodeRuneInString(s[i:])
		switch {
		case r < ' ' || r == utf8.RuneError && n == 1 || obeyed(r):
			dst = append(dst, '.')
		default:
			dst = append(dst, s[i:i+n]...)
		}
		i += n
	}
	return dst
}

// obeyed reports runes that a terminal or a reader's eye obeys rather than
// shows, C0 aside.
func obeyed(r rune) bool {
	return r >= 0x7f && r < 0xa0 || r > 0xa0 && unicode.In(r, unicode.Cf, unicode.Zl, unicode.Zp, unicode.Co, unicode.Cs)
}

// portList writes ports in nmap's syntax (22,80,1000-2000) and counts them,
// each once.
func portList(ports []uint16) (text []byte, n int) {
	var in [1 << 16]bool
	for _, p := range ports {
		in[p] = true
	}
	for first := 0; first < len(in); first++ {
		if !in[first] {
			continue
		}
		last := first
		for last+1 < len(in) && in[last+1] {
			last++
		}
		if n > 0 {
			text = append(text, ',')
		}
		text = strconv.AppendInt(text, int64(first), 10)
		if last > first {
			text = strconv.AppendInt(append(text, '-'), int64(last), 10)
		}
		n += last - first + 1
		first = last
	}
	return text, n
}
