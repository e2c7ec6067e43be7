// Package fwlog reads firewall logs, line by line: one file per dialect, one
// table of them (table.go). A line is recognised for certain or declined:
// wrong addresses are worse than none.
//
// A Parser takes lines of any mixture of dialects. It strips the envelope
// (syslog of RFC 3164 and RFC 5424, a container's JSON, journald's export or
// JSON form), asks the dialects of the table in their order, and fills an
// Event. Some dialects have header lines that name the columns (W3C, VPC flow
// logs); the Parser keeps them, so lines must come in their order and a
// Parser belongs to one stream and one goroutine.
//
// Read tells whether a line is an event; Known whether one that is none was
// recognised all the same; More gives further events of the same line. Scan
// does this for a stream, Parallel on several cores with the same result,
// Follow for a file that grows. Apart from headers a Parser has no memory:
// what a line is does not hang on the lines before it.
//
// A line that was cut (by a datagram, a full disk) tells no address and no
// port that the whole line would not: what ends the line and could go on is
// left out.
//
// A new dialect is one file with a read function, one row in the table, and
// its golden corpus in testdata (a folder of .log files; go test -update
// writes what is expected of them, to be read before it is committed).
//
// Nothing here allocates for a line of the common dialects, keeps a line, or
// looks at the clock. Strings of an Event are parts of the line (or of the
// Parser's own storage) and valid until the next call.
package fwlog
