package procfs

import (
	"bufio"
	"errors"
	"fmt"
	"io"
)

// maxLine bounds a line; the kernel's longest here is under 300 bytes.
const maxLine = 4096

// Skipped tells of lines that did not parse.
type Skipped struct {
	Count int
	First int    // number of the first such line, from 1
	Why   string // why the first was skipped
}

func (s *Skipped) note(line int, err error) {
	if s.Count == 0 {
		s.First, s.Why = line, err.Error()
	}
	s.Count++
}

// bad notes a line that did not parse; false for any other error.
func (s *Skipped) bad(line int, err error) bool {
	var bad badLine
	if !errors.As(err, &bad) {
		return false
	}
	s.note(line, bad)
	return true
}

func (s Skipped) String() string {
	if s.Count == 0 {
		return ""
	}
	return fmt.Sprintf("%d line(s) skipped, the first is line %d: %s", s.Count, s.First, s.Why)
}

// badLine is why one line is skipped.
type badLine string

func (e badLine) Error() string { return string(e) }

// eachLine calls parse with every line but the first (the heading, when
// heading is set). A badLine is counted; any other error ends the reading.
func eachLine(r io.Reader, heading bool, parse func(line []byte) error) (Skipped, error) {
	var skipped Skipped
	in := bufio.NewReaderSize(r, maxLine)
	for number := 1; ; number++ {
		line, err := readLine(in)
		if len(line) > 0 && !(heading && number == 1) {
			if parseErr := parse(line); parseErr != nil && !skipped.bad(number, parseErr) {
				return skipped, parseErr
			}
		}
		if errors.Is(err, io.EOF) {
			return skipped, nil
		}
		if errors.Is(err, bufio.ErrBufferFull) {
			skipped.note(number, badLine("longer than 4096 bytes"))
			err = discardLine(in)
		}
		if err != nil && !errors.Is(err, io.EOF) {
			return skipped, err
		}
	}
}

// readLine gives a line without its newline; nothing at a line that is too
// long, with bufio.ErrBufferFull.
func readLine(in *bufio.Reader) ([]byte, error) {
	line, err := in.ReadSlice('\n')
	if errors.Is(err, bufio.ErrBufferFull) {
		return nil, err
	}
	if n := len(line); n > 0 && line[n-1] == '\n' {
		line = line[:n-1]
	}
	return line, err
}

func discardLine(in *bufio.Reader) error {
	for {
		_, err := in.ReadSlice('\n')
		if !errors.Is(err, bufio.ErrBufferFull) {
			return err
		}
	}
}

// fields is a cursor over the space-separated words of a line.
type fields struct{ rest []byte }

func (f *fields) next() []byte {
	i := 0
	for i < len(f.rest) && isSpace(f.rest[i]) {
		i++
	}
	start := i
	for i < len(f.rest) && !isSpace(f.rest[i]) {
		i++
	}
	word := f.rest[start:i]
	f.rest = f.rest[i:]
	return word
}

func (f *fields) skip(n int) {
	for range n {
		f.next()
	}
}

func isSpace(c byte) bool { return c == ' ' || c == '\t' || c == '\r' }

// hex reads up to 16 hexadecimal digits; false for anything else.
func hex(b []byte) (uint64, bool) {
	if len(b) == 0 || len(b) > 16 {
		return 0, false
	}
	var v uint64
	for _, c := range b {
		d, ok := hexDigit(c)
		if !ok {
			return 0, false
		}
		v = v<<4 | uint64(d)
	}
	return v, true
}

func hexDigit(c byte) (byte, bool) {
	switch {
	case c >= '0' && c <= '9':
		return c - '0', true
	case c >= 'a' && c <= 'f':
		return c - 'a' + 10, true
	case c >= 'A' && c <= 'F':
		return c - 'A' + 10, true
	}
	return 0, false
}

// decimal reads an unsigned number of at most 64 bits.
func decimal(b []byte) (uint64, bool) {
	if len(b) == 0 || len(b) > 20 {
		return 0, false
	}
	var v uint64
	for _, c := range b {
		if c < '0' || c > '9' || v > (1<<64-1-uint64(c-'0'))/10 {
			return 0, false
		}
		v = v*10 + uint64(c-'0')
	}
	return v, true
}
