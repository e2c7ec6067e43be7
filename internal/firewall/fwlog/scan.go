package fwlog

import (
	"bytes"
	"errors"
	"io"
)

// maxLine is the longest line that is read, in bytes: a flow log's record of
// one minute is one line and may hold thousands of flows. Longer ones are
// unknown and not stored.
const maxLine = 1 << 20

// limits bound what is held of a stream, in bytes: of a line, and of what is
// read at once. part is more than twice line.
type limits struct{ line, part int }

func usual() limits { return limits{line: maxLine, part: 2*maxLine + 64<<10} }

// Kind is what a line is.
type Kind uint8

// Kinds of lines. Known: recognised, but no event (Parser.Known).
const (
	Unknown Kind = iota
	Known
	IsEvent
)

// Visit is called for each event of a line and once for a line that is none;
// e then tells at most Limited and Suppressed. Lines count from 1. It returns
// false to stop. What e points to is gone when it returns.
type Visit func(line int64, kind Kind, e *Event) bool

// Stats count what was read. A line may be several events.
type Stats struct {
	Lines, Events, Known, Unknown int64
	// TooLong of the unknown lines were longer than 1 MiB.
	TooLong int64
	// Limited lines tell that others were left out: the log is a sample.
	// Suppressed is how many they say, where they do.
	Limited    int64
	Suppressed uint64
}

func (s *Stats) add(o *Stats) {
	s.Lines += o.Lines
	s.Events += o.Events
	s.Known += o.Known
	s.Unknown += o.Unknown
	s.TooLong += o.TooLong
	s.Limited += o.Limited
	s.Suppressed += o.Suppressed
}

// Scan reads a stream to its end, each line as soon as it is there, and calls
// visit in the order of the lines. An empty line is none, but is counted.
func Scan(r io.Reader, o Options, visit Visit) (Stats, error) {
	return scanLines(r, o, usual(), visit)
}

func scanLines(r io.Reader, o Options, limit limits, visit Visit) (Stats, error) {
	s := scanner{p: New(o), visit: visit}
	l := lines{r: r, limit: limit.line}
	for {
		line, long, err := l.next()
		if err == io.EOF {
			return s.stats, nil
		}
		if err != nil {
			return s.stats, err
		}
		if !s.line(line, long) {
			return s.stats, nil
		}
	}
}

// scanner hands the lines of one stream, or of a part of it, to visit.
type scanner struct {
	p     *Parser
	e     Event
	visit Visit
	stats Stats
	// before are the lines before this part.
	before int64
}

// line reads one line and tells whether to go on.
func (s *scanner) line(line []byte, long bool) bool {
	s.stats.Lines++
	if long {
		s.stats.TooLong++
		s.e = Event{}
		return s.other(Unknown)
	}
	if !s.p.Read(line, &s.e) {
		return s.none(line)
	}
	for {
		s.stats.Events++
		s.limited()
		if !s.visit(s.before+s.stats.Lines, IsEvent, &s.e) {
			return false
		}
		if !s.p.More(&s.e) {
			return true
		}
	}
}

func (s *scanner) none(line []byte) bool {
	if s.p.Known() {
		return s.other(Known)
	}
	if len(bytes.TrimSpace(line)) == 0 {
		return true
	}
	return s.other(Unknown)
}

func (s *scanner) other(kind Kind) bool {
	if kind == Known {
		s.stats.Known++
	} else {
		s.stats.Unknown++
	}
	s.limited()
	return s.visit(s.before+s.stats.Lines, kind, &s.e)
}

func (s *scanner) limited() {
	if s.e.Limited {
		s.stats.Limited++
		s.stats.Suppressed += s.e.Suppressed
	}
}

// lines cuts a stream at newlines.
type lines struct {
	r    io.Reader
	buf  []byte
	from int // what is read and not given yet: buf[from:to]
	to   int
	err  error

	limit int // the longest line
}

// next gives a line without its newline, valid until the next call. A line
// that is too long is skipped: nil and long.
func (l *lines) next() (line []byte, long bool, err error) {
	seen := 0 // bytes behind from that are no newline
	for {
		if i := bytes.IndexByte(l.buf[l.from+seen:l.to], '\n'); i >= 0 {
			line = l.buf[l.from : l.from+seen+i]
			l.from += seen + i + 1
			if long || len(line) > l.limit {
				return nil, true, nil
			}
			return line, false, nil
		}
		seen = l.to - l.from
		if seen > l.limit {
			long, seen = true, 0
			l.from = l.to
		}
		if l.err != nil {
			return l.last(long)
		}
		l.fill()
	}
}

// last is what stands behind the last newline.
func (l *lines) last(long bool) ([]byte, bool, error) {
	line := l.buf[l.from:l.to]
	l.from = l.to
	if long || len(line) > 0 {
		if long {
			line = nil
		}
		return line, long, nil
	}
	return nil, false, l.err
}

var errNoProgress = errors.New("fwlog: the log gives neither bytes nor an end")

// fill reads once more, behind what is there.
func (l *lines) fill() {
	if l.from > 0 {
		l.to = copy(l.buf, l.buf[l.from:l.to])
		l.from = 0
	}
	if l.to == len(l.buf) {
		grown := make([]byte, max(64<<10, 2*len(l.buf)))
		copy(grown, l.buf)
		l.buf = grown
	}
	for range 100 {
		n, err := l.r.Read(l.buf[l.to:])
		l.to += n
		l.err = err
		if n > 0 || err != nil {
			return
		}
	}
	l.err = errNoProgress
}
