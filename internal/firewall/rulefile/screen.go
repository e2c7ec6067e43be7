package rulefile

import (
	"bytes"
	"fmt"
	"unicode/utf8"
)

// screen refuses, before the YAML library sees it, what the library takes too
// long over or that no rule file holds: other encodings, control characters,
// brackets nested without end, lines indented without end.
func screen(b []byte) *Error {
	line := 1
	for len(b) > 0 {
		text, rest, _ := bytes.Cut(b, []byte("\n"))
		if e := screenLine(text); e != nil {
			e.Line = line
			return e
		}
		b = rest
		line++
	}
	return nil
}

const maxLine = 1 << 20

func screenLine(text []byte) *Error {
	if len(text) > maxLine {
		return &Error{Column: 1, What: fmt.Sprintf("the line is longer than %d bytes", maxLine)}
	}
	text = bytes.TrimSuffix(text, []byte("\r"))
	open, deepest := 0, 0
	for i := 0; i < len(text); {
		r, n := utf8.DecodeRune(text[i:])
		switch {
		case r == utf8.RuneError && n == 1:
			return &Error{Column: i + 1, What: fmt.Sprintf("byte 0x%02x is no UTF-8", text[i])}
		case r < ' ' && r != '\t' || r == 0x7f:
			return &Error{Column: i + 1, What: fmt.Sprintf("control character 0x%02x", r)}
		case r == '[' || r == '{':
			open++
			deepest = max(deepest, open)
		case r == ']' || r == '}':
			open--
		}
		i += n
	}
	// Block lists nest on one line too: "- - - -".
	if deepest > MaxDepth || bytes.Count(text, []byte("- - ")) > MaxDepth/2 || bytes.Count(text, []byte("? ")) > MaxDepth {
		return &Error{Column: 1, What: fmt.Sprintf("lists or maps nested deeper than %d", MaxDepth)}
	}
	return nil
}
