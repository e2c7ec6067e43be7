package bytepattern

import "strings"

// need is what an answer must hold for a pattern to match it at all: it begins
// with prefix and holds within. Both are bytes; lower says that they are in
// lower case and the answer is to be compared so. Empty texts ask for nothing.
type need struct {
	prefix, within string
	lower          bool
}

// scanner walks the outermost level of a pattern, collecting the literals that
// no alternative and no quantifier lets a match do without.
type scanner struct {
	in       string
	pos      int
	dialect  Dialect
	run      []byte
	anchored bool // the run began at the start of the answer
	need     need
}

// scanNeed reads off what the pattern needs. It is cautious: what it does not
// understand, it asks nothing for.
func scanNeed(pattern string, d Dialect, f Flags) need {
	s := &scanner{in: pattern, dialect: d}
	s.need.lower = f.IgnoreCase
	if d == PCRE && strings.HasPrefix(pattern, "^") {
		s.pos, s.anchored = 1, true
	}
	for s.pos < len(s.in) {
		if !s.step() {
			return need{}
		}
	}
	s.flush()
	if s.need.lower {
		s.need.prefix, s.need.within = asciiLower(s.need.prefix), asciiLower(s.need.within)
	}
	return s.need
}

// step takes the next thing; false gives up.
func (s *scanner) step() bool {
	switch c := s.in[s.pos]; c {
	case '|', ')':
		return false
	case '(':
		return s.skipGroup()
	case '[':
		s.flush()
		s.pos = classEnd(s.in, s.pos)
	case '.', '^', '$':
		s.flush()
		s.pos++
	case '*', '?':
		s.drop()
	case '+':
		s.flush()
		s.pos++
	case '{':
		if countedQuantifier(s.in[s.pos:], s.dialect) != "" {
			s.drop()
			s.pos += strings.IndexByte(s.in[s.pos:], '}') + 1
			return true
		}
		s.take(c)
	case '\\':
		return s.escape()
	default:
		s.take(c)
	}
	return true
}

// take adds a byte to the run.
func (s *scanner) take(c byte) {
	s.run = append(s.run, c)
	s.pos++
}

// drop takes the last byte back: the quantifier at pos may leave it out.
func (s *scanner) drop() {
	if len(s.run) > 0 {
		s.run = s.run[:len(s.run)-1]
	}
	s.flush()
	s.pos++
}

// flush ends the run and keeps it if it is the prefix or the longest so far.
func (s *scanner) flush() {
	switch {
	case s.anchored:
		s.need.prefix, s.anchored = string(s.run), false
	case len(s.run) > len(s.need.within):
		s.need.within = string(s.run)
	}
	s.run = s.run[:0]
}

// escape takes a backslash sequence.
func (s *scanner) escape() bool {
	e, ok := byteEscape(s.in, s.pos+1, s.dialect, false)
	switch {
	case ok && e.set == nil:
		s.run = append(s.run, e.lit)
	case ok:
		s.flush()
	default:
		if s.pos+1 >= len(s.in) || strings.IndexByte("AzZbB", s.in[s.pos+1]) < 0 {
			return false
		}
		s.flush()
		e.next = s.pos + 2
	}
	s.pos = e.next
	return true
}

// skipGroup passes over a group; one that sets options for what follows it
// makes the scanner give up.
func (s *scanner) skipGroup() bool {
	s.flush()
	if rest := s.in[s.pos:]; strings.HasPrefix(rest, "(?") && (len(rest) < 3 || strings.IndexByte(":=!<>", rest[2]) < 0) {
		return false
	}
	depth := 0
	for ; s.pos < len(s.in); s.pos++ {
		switch s.in[s.pos] {
		case '\\':
			if s.pos++; s.pos < len(s.in) && s.in[s.pos] == 'Q' {
				return false
			}
		case '[':
			s.pos = classEnd(s.in, s.pos) - 1
		case '(':
			depth++
			if strings.HasPrefix(s.in[s.pos:], "(?#") || strings.HasPrefix(s.in[s.pos:], "(?x") {
				return false
			}
		case ')':
			if depth--; depth == 0 {
				s.pos++
				return true
			}
		}
	}
	return false
}

// classEnd is the index behind the bracket expression at in[i], or the end of
// in where it is not closed.
func classEnd(in string, i int) int {
	if i++; i < len(in) && in[i] == '^' {
		i++
	}
	for first := true; i < len(in); first = false {
		switch named, next := namedMember(in, i); {
		case named != nil:
			i = next
		case in[i] == ']' && !first:
			return i + 1
		case in[i] == '\\':
			i += 2
		default:
			i++
		}
	}
	return len(in)
}

// asciiLower is s with ASCII letters, and no others, in lower case.
func asciiLower(s string) string {
	low := []byte(s)
	for i, c := range low {
		if c >= 'A' && c <= 'Z' {
			low[i] = c + 'a' - 'A'
		}
	}
	return string(low)
}
