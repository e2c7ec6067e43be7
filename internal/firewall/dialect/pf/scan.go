package pf

import (
	"errors"
	"fmt"
	"io"
	"strings"
)

// ErrFormat is returned for what is not a pf.conf.
var ErrFormat = errors.New("not in the format of pf.conf")

// Bounds of a file.
const (
	mostText   = 64 << 20
	mostTokens = 4 << 20
	mostDepth  = 32
)

// token is a word, a quoted string or a sign; "\n" ends a line.
type token struct {
	text      string
	quoted    bool
	line, col int
}

func (t token) is(s string) bool { return t.text == s && !t.quoted }

func errorAt(t token, format string, args ...any) error {
	return &placeError{t, fmt.Sprintf(format, args...)}
}

// placeError is an error of a place.
type placeError struct {
	at  token
	why string
}

func (e *placeError) Error() string {
	return fmt.Sprintf("line %d, column %d: %s", e.at.line, e.at.col, e.why)
}

// scanner splits pf.conf into tokens.
type scanner struct {
	src       string
	at        int
	line      int
	lineStart int
	out       []token
}

func readAll(in io.Reader) (string, error) {
	data, err := io.ReadAll(io.LimitReader(in, mostText+1))
	if err == nil && len(data) > mostText {
		err = fmt.Errorf("%w: more than %d MiB", ErrFormat, mostText>>20)
	}
	return string(data), err
}

func scan(src string) ([]token, error) {
	s := &scanner{src: src, line: 1}
	for s.at < len(s.src) {
		if err := s.next(); err != nil {
			return nil, err
		}
		if len(s.out) > mostTokens {
			return nil, errorAt(s.here(), "more than %d words", mostTokens)
		}
	}
	return append(s.out, s.token("\n")), nil
}

func (s *scanner) here() token { return token{line: s.line, col: s.at - s.lineStart + 1} }

func (s *scanner) token(text string) token {
	t := s.here()
	t.text = text
	return t
}

func (s *scanner) newline() {
	s.at++
	s.line++
	s.lineStart = s.at
}

func (s *scanner) next() error {
	switch c := s.src[s.at]; {
	case c == '\n':
		s.out = append(s.out, s.token("\n"))
		s.newline()
	case c == ' ' || c == '\t' || c == '\r' || c == '\f' || c == '\v':
		s.at++
	case c == '#':
		s.comment()
	case c == '\\':
		return s.continued()
	case c == '"' || c == '\'':
		return s.quote(c)
	case c < ' ' || c == 0x7f:
		return errorAt(s.here(), "the byte 0x%02x", c)
	default:
		s.word()
	}
	return nil
}

// comment ends with the line; a backslash before that does not go on with it.
func (s *scanner) comment() {
	if i := strings.IndexByte(s.src[s.at:], '\n'); i >= 0 {
		s.at += i
		return
	}
	s.at = len(s.src)
}

func (s *scanner) continued() error {
	at := s.at
	for s.at++; s.at < len(s.src) && (s.src[s.at] == ' ' || s.src[s.at] == '\t' || s.src[s.at] == '\r'); s.at++ {
	}
	if s.at < len(s.src) && s.src[s.at] != '\n' {
		s.at = at
		return errorAt(s.here(), "a backslash that is not at the end of a line")
	}
	if s.at < len(s.src) {
		s.newline()
	}
	return nil
}

func (s *scanner) quote(q byte) error {
	t := s.here()
	end := strings.IndexByte(s.src[s.at+1:], q)
	if end < 0 {
		return errorAt(t, "a quote that does not close")
	}
	t.text, t.quoted = s.src[s.at+1:s.at+1+end], true
	s.out = append(s.out, t)
	for range strings.Count(t.text, "\n") { // a backslash may end lines inside
		s.line++
	}
	t.text = strings.NewReplacer("\\\r\n", " ", "\\\n", " ").Replace(t.text)
	s.out[len(s.out)-1].text = t.text
	s.at += end + 2
	return nil
}

// signs are words of their own; pairs are tried first.
const signs = "{}(),=!<>"

var pairs = []string{"><", "<>", "!=", "<=", ">=", "->"}

func (s *scanner) word() {
	t := s.here()
	rest := s.src[s.at:]
	for _, p := range pairs {
		if strings.HasPrefix(rest, p) {
			s.put(t, p)
			return
		}
	}
	if strings.IndexByte(signs, rest[0]) >= 0 {
		if end := strings.IndexByte(rest, '>'); rest[0] == '<' && end > 1 && !strings.ContainsAny(rest[:end], " \t\n") {
			s.put(t, rest[:end+1]) // <table>
			return
		}
		s.put(t, rest[:1])
		return
	}
	end := 1
	for end < len(rest) && rest[end] > ' ' && rest[end] != 0x7f && strings.IndexByte(signs+"\"#\\", rest[end]) < 0 {
		if rest[end] == '-' && end+1 < len(rest) && rest[end+1] == '>' {
			break
		}
		end++
	}
	s.put(t, rest[:end])
}

func (s *scanner) put(t token, text string) {
	t.text = text
	s.out = append(s.out, t)
	s.at += len(text)
}
