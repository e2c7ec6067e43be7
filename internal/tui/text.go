package tui

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/mattn/go-runewidth"
)

// clean makes text from outside safe to show and its width certain: what is
// no plain letter, number or sign of a script that terminals agree about
// (controls, escapes, bytes that are no UTF-8, marks that combine, scripts
// written right to left, emoji) is shown as \xNN or \u{N}.
func clean(s string) string {
	if isPlainASCII(s) {
		return s
	}
	var b strings.Builder
	for i := 0; i < len(s); {
		r, n := utf8.DecodeRuneInString(s[i:])
		switch {
		case plain(r) && (r != utf8.RuneError || n > 1):
			b.WriteRune(r)
		case n == 1:
			fmt.Fprintf(&b, `\x%02x`, s[i])
		default:
			fmt.Fprintf(&b, `\u{%x}`, r)
		}
		i += n
	}
	return b.String()
}

func isPlainASCII(s string) bool {
	for i := 0; i < len(s); i++ {
		if s[i] < ' ' || s[i] > '~' {
			return false
		}
	}
	return true
}

// plain reports a rune whose look and width every terminal agrees about.
func plain(r rune) bool {
	switch {
	case r < 0x80:
		return r >= ' ' && r <= '~'
	case r < 0x100:
		return r > 0xa0 && r != 0xad // soft hyphen
	case r >= 0x2010 && r <= 0x2027 || r >= 0x20a0 && r <= 0x20bf || r >= 0x3001 && r <= 0x3011:
		return unicode.IsPrint(r)
	case r >= 0x1100 && r < 0x1200 || r >= 0xa960 && r < 0xa980 || r > 0xd7a3 && r < 0xf900 || r > 0xff60:
		return false // Hangul's parts, private use, half-width forms, all beyond the basic plane
	}
	return unicode.IsLetter(r) && unicode.In(r, unicode.Latin, unicode.Greek, unicode.Cyrillic, unicode.Armenian,
		unicode.Georgian, unicode.Han, unicode.Hiragana, unicode.Katakana, unicode.Hangul)
}

// columns is how many columns text of plain runes takes.
func columns(s string) int {
	n := 0
	for _, r := range s {
		n += runeColumns(r)
	}
	return n
}

func runeColumns(r rune) int {
	if r < 0x1100 {
		return 1
	}
	c := runewidth.Condition{} // not the default one, which asks the environment
	return c.RuneWidth(r)
}

// head gives the beginning of s that takes at most n columns.
func head(s string, n int) string {
	for i, r := range s {
		if n -= runeColumns(r); n < 0 {
			return s[:i]
		}
	}
	return s
}

// tail gives the end of s that takes at most n columns.
func tail(s string, n int) string {
	for i := len(s); i > 0; {
		r, size := utf8.DecodeLastRuneInString(s[:i])
		if n -= runeColumns(r); n < 0 {
			return s[i:]
		}
		i -= size
	}
	return s
}

// cut shortens s to n columns; a cut shows as an ellipsis at its end.
func (g *glyphs) cut(s string, n int) string {
	switch {
	case columns(s) <= n:
		return s
	case n <= 0:
		return ""
	}
	return head(s, n-1) + g.ellipsis
}

// cutMiddle shortens s to n columns and keeps its end, up to keep columns of
// it: an address's last part, with its port, tells most.
func (g *glyphs) cutMiddle(s string, n, keep int) string {
	if columns(s) <= n || n < 3 {
		return g.cut(s, n)
	}
	end := tail(s, min(max((n-1)/2, keep), n-2))
	return head(s, n-1-columns(end)) + g.ellipsis + end
}

// left and right pad s, cut to n columns, on the other side.
func (g *glyphs) left(s string, n int) string {
	s = g.cut(s, n)
	return s + strings.Repeat(" ", max(n-columns(s), 0))
}

func (g *glyphs) right(s string, n int) string {
	s = g.cut(s, n)
	return strings.Repeat(" ", max(n-columns(s), 0)) + s
}

// spread puts two texts at both ends of a line; the left one gives way.
func (g *glyphs) spread(l, r string, n int) string {
	r = g.cut(r, n)
	room := n - columns(r)
	if r != "" && room > 0 {
		room--
		r = " " + r
	}
	return g.left(l, room) + r
}

// wrap breaks text at spaces into lines of at most n columns, all but the
// first indented; a word that is wider is broken.
func wrap(text string, n, indent int) []string {
	var lines []string
	pad, line := strings.Repeat(" ", min(indent, max(n-1, 0))), ""
	for word := range strings.FieldsSeq(text) {
		switch {
		case line == "":
			line = word
		case strings.TrimSpace(line) == "":
			line += word
		case columns(line)+1+columns(word) <= n:
			line += " " + word
		default:
			lines = append(lines, line)
			line = pad + word
		}
		for columns(line) > n {
			first := head(line, n)
			if strings.TrimSpace(first) == "" {
				line = "" // no room for a single sign
				break
			}
			lines = append(lines, first)
			line = pad + line[len(first):]
		}
	}
	return append(lines, line)
}

// glyphs are the signs that are not in ASCII, or what stands for them.
type glyphs struct {
	ellipsis, arrow, dot string
	bars                 []rune // lowest first
}

func newGlyphs(ascii bool) *glyphs {
	if ascii {
		return &glyphs{ellipsis: "~", arrow: ">", dot: "-", bars: []rune(".:-=+*#@")}
	}
	return &glyphs{ellipsis: "…", arrow: "→", dot: "·", bars: []rune("▁▂▃▄▅▆▇█")}
}
