package report

import (
	"encoding/json"
	"fmt"
	"io"
	"unicode/utf8"
)

// JSON writes one document: indented, valid UTF-8, with everything that a
// terminal might obey escaped as \uNNNN.
func JSON(w io.Writer, v any) error {
	enc := json.NewEncoder(&asciiControls{w: w})
	enc.SetEscapeHTML(false)
	enc.SetIndent("", " ")
	return enc.Encode(v)
}

// JSONLine writes v as one line of JSON, with the same escapes.
func JSONLine(w io.Writer, v any) error {
	enc := json.NewEncoder(&asciiControls{w: w})
	enc.SetEscapeHTML(false)
	return enc.Encode(v)
}

// asciiControls rewrites JSON text: non-ASCII runes that a terminal obeys
// become \uNNNN. In JSON they can stand only inside strings, so the meaning
// stays. The encoder writes whole documents, never half a rune.
type asciiControls struct{ w io.Writer }

func (a *asciiControls) Write(p []byte) (int, error) {
	out := make([]byte, 0, len(p)+64)
	for i := 0; i < len(p); {
		if p[i] < 0x7f {
			out = append(out, p[i])
			i++
			continue
		}
		r, n := utf8.DecodeRune(p[i:])
		out = appendRune(out, r)
		i += n
	}
	if _, err := a.w.Write(out); err != nil {
		return 0, err
	}
	return len(p), nil
}

func appendRune(out []byte, r rune) []byte {
	if !obeyed(r) {
		return utf8.AppendRune(out, r)
	}
	if r > 0xffff {
		r -= 0x10000
		return fmt.Appendf(out, `\u%04x\u%04x`, 0xd800+r>>10, 0xdc00+r&0x3ff)
	}
	return fmt.Appendf(out, `\u%04x`, r)
}

const hexDigits = "0123456789abcdef"

// appendString writes a JSON string, escaping as asciiControls does.
func appendString(dst []byte, s string) []byte {
	dst = append(dst, '"')
	for i := 0; i < len(s); {
		c := s[i]
		switch {
		case c == '"' || c == '\\':
			dst = append(dst, '\\', c)
		case c < ' ' || c == 0x7f:
			dst = append(dst, '\\', 'u', '0', '0', hexDigits[c>>4], hexDigits[c&15])
		case c < utf8.RuneSelf:
			dst = append(dst, c)
		default:
			r, n := utf8.DecodeRuneInString(s[i:])
			dst = appendRune(dst, r)
			i += n
			continue
		}
		i++
	}
	return append(dst, '"')
}
