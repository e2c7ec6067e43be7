package fwlog

import (
	"bytes"
	"time"
)

// Options are what lines leave out.
type Options struct {
	// Now is when the log was read: a syslog line of RFC 3164 has no year, it
	// is the last one in which the line is at most a day (zones, clocks)
	// after Now. Zero: such lines have no time.
	Now time.Time
	// Zone is the zone of times that name none; nil: UTC.
	Zone *time.Location
	// Format limits the dialects to one, "" or "auto": all.
	Format string
}

// Parser reads the lines of one stream.
type Parser struct {
	memo memo
	opt  Options
	// ask are the dialects to ask, in the table's order. What one line is
	// does not hang on the lines before it, but for what is carried.
	ask     []dialect
	carried carried
	// known: the line in hand was recognised, but is no event.
	known bool
	// more gives the line's further events, which are of this format.
	more   func(e *Event) bool
	format string
	stamps
	prefixes prefixes
	scratch  [3][]byte // texts of the line in hand that had to be unescaped
	parts    [64]byte  // a time that is put together
	line     line
	inner    line // what a JSON object held
}

// carried is what lines tell about those that follow: the only memory that a
// Parser has. It is compared to see whether lines may be read apart.
type carried struct {
	columns *columns
	export  int64 // journald's export form: the time of the entry in hand
}

// line is a line as dialects see it: from the outside inwards. All are parts
// of the line or of the Parser's storage.
type line struct {
	raw  []byte // all of it, without the line's end
	text []byte // inside of a container's or journald's envelope, else raw, without blanks at its end
	msg  []byte // text behind PRI, time and host: begins with the tag if any
	body []byte // msg behind the tag and the kernel's "[uptime]"
	// From the envelope; empty or 0 where there was none.
	tag  []byte // program, without its process number: "kernel", "filterlog"
	host []byte
	when int64 // Unix nanoseconds
	// repeats: the line says that it stands for so many.
	repeats uint64
	json    bool // text is a JSON object
	process bool // the tag had a process number
	blank   bool // a blank stood at its end: it was not cut there
}

// New is a Parser of a stream. A Format that Formats does not list knows no
// line.
func New(o Options) *Parser {
	p := &Parser{opt: o, ask: dialects}
	if o.Format != "" && o.Format != "auto" {
		p.ask = nil
		for i := range dialects {
			if dialects[i].name == o.Format {
				p.ask = dialects[i : i+1]
			}
		}
	}
	return p
}

// Read takes the next line, with or without its end, and tells whether it is
// an event. If not, Known tells whether it was recognised all the same, and e
// has nothing but, maybe, Limited and Suppressed. A line may hold several
// events: More gives those after the first.
func (p *Parser) Read(raw []byte, e *Event) bool {
	*e = Event{}
	p.known, p.more = false, nil
	l := &p.line
	*l = line{raw: trimNewline(raw)}
	if len(l.raw) == 0 {
		p.carried.export = 0
		return false
	}
	return p.open(l, e)
}

func trimNewline(b []byte) []byte {
	for len(b) > 0 && (b[len(b)-1] == '\n' || b[len(b)-1] == '\r') {
		b = b[:len(b)-1]
	}
	return b
}

// Known tells whether the last line, which was no event, was recognised: a
// header, a comment, a note that lines were left out, or a line of a
// firewall's log about something else.
func (p *Parser) Known() bool { return p.known }

// More gives the next event of the same line, if it has several. Texts are
// valid until the next More or Read.
func (p *Parser) More(e *Event) bool {
	for p.more != nil {
		*e = Event{}
		if !p.more(e) {
			break
		}
		if e.Src.IsValid() && e.Dst.IsValid() {
			e.Format = p.format
			if e.Time == 0 {
				e.Time = p.line.when
			}
			return true
		}
	}
	p.more = nil
	*e = Event{}
	return false
}

// open takes the envelope off and asks the dialects.
func (p *Parser) open(l *line, e *Event) bool {
	if p.strip(l) {
		return p.dialects(l, e)
	}
	return false
}

// dialects asks one after the other. Of a JSON object the line that it may
// hold is asked first.
func (p *Parser) dialects(l *line, e *Event) bool {
	if l.json && p.unwrap(l, e) {
		return true
	}
	if p.askAll(l, e) || p.known {
		return !p.known
	}
	return l.note(e) && p.noEvent()
}

func (p *Parser) askAll(l *line, e *Event) bool {
	for i := range p.ask {
		if p.try(&p.ask[i], l, e) {
			return true
		}
		if p.known {
			return false
		}
	}
	return false
}

func (p *Parser) try(d *dialect, l *line, e *Event) bool {
	if !d.read(p, l, e) {
		p.more = nil
		left := Event{Limited: e.Limited, Suppressed: e.Suppressed}
		if !p.known {
			left = Event{}
		}
		*e = left
		return false
	}
	if !e.Src.IsValid() || !e.Dst.IsValid() {
		*e = Event{}
		p.more = nil
		return false
	}
	e.Format, p.format = d.name, d.name
	if e.Time == 0 {
		e.Time = l.when
	}
	if l.repeats > 0 {
		e.Limited, e.Suppressed = true, e.Suppressed+l.repeats-1
	}
	return true
}

// noEvent is what a dialect returns for a line that is certainly its own, but
// no event: a header, a comment, another message of the product.
func (p *Parser) noEvent() bool {
	p.known = true
	return false
}

// columns are what header lines said, by dialect. They are never changed:
// Parsers share them.
type columns struct {
	next   *columns
	name   string
	header []byte
	codes  []uint8
}

// setColumns keeps what a header line means to the dialect of that name:
// codes are the dialect's own, one for each column. The same header again
// changes nothing.
func (p *Parser) setColumns(name string, header []byte, codes []uint8) {
	var rest *columns
	for c := p.carried.columns; c != nil; c = c.next {
		if c.name != name {
			rest = &columns{next: rest, name: c.name, header: c.header, codes: c.codes}
		} else if bytes.Equal(c.header, header) {
			return
		}
	}
	p.carried.columns = &columns{next: rest, name: name, header: bytes.Clone(header), codes: bytes.Clone(codes)}
}

// columnsOf gives the codes of the last header of the dialect of that name,
// nil if there was none.
func (p *Parser) columnsOf(name string) []uint8 {
	for c := p.carried.columns; c != nil; c = c.next {
		if c.name == name {
			return c.codes
		}
	}
	return nil
}
