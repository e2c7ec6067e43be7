package document

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
)

// Part is a piece of YAML text that is read by itself. Long files are read in
// parts so that memory is bounded by the longest part.
type Part struct {
	Text []byte
	Line int // where it begins, from 1
}

// Parts divides a YAML stream into its documents, by the lines --- and "...";
// documents of nothing but comments are left out.
func Parts(data []byte) (out []Part) {
	cur, begin, no := Part{Line: 1}, 0, 0
	end := func(at int) {
		if cur.Text = data[begin:at]; !blank(cur.Text) {
			out = append(out, cur)
		}
	}
	for pos := 0; pos < len(data); {
		line := data[pos:]
		if i := bytes.IndexByte(line, '\n'); i >= 0 {
			line = line[:i+1]
		}
		no++
		switch {
		case isMark(line, "---"):
			end(pos)
			cur, begin = Part{Line: no}, pos+3
		case isMark(line, "..."):
			end(pos)
			cur, begin = Part{Line: no + 1}, pos+len(line)
		}
		pos += len(line)
	}
	end(len(data))
	return out
}

func isMark(line []byte, mark string) bool {
	rest, ok := bytes.CutPrefix(line, []byte(mark))
	return ok && (len(rest) == 0 || strings.IndexByte(" \t\r\n", rest[0]) >= 0)
}

// blank reports text of empty lines, comments and directives.
func blank(text []byte) bool {
	for line := range bytes.Lines(text) {
		line = bytes.TrimSpace(line)
		if len(line) > 0 && line[0] != '#' && line[0] != '%' {
			return false
		}
	}
	return true
}

// Entry is the text of a key of the part's outermost map, when it stands on
// the key's line ("kind: List"); quotes are taken off.
func (p Part) Entry(key string) string {
	indent := -1
	for line := range bytes.Lines(p.Text) {
		body := bytes.TrimLeft(line, " ")
		if indent < 0 && !blank(body) {
			indent = len(line) - len(body)
		}
		rest, ok := bytes.CutPrefix(body, []byte(key+":"))
		if ok && len(line)-len(body) == indent {
			s, _, _ := strings.Cut(string(rest), " #")
			return strings.Trim(strings.TrimSpace(s), `"'`)
		}
	}
	return ""
}

// Items divides the list that is the value of a key of the outermost map into
// parts, one for each item in block style. head is the part without them. ok
// is false when there is no such list.
func (p Part) Items(key string) (head Part, items []Part, ok bool) {
	indent, no := -1, p.Line-1
	in, pos, from := false, 0, 0
	var cur *Part
	var rest []byte
	for line := range bytes.Lines(p.Text) {
		no++
		at := len(line) - len(bytes.TrimLeft(line, " "))
		body := bytes.TrimSpace(line)
		item := in && isMark(line[at:], "-") && (at == indent || indent < 0)
		switch {
		case in && (len(body) == 0 || body[0] == '#'):
		case item:
			if cur != nil {
				cur.Text = undash(p.Text[from:pos], indent)
			}
			indent, from, ok = at, pos, true
			items = append(items, Part{Line: no})
			cur = &items[len(items)-1]
		case in && at > max(indent, 0):
		case bytes.Equal(body, []byte(key+":")) && at == 0:
			in = true
		default:
			if cur != nil {
				cur.Text, cur = undash(p.Text[from:pos], indent), nil
			}
			in = false
		}
		if !in {
			rest = append(rest, line...)
		} else if cur == nil {
			rest = append(rest, '\n')
		}
		pos += len(line)
	}
	if cur != nil {
		cur.Text = undash(p.Text[from:], indent)
	}
	return Part{Text: rest, Line: p.Line}, items, ok
}

// undash makes the text of an item a value of its own, at its columns.
func undash(text []byte, indent int) []byte {
	out := bytes.Clone(text)
	if indent < len(out) {
		out[indent] = ' '
	}
	return out
}

// Bounds of the structure of one part. The YAML library takes time with the
// square of what stands nested or in one line.
const (
	mostPart       = 2 << 20
	mostIndent     = 400
	mostIndicators = 300    // in a line, outside quotes
	mostQuoted     = 20_000 // in a part, in what looks like quotes
	mostExpanded   = 200_000
)

var (
	errPart       = fmt.Errorf("a document longer than %d MiB", mostPart>>20)
	errIndicators = errors.New("too many structural characters in a line")
)

// check refuses text whose structure is beyond the bounds.
func (p Part) check() error {
	if len(p.Text) > mostPart {
		return &Error{Line: p.Line, Err: errPart}
	}
	no, flow, quoted := p.Line-1, 0, 0
	for line := range bytes.Lines(p.Text) {
		no++
		dense, inQuotes, open := structure(line)
		flow, quoted = max(flow+open, 0), quoted+inQuotes
		switch {
		case flow > mostDepth, len(line)-len(bytes.TrimLeft(line, " \t")) > mostIndent:
			return &Error{Line: no, Err: errDepth}
		case dense > mostIndicators, quoted > mostQuoted:
			return &Error{Line: no, Err: errIndicators}
		}
	}
	return nil
}

// structure counts a line's structural characters, outside of what looks like
// quotes and in it, and by how many brackets more open than close.
func structure(line []byte) (dense, quoted, open int) {
	var quote byte
	for i, c := range line {
		switch {
		case quote != 0 && c == quote && (quote == '\'' || line[i-1] != '\\'):
			quote = 0
		case (c == '"' || c == '\'') && quote == 0 && (i == 0 || strings.IndexByte(" \t[{,:", line[i-1]) >= 0):
			quote = c
		case quote == 0 && (c == '[' || c == '{'):
			open++
			dense++
		case quote == 0 && (c == ']' || c == '}'):
			open--
		case !isIndicator(line, i):
		case quote != 0:
			quoted++
		default:
			dense++
		}
	}
	return dense, quoted, open
}

// isIndicator reports a character that may begin or end a YAML node there.
func isIndicator(line []byte, i int) bool {
	if strings.IndexByte(":-?&*!|>%@`,", line[i]) < 0 {
		return false
	}
	return i == 0 || line[i-1] == ' ' || i+1 == len(line) || strings.IndexByte(" \t\r\n", line[i+1]) >= 0
}
