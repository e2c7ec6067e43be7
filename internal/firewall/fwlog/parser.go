package fwlog

import "time"

// Options are what lines leave out.
type Options struct {
	// Now is when the log was read: a syslog line of RFC 3164 has no year, it
	// is the last one in which the line is not after Now. Zero: such lines
	// have no time.
	Now time.Time
	// Zone is the zone of times that name none; nil: UTC.
	Zone *time.Location
	// Format limits the dialects to one, "" or "auto": all.
	Format string
}

// Parser reads the lines of one stream.
type Parser struct {
	opt Options
	// last is the dialect that took the last event: the next line is most
	// probably of the same.
	last int
}

// line is a line as dialects see it.
type line struct {
	raw  []byte // all of it, without the line's end
	body []byte // what is behind the envelope
	// From the envelope; empty or 0 where there was none.
	tag  []byte // program: "kernel", "filterlog", "%ASA-4-106023" …
	host []byte
	when int64
}
