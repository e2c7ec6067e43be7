package nftables

import (
	"errors"
	"fmt"
	"io"
	"strings"
)

// ErrText is returned for text that is not in nft's own syntax, with the line
// and column where that shows.
var ErrText = errors.New("not nft's syntax")

// Bounds of a text.
const (
	mostText    = 256 << 20 // bytes
	mostTokens  = 16 << 20
	mostSpliced = 2 << 20 // tokens that variables are replaced by
	mostNested  = 64      // braces in braces
)

// token is a word, a quoted string, or a sign. Signs are one of
// { } ( ) , ; = ! < > & | ^ and their pairs; a newline is ";".
type token struct {
	text      string
	quoted    bool
	line, col int
}

func (t token) is(s string) bool { return t.text == s && !t.quoted }

// errorAt makes an error of a place in the text.
func errorAt(t token, format string, args ...any) error {
	return fmt.Errorf("%w: line %d, column %d: %s", ErrText, t.line, t.col, fmt.Sprintf(format, args...))
}

// scanner splits nft's syntax (nft(8), "Lexical conventions") into tokens.
type scanner struct {
	src       string
	at        int
	line      int
	lineStart int
	out       []token
}

func scan(in io.Reader) ([]token, error) {
	data, err := io.ReadAll(io.LimitReader(in, mostText+1))
	if err != nil {
		return nil, err
	}
	if len(data) > mostText {
		return nil, fmt.Errorf("%w: more than %d MiB", ErrText, mostText>>20)
	}
	s := &scanner{src: string(data), line: 1}
	for s.at < len(s.src) && len(s.out) < mostTokens {
		if err := s.next(); err != nil {
			return nil, err
		}
	}
	if s.at < len(s.src) {
		return nil, errorAt(s.here(""), "more than %d words", mostTokens)
	}
	return s.out, nil
}

func (s *scanner) here(text string) token {
	return token{text: text, line: s.line, col: s.at - s.lineStart + 1}
}

func (s *scanner) newline() {
	s.at++
	s.line++
	s.lineStart = s.at
}

func (s *scanner) next() error {
	switch c := s.src[s.at]; {
	case c == '\n':
		s.out = append(s.out, s.here(";"))
		s.newline()
	case c == ' ' || c == '\t' || c == '\r' || c == '\f' || c == '\v':
		s.at++
	case c == '#':
		s.comment()
	case c == '\\':
		return s.continued()
	case c == '"':
		return s.quoted()
	case c < ' ' || c == 0x7f:
		return errorAt(s.here(""), "the byte 0x%02x", c)
	default:
		s.signOrWord()
	}
	return nil
}

func (s *scanner) comment() {
	if i := strings.IndexByte(s.src[s.at:], '\n'); i >= 0 {
		s.at += i
		return
	}
	s.at = len(s.src)
}

// continued reads a backslash at the end of a line.
func (s *scanner) continued() error {
	start := s.at
	for s.at++; s.at < len(s.src) && strings.IndexByte(" \t\r", s.src[s.at]) >= 0; s.at++ {
	}
	if s.at < len(s.src) && s.src[s.at] != '\n' {
		s.at = start
		return errorAt(s.here(""), "a backslash that is not at the end of a line")
	}
	if s.at < len(s.src) {
		s.newline()
	}
	return nil
}

func (s *scanner) quoted() error {
	t := s.here("")
	end := strings.IndexAny(s.src[s.at+1:], "\"\n")
	if end < 0 || s.src[s.at+1+end] == '\n' {
		return errorAt(t, "a quote that does not close")
	}
	t.text, t.quoted = s.src[s.at+1:s.at+1+end], true
	s.out = append(s.out, t)
	s.at += end + 2
	return nil
}

const signs = "{}(),;=!<>&|^"

func (s *scanner) signOrWord() {
	t := s.here("")
	end := s.at + 1
	if strings.IndexByte(signs, s.src[s.at]) >= 0 {
		if end < len(s.src) && strings.Contains(" == != <= >= << >> && || ", " "+s.src[s.at:end+1]+" ") {
			end++
		}
	} else {
		for end < len(s.src) && s.src[end] > ' ' && s.src[end] != 0x7f && strings.IndexByte(signs+"\"#\\", s.src[end]) < 0 {
			end++
		}
		if i := strings.Index(s.src[s.at:end], `\`); i > 0 {
			end = s.at + i
		}
	}
	if strings.HasPrefix(s.src[end:], `\*`) { // an interface name that ends in a star
		end += 2
	}
	t.text = s.src[s.at:end]
	s.out = append(s.out, t)
	s.at = end
}
