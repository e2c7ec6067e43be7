package fwlog

import (
	"bytes"
	"unicode/utf16"
	"unicode/utf8"
)

// jsonFields goes through the members of a JSON object (RFC 8259) without
// allocating. Keys are given as they stand between their quotes, values as
// they stand: jsonText takes the quotes off. bad tells, at the end, that the
// text was no object (or no array, for elements).
type jsonFields struct {
	rest       []byte
	key, value []byte
	begun, bad bool
}

// maxDepth is how deeply objects and arrays may nest.
const maxDepth = 64

// next goes to the next member.
func (s *jsonFields) next() bool {
	if !s.begin('{', '}') {
		return false
	}
	b := s.rest
	n := jsonString(b)
	if n == 0 {
		return s.fail()
	}
	s.key, b = b[1:n-1], jsonBlank(b[n:])
	if len(b) == 0 || b[0] != ':' {
		return s.fail()
	}
	return s.take(jsonBlank(b[1:]))
}

// element goes to the next element of an array.
func (s *jsonFields) element() bool {
	return s.begin('[', ']') && s.take(s.rest)
}

// begin passes the opening bracket or the comma.
func (s *jsonFields) begin(open, end byte) bool {
	b := jsonBlank(s.rest)
	if s.bad || len(b) == 0 {
		return s.fail()
	}
	if !s.begun {
		if b[0] != open {
			return s.fail()
		}
		s.begun = true
		b = jsonBlank(b[1:])
		if len(b) > 0 && b[0] == end {
			return s.end(b)
		}
		s.rest = b
		return len(b) > 0 || s.fail()
	}
	switch b[0] {
	case end:
		return s.end(b)
	case ',':
		s.rest = jsonBlank(b[1:])
		return len(s.rest) > 0 || s.fail()
	}
	return s.fail()
}

// end stands before the closing bracket: nothing may follow.
func (s *jsonFields) end(b []byte) bool {
	s.rest = b
	s.bad = len(jsonBlank(b[1:])) > 0
	return false
}

func (s *jsonFields) take(b []byte) bool {
	n := jsonValue(b, maxDepth)
	if n == 0 {
		return s.fail()
	}
	s.value, s.rest = b[:n], b[n:]
	return true
}

func (s *jsonFields) fail() bool {
	s.bad = true
	return false
}

// jsonGet gives the value at a path of keys, nil if there is none.
func jsonGet(object []byte, path ...string) []byte {
	for _, key := range path {
		s := jsonFields{rest: object}
		object = nil
		for s.next() {
			if string(s.key) == key {
				object = s.value
				break
			}
		}
		if object == nil {
			return nil
		}
	}
	return object
}

// isJSON tells whether all of b is one JSON object.
func isJSON(b []byte) bool {
	b = jsonBlank(b)
	if len(b) == 0 || b[0] != '{' {
		return false
	}
	n := jsonValue(b, maxDepth)
	return n > 0 && len(jsonBlank(b[n:])) == 0
}

// jsonPlain gives a value's text without allocating: of a string that has no
// escapes what is between its quotes, of a number, true or false what stands.
// nil for null, objects, arrays and strings with escapes.
func jsonPlain(value []byte) []byte {
	if len(value) == 0 {
		return nil
	}
	switch value[0] {
	case '{', '[', 'n':
		return nil
	case '"':
		if bytes.IndexByte(value, '\\') >= 0 {
			return nil
		}
		return value[1 : len(value)-1]
	}
	return value
}

// jsonText is jsonPlain for strings with escapes too: those are put together
// in buf, which is returned for the next time.
func jsonText(value, buf []byte) (text, kept []byte) {
	if len(value) < 2 || value[0] != '"' || bytes.IndexByte(value, '\\') < 0 {
		return jsonPlain(value), buf
	}
	buf = jsonUnescape(value[1:len(value)-1], buf[:0])
	return buf, buf
}

