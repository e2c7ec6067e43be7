package report

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Escape makes text from outside safe to print: control characters, terminal
// escapes, bytes that are no UTF-8, bidirectional overrides and invisible
// formatting are shown as \xNN or \uNNNN.
func Escape(s string) string {
	clean := true
	for i := 0; i < len(s); i++ {
		if c := s[i]; c < ' ' || c >= 0x7f {
			clean = false
			break
		}
	}
	if clean {
		return s
	}
	var b strings.Builder
	for i := 0; i < len(s); {
		r, n := utf8.DecodeRuneInString(s[i:])
		escapeRune(&b, r, n, s[i])
		i += n
	}
	return b.String()
}

func escapeRune(b *strings.Builder, r rune, n int, first byte) {
	switch {
	case r == utf8.RuneError && n == 1:
		fmt.Fprintf(b, `\x%02x`, first)
	case r == '\t':
		b.WriteString(`\t`)
	case r == '\n':
		b.WriteString(`\n`)
	case r < 0x80 && unicode.IsControl(r):
		fmt.Fprintf(b, `\x%02x`, r)
	case obeyed(r):
		fmt.Fprintf(b, `\u%04x`, r)
	default:
		b.WriteRune(r)
	}
}

// obeyed reports runes that a terminal or a reader's eye obeys rather than
// shows: C0, DEL and C1 controls, format characters (bidi, zero-width, tags),
// line and paragraph separators.
func obeyed(r rune) bool {
	return r < ' ' || r >= 0x7f && r < 0xa0 || r > 0xa0 && (unicode.In(r, unicode.Cf, unicode.Zl, unicode.Zp, unicode.Co, unicode.Cs))
}
