package serverconf

import (
	"bytes"
	"maps"
	"slices"
	"strings"
)

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }

// syntax describes files of one setting a line.
type syntax struct {
	comments string // characters that begin a comment line
	inline   bool   // "#" after white space ends a value
	equals   bool   // "=" may stand between key and value; else white space
	strict   bool   // without "=" a line is no setting
	colon    bool   // "key: value", as unbound writes it
	sections bool   // "[name]" begins a section
	fold     bool   // keys in any case
	dashes   bool   // "_" in a key is "-" (MySQL)
}

// entry is one setting: where it stands and what it says. The value is
// data[from:to] without the white space around it.
type entry struct {
	f        *file
	key, val string
	from, to int
	lineFrom int // first byte of the line
	lineTo   int // first byte of the next line
	section  string
}

// scan reads the settings of a file, in order. Lines that are none are left
// out.
func (x syntax) scan(f *file) (out []entry) {
	section := ""
	for start := 0; start < len(f.data); {
		end := len(f.data)
		if i := bytes.IndexByte(f.data[start:], '\n'); i >= 0 {
			end = start + i + 1
		}
		if name, ok := x.sectionName(f.data[start:end]); ok {
			section = name
		} else if e, ok := x.setting(f, start, end); ok {
			e.section = section
			out = append(out, e)
		}
		start = end
	}
	return out
}

func (x syntax) sectionName(line []byte) (string, bool) {
	line = bytes.TrimSpace(line)
	if !x.sections || len(line) < 2 || line[0] != '[' {
		return "", false
	}
	i := bytes.IndexByte(line, ']')
	if i < 0 {
		return "", false
	}
	return string(bytes.TrimSpace(line[1:i])), true
}

func blank(c byte) bool {
	return c == ' ' || c == '\t' || c == '\r' || c == '\n' || c == '\f' || c == '\v'
}

func (x syntax) setting(f *file, start, end int) (entry, bool) {
	e := entry{f: f, lineFrom: start, lineTo: end}
	at := start
	for at < end && blank(f.data[at]) {
		at++
	}
	if at == end || strings.IndexByte(x.comments, f.data[at]) >= 0 {
		return e, false
	}
	stop := at
	for stop < end && !blank(f.data[stop]) && !x.parts(f.data[stop]) {
		stop++
	}
	e.key = x.keyName(string(f.data[at:stop]))
	for stop < end && blank(f.data[stop]) {
		stop++
	}
	if !(stop < end && x.parts(f.data[stop])) && x.strict {
		return e, false
	}
	if stop < end && x.parts(f.data[stop]) {
		stop++
		for stop < end && blank(f.data[stop]) {
			stop++
		}
	}
	e.from, e.to = stop, x.valueEnd(f.data, stop, end)
	e.val = string(f.data[e.from:e.to])
	return e, e.key != ""
}

// parts reports the character between a key and its value.
func (x syntax) parts(c byte) bool { return x.equals && c == '=' || x.colon && c == ':' }

func (x syntax) keyName(s string) string {
	if x.fold {
		s = strings.ToLower(s)
	}
	if x.dashes {
		s = strings.ReplaceAll(s, "_", "-")
	}
	return s
}

// valueEnd finds where a value ends: before a comment, outside of quotes, and
// before white space.
func (x syntax) valueEnd(data []byte, from, end int) int {
	var quote byte
	for i := from; i < end && x.inline; i++ {
		switch c := data[i]; {
		case quote != 0 && c == quote:
			quote = 0
		case quote == 0 && (c == '"' || c == '\''):
			quote = c
		case quote == 0 && c == '#' && (i == from || blank(data[i-1])):
			end = i
		}
	}
	for end > from && blank(data[end-1]) {
		end--
	}
	return end
}

// last finds the last entry of a key.
func last(all []entry, key string) (entry, bool) {
	for _, e := range slices.Backward(all) {
		if e.key == key {
			return e, true
		}
	}
	return entry{}, false
}

// unquote takes one pair of quotes off and says how many bytes went at the
// front.
func unquote(s string) (text string, front int) {
	if len(s) >= 2 && (s[0] == '"' || s[0] == '\'') && s[len(s)-1] == s[0] {
		return s[1 : len(s)-1], 1
	}
	return s, 0
}

// token is a word of a value, with its place in the file.
type token struct {
	text     string
	from, to int
}

// tokens splits an entry's value at any of the separators; quotes around the
// value are taken off.
func (e *entry) tokens(separators string) []token {
	text, front := unquote(e.val)
	return splitTokens(text, e.from+front, separators)
}

func splitTokens(text string, base int, separators string) (out []token) {
	start := -1
	for i := 0; i <= len(text); i++ {
		if i < len(text) && strings.IndexByte(separators, text[i]) < 0 {
			if start < 0 {
				start = i
			}
			continue
		}
		if start >= 0 {
			out = append(out, token{text[start:i], base + start, base + i})
			start = -1
		}
	}
	return out
}

// splice is one replacement in one file.
type splice struct {
	f        *file
	from, to int
	text     string
}

// apply makes the replacements of one file; they do not overlap.
func apply(f *file, all []splice) []byte {
	slices.SortStableFunc(all, func(a, b splice) int { return a.from - b.from })
	var out []byte
	at := 0
	for _, s := range all {
		out = append(out, f.data[at:max(at, s.from)]...)
		out = append(out, s.text...)
		at = max(at, s.to)
	}
	return append(out, f.data[at:]...)
}