func jsonUnescape(b, to []byte) []byte {
	for len(b) > 0 {
		i := bytes.IndexByte(b, '\\')
		if i < 0 || i+1 >= len(b) {
			return append(to, b...)
		}
		to = append(to, b[:i]...)
		if b[i+1] == 'u' {
			to, b = jsonRune(to, b[i:])
			continue
		}
		to = append(to, jsonEscape(b[i+1]))
		b = b[i+2:]
	}
	return to
}

func jsonEscape(c byte) byte {
	switch c {
	case 'b':
		return '\b'
	case 'f':
		return '\f'
	case 'n':
		return '\n'
	case 'r':
		return '\r'
	case 't':
		return '\t'
	}
	return c
}

// jsonRune takes \uXXXX, or two of them that are one rune, from b.
func jsonRune(to, b []byte) (grown, rest []byte) {
	r, b := jsonHex(b[2:])
	if utf16.IsSurrogate(r) && hasPrefix(b, `\u`) {
		low, after := jsonHex(b[2:])
		if both := utf16.DecodeRune(r, low); both != utf8.RuneError {
			r, b = both, after
		}
	}
	return utf8.AppendRune(to, r), b
}

func jsonHex(b []byte) (r rune, rest []byte) {
	for i := 0; i < 4 && i < len(b); i++ {
		n, size := hexGroup(b[i : i+1])
		if size == 0 {
			return utf8.RuneError, b[i:]
		}
		r = r<<4 | rune(n)
	}
	return r, b[min(4, len(b)):]
}

func jsonBlank(b []byte) []byte {
	for len(b) > 0 && (b[0] == ' ' || b[0] == '\t' || b[0] == '\n' || b[0] == '\r') {
		b = b[1:]
	}
	return b
}

// jsonString is how long the string at the start of b is, 0 for none.
func jsonString(b []byte) int {
	if len(b) == 0 || b[0] != '"' {
		return 0
	}
	for i := 1; i < len(b); i++ {
		switch c := b[i]; {
		case c == '\\':
			i++
		case c == '"':
			return i + 1
		case c < ' ':
			return 0
		}
	}
	return 0
}

// jsonValue is how long the value at the start of b is, 0 if it is none.
func jsonValue(b []byte, depth int) int {
	if len(b) == 0 || depth == 0 {
		return 0
	}
	switch b[0] {
	case '"':
		return jsonString(b)
	case '{', '[':
		return jsonNest(b, depth)
	case 't':
		return jsonWord(b, "true")
	case 'f':
		return jsonWord(b, "false")
	case 'n':
		return jsonWord(b, "null")
	}
	return jsonNumber(b)
}

func jsonNest(b []byte, depth int) int {
	object := b[0] == '{'
	end := b[0] + 2 // } is { + 2, ] is [ + 2
	at := skipBlank(b, 1)
	if at < len(b) && b[at] == end {
		return at + 1
	}
	for at < len(b) {
		if object {
			n := jsonString(b[at:])
			at = skipBlank(b, at+n)
			if n == 0 || at >= len(b) || b[at] != ':' {
				return 0
			}
			at = skipBlank(b, at+1)
		}
		n := jsonValue(b[at:], depth-1)
		at = skipBlank(b, at+n)
		if n == 0 || at >= len(b) || b[at] != ',' && b[at] != end {
			return 0
		}
		if b[at] == end {
			return at + 1
		}
		at = skipBlank(b, at+1)
	}
	return 0
}

func skipBlank(b []byte, at int) int { return len(b) - len(jsonBlank(b[min(at, len(b)):])) }

func jsonWord(b []byte, word string) int {
	if hasPrefix(b, word) {
		return len(word)
	}
	return 0
}

// jsonNumber is loose on form (01, 1.e5): what matters is where it ends.
func jsonNumber(b []byte) int {
	n, digits := 0, false
	for n < len(b) {
		c := b[n]
		if digit(c) {
			digits = true
		} else if c != '-' && c != '+' && c != '.' && c != 'e' && c != 'E' {
			break
		}
		n++
	}
	if !digits {
		return 0
	}
	return n
}
