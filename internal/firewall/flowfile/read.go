package flowfile

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"time"

	"github.com/portreeve/portreeve/internal/exposure"
)

// Formats that Options.Format names.
const (
	Auto       = "auto"
	Portreeve  = "portreeve" // JSON Lines of traffic --by flow --json
	ZeekTSV    = "zeek"
	ZeekJSON   = "zeek-json"
	Conntrack  = "conntrack"
	NfdumpCSV  = "nfdump-csv"
	NfdumpJSON = "nfdump-json"
	Log        = "log" // firewall and flow logs, through fwlog
)

// Formats are the names that Options.Format may have.
func Formats() []string {
	return []string{Auto, Portreeve, ZeekTSV, ZeekJSON, Conntrack, NfdumpCSV, NfdumpJSON, Log}
}

// MaxLine is how long a line may be, in bytes; a longer one is a problem.
const MaxLine = 1 << 20

// MaxProblems is how many problems of one file are told; Info.Unread counts
// all.
const MaxProblems = 100

// Options are what a file leaves out.
type Options struct {
	Name   string // in errors
	Format string // "" and "auto": by content
	// Now and Zone complete the times of syslog lines, see fwlog.Options.
	Now  time.Time
	Zone *time.Location
	// Serves tells ports that servers are known to listen on, for exports that
	// do not say who began; may be nil.
	Serves func(proto exposure.Proto, port uint16) bool
}

// Info is what a file was.
type Info struct {
	Format string // of the first line that was read
	Lines  int
	Flows  uint64 // connections, as told to each
	Denied uint64 // of them with Action deny
	// Unread counts lines that could not be read, Ignored those of another
	// kind (Zeek's other logs, headers, ends of connections told before).
	Unread, Ignored uint64
	// First and Last are the earliest and latest time in it; zero: none told.
	First, Last time.Time
	// Limited: the log says itself that lines were left out, or its product
	// limits it; Suppressed how
	// many, where it says that.
	Limited    bool
	Suppressed uint64
	// Notes say in sentences what a person should know of the file.
	Notes []string
}

// Problem is a line that could not be read.
type Problem struct {
	Line int // 1-based
	What string
}

func (p Problem) String() string { return fmt.Sprintf("line %d: %s", p.Line, p.What) }

// Read reads the flows of r in their order and gives each to a function; the
// Flow is valid until the function returns, and its error ends reading. The
// error is that, or r's; what was read before it was given and counted.
func Read(r io.Reader, name, format string, each func(*exposure.Flow) error) (Info, []Problem, error) {
	return ReadWith(r, Options{Name: name, Format: format}, each)
}

// ReadWith is Read with what the file leaves out.
func ReadWith(r io.Reader, o Options, each func(*exposure.Flow) error) (Info, []Problem, error) {
	s := &reader{opt: o, each: each}
	err := s.run(bufio.NewReaderSize(r, 64<<10))
	if err != nil && o.Name != "" {
		err = fmt.Errorf("%s: %w", o.Name, err)
	}
	return s.info, s.problems, err
}

// reader reads one file.
type reader struct {
	opt      Options
	each     func(*exposure.Flow) error
	info     Info
	problems []Problem
	err      error // of each; ends reading
	format   format
}

// format is how a kind of lines is read.
type format interface {
	// line reads one line without its end.
	line(s *reader, b []byte)
	// end gives what waited for more.
	end(s *reader)
}

func (s *reader) run(r *bufio.Reader) error {
	head, _ := r.Peek(4 << 10)
	if isArray(head) && !objectEachLine(head) {
		return s.elements(r)
	}
	if err := s.choose(r); err != nil {
		return err
	}
	for s.err == nil {
		line, err := s.next(r)
		if line != nil {
			s.format.line(s, line)
		}
		if err == io.EOF {
			break
		}
		if err != nil {
			s.format.end(s)
			return err
		}
	}
	s.format.end(s)
	return s.err
}

// next gives the next line; nil when there is none worth reading.
func (s *reader) next(r *bufio.Reader) ([]byte, error) {
	line, err := r.ReadSlice('\n')
	if len(line) == 0 {
		return nil, err
	}
	s.info.Lines++
	if err == bufio.ErrBufferFull {
		line, err = s.long(r, line)
	}
	line = bytes.TrimRight(line, "\r\n")
	if s.info.Lines == 1 {
		line = bytes.TrimPrefix(line, []byte("\ufeff"))
	}
	if len(bytes.TrimSpace(line)) == 0 {
		return nil, err
	}
	return line, err
}

// long reads the rest of a line that is longer than the buffer.
func (s *reader) long(r *bufio.Reader, head []byte) ([]byte, error) {
	line := bytes.Clone(head)
	for {
		part, err := r.ReadSlice('\n')
		if len(line)+len(part) <= MaxLine {
			line = append(line, part...)
		} else if line != nil {
			s.problem("the line is longer than %d bytes", MaxLine)
			line = nil
		}
		if err != bufio.ErrBufferFull {
			return line, err
		}
		if line == nil {
			return nil, skip(r)
		}
	}
}

func skip(r *bufio.Reader) error {
	for {
		if _, err := r.ReadSlice('\n'); err != bufio.ErrBufferFull {
			return err
		}
	}
}

func (s *reader) problem(text string, args ...any) {
	s.info.Unread++
	if len(s.problems) < MaxProblems {
		s.problems = append(s.problems, Problem{s.info.Lines, fmt.Sprintf(text, args...)})
	}
}

func (s *reader) note(text string, args ...any) {
	s.info.Notes = append(s.info.Notes, fmt.Sprintf(text, args...))
}

// give hands a flow on.
func (s *reader) give(f *exposure.Flow) {
	if s.err != nil {
		return
	}
	s.info.Flows++
	if f.Action == "deny" {
		s.info.Denied++
	}
	s.seen(f.First)
	s.seen(f.Last)
	s.err = s.each(f)
}

func (s *reader) seen(t time.Time) {
	if t.IsZero() {
		return
	}
	if s.info.First.IsZero() || t.Before(s.info.First) {
		s.info.First = t
	}
	if t.After(s.info.Last) {
		s.info.Last = t
	}
}
