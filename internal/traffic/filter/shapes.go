package filter

import "strings"

// The functions of this file tell how many bytes at the beginning of s have
// one token's shape; 0 is none.

func isDigit(c byte) bool { return c >= '0' && c <= '9' }

func isAlnum(c byte) bool {
	return isDigit(c) || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
}

func isHex(c byte) bool { return hexValue(c) < 16 }

func hexValue(c byte) byte {
	switch {
	case isDigit(c):
		return c - '0'
	case c >= 'a' && c <= 'f':
		return c - 'a' + 10
	case c >= 'A' && c <= 'F':
		return c - 'A' + 10
	}
	return 0xff
}

// hexRun counts hexadecimal digits, at most limit.
func hexRun(s string, limit int) int {
	n := 0
	for n < len(s) && n < limit && isHex(s[n]) {
		n++
	}
	return n
}

func numLen(s string) int {
	if len(s) > 2 && s[0] == '0' && (s[1] == 'x' || s[1] == 'X') {
		if n := hexRun(s[2:], len(s)); n > 0 {
			return 2 + n
		}
	}
	n := 0
	for n < len(s) && isDigit(s[n]) {
		n++
	}
	return n
}

// dottedLen is of two to four numbers with dots between.
func dottedLen(s string) int {
	n := numLen(s)
	if n == 0 {
		return 0
	}
	parts := 1
	for parts < 4 && n < len(s) && s[n] == '.' {
		m := numLen(s[n+1:])
		if m == 0 {
			break
		}
		n += 1 + m
		parts++
	}
	if parts == 1 {
		return 0
	}
	return n
}

// nameLen is of letters, digits, dots, hyphens and underscores, ending in
// none of the last two; or of a backslash and what follows it.
func nameLen(s string) int {
	if s[0] == '\\' {
		n := strings.IndexAny(s, " !()\n\t")
		if n < 0 {
			n = len(s)
		}
		if n == 1 {
			return 0
		}
		return n
	}
	if !isAlnum(s[0]) {
		return 0
	}
	n := 1
	for n < len(s) && (isAlnum(s[n]) || s[n] == '-' || s[n] == '_' || s[n] == '.') {
		n++
	}
	return len(strings.TrimRight(s[:n], "-_"))
}

// macLen is of six bytes joined by one of : - . , of three double bytes
// joined by dots, or of twelve digits.
func macLen(s string) int {
	best := 0
	if hexRun(s, 12) == 12 {
		best = 12
	}
	if len(s) >= 14 && hexRun(s, 4) == 4 && s[4] == '.' && hexRun(s[5:], 4) == 4 && s[9] == '.' && hexRun(s[10:], 4) == 4 {
		best = 14
	}
	for _, sep := range [...]byte{':', '-', '.'} {
		best = max(best, joined(s, sep))
	}
	return best
}

// joined is of six groups of one or two digits with sep between.
func joined(s string, sep byte) int {
	n := 0
	for i := range 6 {
		if i > 0 {
			if n >= len(s) || s[n] != sep {
				return 0
			}
			n++
		}
		m := hexRun(s[n:], 2)
		if m == 0 {
			return 0
		}
		n += m
	}
	return n
}

// addr6Len is the longest beginning that looks like an IPv6 address.
func addr6Len(s string) int {
	n := 0
	for n < len(s) && n < 80 && (isHex(s[n]) || s[n] == ':' || s[n] == '.' || s[n] == 'x' || s[n] == 'X') {
		n++
	}
	if !strings.Contains(s[:n], ":") {
		return 0
	}
	for ; n > 1; n-- {
		if addr6Shape(s[:n]) {
			return n
		}
	}
	return 0
}

// addr6Shape: eight groups, or at most seven around one ::; the last may be a
// dotted quad, which counts as two.
func addr6Shape(s string) bool {
	left, right, short := strings.Cut(s, "::")
	if !short {
		n, ok := groups(left, true)
		return ok && n == 8
	}
	a, okA := groups(left, false)
	b, okB := groups(right, true)
	return okA && okB && a+b <= 7
}

func groups(s string, quad bool) (int, bool) {
	if s == "" {
		return 0, true
	}
	n := 0
	parts := strings.Split(s, ":")
	for i, p := range parts {
		switch {
		case len(p) > 0 && len(p) <= 4 && hexRun(p, 4) == len(p):
			n++
		case quad && i == len(parts)-1 && strings.Count(p, ".") == 3 && dottedLen(p) == len(p) && len(p) > 0:
			n += 2
		default:
			return 0, false
		}
	}
	return n, true
}
