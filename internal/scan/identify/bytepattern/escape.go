package bytepattern

import "strconv"

// escaped is what a backslash sequence stands for where it stands for a byte
// or for one of several.
type escaped struct {
	lit  byte
	set  *set // instead of lit
	next int  // index behind the sequence
}

// byteEscape reads the sequence whose backslash is before in[i]; false where it
// is none of bytes (an assertion, a reference) or is cut short.
func byteEscape(in string, i int, d Dialect, inClass bool) (escaped, bool) {
	if i >= len(in) {
		return escaped{}, false
	}
	c := in[i]
	if s := d.classEscape(c, inClass); s != nil {
		return escaped{set: s, next: i + 1}, true
	}
	switch {
	case c == 'x':
		return hexEscape(in, i+1)
	case c == 'c' && i+1 < len(in):
		return escaped{lit: upper(in[i+1]) ^ 0x40, next: i + 2}, true
	case c == '0', inClass && c >= '1' && c <= '7':
		return octalEscape(in, i), true
	case c == 'b' && inClass:
		return escaped{lit: '\b', next: i + 1}, true
	case c >= '1' && c <= '9', isSpecialLetter(c):
		return escaped{}, false
	}
	return escaped{lit: controlLetter(c), next: i + 1}, true
}

// The sets of class letters. Nobody changes them.
var (
	digitSet, notDigit   = posixClass("digit"), posixClass("digit").negated()
	wordSet, notWord     = posixClass("word"), posixClass("word").negated()
	spaceSet, notSpace   = posixClass("space"), posixClass("space").negated()
	hexSet, notHex       = posixClass("xdigit"), posixClass("xdigit").negated()
	acrossSet, notAcross = ranges("\t\t  \xa0\xa0"), ranges("\t\t  \xa0\xa0").negated()
	downSet, notDown     = ranges("\n\r\x85\x85"), ranges("\n\r\x85\x85").negated()
	notNewline           = ranges("\n\n").negated()
	everyByte            = new(set).negated()
)

// classEscape is the set of a letter such as \d, or nil. \h is horizontal
// space in PCRE and a hexadecimal digit in Ruby; \v is vertical space in PCRE
// and one control character in Ruby.
func (d Dialect) classEscape(c byte, inClass bool) *set {
	switch c {
	case 'd':
		return digitSet
	case 'D':
		return notDigit
	case 'w':
		return wordSet
	case 'W':
		return notWord
	case 's':
		return spaceSet
	case 'S':
		return notSpace
	case 'h':
		return d.either(acrossSet, hexSet)
	case 'H':
		return d.either(notAcross, notHex)
	case 'v':
		return d.either(downSet, nil)
	case 'V':
		return d.either(notDown, nil)
	case 'N':
		if !inClass {
			return d.either(notNewline, nil)
		}
	}
	return nil
}

func (d Dialect) either(pcre, ruby *set) *set {
	if d == Ruby {
		return ruby
	}
	return pcre
}

// hexEscape reads \xHH or \x{HH} from behind the x. No digits mean zero.
func hexEscape(in string, i int) (escaped, bool) {
	end, closing := i, 0
	if i < len(in) && in[i] == '{' {
		i, closing = i+1, 1
		end = i
	}
	for end < len(in) && isHex(in[end]) && (closing == 1 || end < i+2) {
		end++
	}
	if closing == 1 && (end >= len(in) || in[end] != '}' || end == i) {
		return escaped{}, false
	}
	value, err := strconv.ParseUint("0"+in[i:end], 16, 8)
	return escaped{lit: byte(value), next: end + closing}, err == nil
}

// octalEscape reads up to three octal digits.
func octalEscape(in string, i int) escaped {
	value, end := 0, i
	for end < len(in) && end < i+3 && in[end] >= '0' && in[end] <= '7' {
		value = value*8 + int(in[end]-'0')
		end++
	}
	return escaped{lit: byte(value), next: end}
}

// controlLetter is the character of \n and its like, else c itself.
func controlLetter(c byte) byte {
	switch c {
	case 'n':
		return '\n'
	case 'r':
		return '\r'
	case 't':
		return '\t'
	case 'f':
		return '\f'
	case 'v':
		return '\v'
	case 'a':
		return '\a'
	case 'e':
		return 0x1b
	}
	return c
}

// isSpecialLetter says whether \c is an assertion, a reference or something
// that stands for more than one byte.
func isSpecialLetter(c byte) bool {
	switch c {
	case 'A', 'B', 'C', 'E', 'G', 'K', 'P', 'Q', 'R', 'X', 'Z', 'b', 'c', 'g', 'k', 'o', 'p', 'u', 'z':
		return true
	}
	return false
}

func isHex(c byte) bool {
	return c >= '0' && c <= '9' || c >= 'a' && c <= 'f' || c >= 'A' && c <= 'F'
}

func upper(c byte) byte {
	if c >= 'a' && c <= 'z' {
		return c - 'a' + 'A'
	}
	return c
}
