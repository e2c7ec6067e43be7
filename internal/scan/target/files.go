package target

import (
	"bufio"
	"bytes"
	"errors"
	"io"
)

// File is one file of targets or exclusions. Name is for messages.
type File struct {
	Name   string
	Reader io.Reader
}

// taker takes what a file holds, in order.
type taker interface {
	spec(s, file string, line int) error
	document(d evidence, file string) error
}

// readFile hands on what a file holds: specs, or the addresses of one JSON
// document.
func readFile(f File, to taker) error {
	r := bufio.NewReaderSize(f.Reader, 64<<10)
	first, err := skipSpace(r)
	switch {
	case errors.Is(err, io.EOF):
		return nil
	case err != nil:
		return fileError(f.Name, err)
	case first.b == '{':
		d, err := readEvidence(r, MaxEvidence)
		if err != nil {
			return err.place("targets", "", f.Name, 0)
		}
		return to.document(d, f.Name)
	case first.b == '<':
		return wrong("make it portreeve's JSON first: portreeve scan --from FILE --json", "this looks like XML, targets are text or portreeve's JSON").
			place("targets", "", f.Name, 0)
	}
	w := words{r: r, file: f.Name, line: first.line, left: MaxFile}
	return w.each(to)
}

func fileError(file string, err error) error {
	e := wrong("give a file that can be read", "reading it failed: %v", err)
	e.Err = err
	return e.place("targets", "", file, 0)
}

// place is a byte and the line where it stands.
type place struct {
	b    byte
	line int
}

// skipSpace skips a byte order mark and white space and looks at what follows.
func skipSpace(r *bufio.Reader) (place, error) {
	if bom, err := r.Peek(3); err == nil && bytes.Equal(bom, []byte("\xef\xbb\xbf")) {
		_, _ = r.Discard(3)
	}
	line := 1
	for range maxBlank {
		b, err := r.ReadByte()
		if err != nil {
			return place{}, err
		}
		if !isSpace(b) {
			return place{b, line}, r.UnreadByte()
		}
		if b == '\n' {
			line++
		}
	}
	return place{}, errBlank
}

var errBlank = errors.New("it begins with a mebibyte of white space")

func isSpace(b byte) bool { return b == ' ' || b >= '\t' && b <= '\r' }

// words splits a file into specs.
type words struct {
	r    *bufio.Reader
	file string
	line int
	left int // bytes that may still be read
	word []byte
}

// each reads to the end and hands on every spec.
func (w *words) each(to taker) error {
	for {
		b, err := w.r.ReadByte()
		end := errors.Is(err, io.EOF)
		if err != nil && !end {
			return fileError(w.file, err)
		}
		if w.left--; w.left < 0 {
			return w.fail("cut it into several scans", "it is larger than %d bytes", MaxFile)
		}
		if end || isSpace(b) || b == '#' {
			if err := w.flush(to); err != nil {
				return err
			}
		}
		switch {
		case end:
			return nil
		case b == '#':
			if err := w.skipComment(); err != nil {
				return err
			}
		case b == '\n':
			w.line++
		case isSpace(b):
		default:
			if err := w.grow(b); err != nil {
				return err
			}
		}
	}
}

// flush hands on the spec that has ended, if one has.
func (w *words) flush(to taker) error {
	if len(w.word) == 0 {
		return nil
	}
	s := string(w.word)
	w.word = w.word[:0]
	return to.spec(s, w.file, w.line)
}

func (w *words) grow(b byte) error {
	switch {
	case b == 0:
		return w.fail("save it as UTF-8 text", "it holds a zero byte: it is UTF-16 or no text at all")
	case len(w.word) == MaxSpec:
		return w.fail("write one target a line", "a target is longer than %d bytes", MaxSpec)
	}
	w.word = append(w.word, b)
	return nil
}

// skipComment reads up to the end of the line, which is left to be read.
func (w *words) skipComment() error {
	for ; w.left > 0; w.left-- {
		b, err := w.r.ReadByte()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fileError(w.file, err)
		}
		if b == '\n' {
			return w.r.UnreadByte()
		}
	}
	return nil
}

func (w *words) fail(hint, why string, args ...any) error {
	return wrong(hint, why, args...).place("targets", "", w.file, w.line)
}
