package filter

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Error is why an expression was refused.
type Error struct {
	Expr string
	// Pos and End are the byte offsets of what was refused in Expr; they are
	// equal at the end of the expression.
	Pos, End int
	// What says what is wrong, Hint what to write instead; Hint may be empty.
	What, Hint string
	// Never is set when the expression is sound but no packet of the link
	// type can match it. Who reads several link types at once skips such a
	// link and goes on.
	Never bool
}

// Error is one line, without the hint. Whatever the expression held is shown
// escaped.
func (e *Error) Error() string {
	if e.Pos >= len(e.Expr) || e.Pos >= e.End {
		return "filter: " + printable(e.What)
	}
	return fmt.Sprintf("filter: at %q: %s", short(e.Expr[e.Pos:min(e.End, len(e.Expr))]), printable(e.What))
}

// Mark is two lines: the expression and a row of ^ beneath the refused part.
// Control characters, bidirectional overrides and bytes that are no UTF-8
// are shown escaped; wide characters count as two columns. Of a long
// expression only the surroundings are shown.
func (e *Error) Mark() string {
	pos := clamp(e.Pos, 0, len(e.Expr))
	end := clamp(e.End, pos, len(e.Expr))
	before, lead := tail(e.Expr[:pos], markContext)
	marked, more := head(e.Expr[pos:end], 2*markContext)
	after, rest := head(e.Expr[end:], markContext)
	if more {
		after, rest = "", true
	}
	left, mid := printable(before), printable(marked)
	if lead {
		left = "…" + left
	}
	line := left + mid + printable(after)
	if rest {
		line += "…"
	}
	return line + "\n" + strings.Repeat(" ", columns(left)) + strings.Repeat("^", max(1, columns(mid)))
}

// markContext is how many bytes Mark shows on each side of the refused part.
const markContext = 60

func clamp(n, low, high int) int { return max(low, min(n, high)) }

// tail is the last n bytes of s, cut between characters; true: s was longer.
func tail(s string, n int) (string, bool) {
	if len(s) <= n {
		return s, false
	}
	s = s[len(s)-n:]
	for len(s) > 0 && !utf8.RuneStart(s[0]) {
		s = s[1:]
	}
	return s, true
}

// head is the first n bytes of s, cut between characters.
func head(s string, n int) (string, bool) {
	if len(s) <= n {
		return s, false
	}
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n], true
}

func short(s string) string {
	s, cut := head(s, 40)
	if cut {
		s += "…"
	}
	return s
}

// printable escapes what a terminal would not show as itself.
func printable(s string) string {
	var b strings.Builder
	for len(s) > 0 {
		r, n := utf8.DecodeRuneInString(s)
		switch {
		case r == utf8.RuneError && n == 1:
			fmt.Fprintf(&b, `\x%02x`, s[0])
		case r == ' ' || unicode.IsGraphic(r) && !unicode.IsSpace(r):
			b.WriteRune(r)
		case r < 0x80:
			fmt.Fprintf(&b, `\x%02x`, r)
		default:
			fmt.Fprintf(&b, `\u%04x`, r)
		}
		s = s[n:]
	}
	return b.String()
}

// columns is how wide s is on a terminal.
func columns(s string) int {
	n := 0
	for _, r := range s {
		n += width(r)
	}
	return n
}

// width follows the East Asian Width property (Unicode UAX 11) by blocks.
func width(r rune) int {
	if unicode.In(r, unicode.Mn, unicode.Me) {
		return 0
	}
	for _, b := range wide {
		if r >= b[0] && r <= b[1] {
			return 2
		}
	}
	return 1
}

// wide are the blocks whose characters take two columns.
var wide = [...][2]rune{
	{0x1100, 0x115f}, {0x2e80, 0x303e}, {0x3041, 0xa4cf}, {0xa960, 0xa97c},
	{0xac00, 0xd7a3}, {0xf900, 0xfaff}, {0xfe30, 0xfe6f}, {0xff00, 0xff60},
	{0xffe0, 0xffe6}, {0x1f300, 0x1f64f}, {0x1f680, 0x1f9ff}, {0x20000, 0x3fffd},
}

// refuse ends the compilation; Compile recovers it. Expr is filled in there.
func refuse(at span, hint, format string, args ...any) {
	panic(&Error{Pos: at.pos, End: at.end, What: fmt.Sprintf(format, args...), Hint: hint})
}

// span is a part of the expression, in bytes.
type span struct{ pos, end int }

func (s span) to(o span) span { return span{s.pos, o.end} }
