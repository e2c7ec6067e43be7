package flowfile

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
)

// isArray reports a file that is one JSON array of objects, on however many
// lines: exports and jq write such. One object a line between brackets is read
// as lines are.
func isArray(head []byte) bool {
	head = bytes.TrimLeft(bytes.TrimPrefix(head, []byte("\ufeff")), " \t\r\n")
	if len(head) == 0 || head[0] != '[' {
		return false
	}
	head = bytes.TrimLeft(head[1:], " \t\r\n")
	return len(head) > 0 && head[0] == '{'
}

// elements reads an array's objects one by one, each as if it were a line.
func (s *reader) elements(r *bufio.Reader) error {
	if b, _ := r.Peek(3); bytes.Equal(b, []byte("\ufeff")) {
		_, _ = r.Discard(3)
	}
	d := json.NewDecoder(r)
	_, err := d.Token()
	for err == nil && s.err == nil && d.More() {
		var raw json.RawMessage
		if err = d.Decode(&raw); err != nil {
			break
		}
		s.info.Lines++
		if len(raw) > MaxLine {
			s.problem("the object is longer than %d bytes", MaxLine)
			continue
		}
		s.element(raw)
	}
	if s.format != nil {
		s.format.end(s)
	}
	var syntax *json.SyntaxError
	switch {
	case s.err != nil:
		return s.err
	case errors.Is(err, io.ErrUnexpectedEOF), err == nil && !ends(d):
		return fmt.Errorf("the JSON array ends early, after %d objects", s.info.Lines)
	case errors.As(err, &syntax):
		return fmt.Errorf("byte %d of the JSON array: %w", syntax.Offset, err)
	}
	return err
}

// ends reports that the array's bracket is there.
func ends(d *json.Decoder) bool {
	t, err := d.Token()
	return err == nil && t == json.Delim(']')
}

// element hands an object to the form of the first that tells one.
func (s *reader) element(raw []byte) {
	var line bytes.Buffer
	if json.Compact(&line, raw) != nil {
		line.Reset()
		line.Write(raw)
	}
	if s.format == nil {
		name := s.opt.Format
		if name == "" || name == Auto {
			name = sniffLine(line.Bytes())
		}
		if name == "" {
			name = Log
		}
		s.info.Format, s.format = name, newFormat(name, s)
	}
	s.format.line(s, line.Bytes())
}

// objectEachLine reports an array of flows with one whole object on its first
// line: such files are read line by line, damage in one costs no other.
func objectEachLine(head []byte) bool {
	line, _, more := bytes.Cut(bytes.TrimLeft(head[bytes.IndexByte(head, '[')+1:], " \t\r\n"), []byte("\n"))
	line = bytes.TrimRight(line, ", \t\r]")
	name := sniffLine(line)
	return more && (name == Portreeve || name == ZeekJSON)
}
