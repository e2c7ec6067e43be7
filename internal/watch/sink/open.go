package sink

import (
	"io"
	"time"
)

// Place is what sinks are opened with.
type Place struct {
	// Stdout and Stderr are the program's own.
	Stdout, Stderr io.Writer
	// Spool is the folder in which webhook, mail and otlp sinks keep what
	// they could not deliver yet, one folder each by its label.
	Spool string
	// Host is this host's name, for syslog and mail.
	Host string
	// Say takes one line for the log of the program itself: what a sink
	// could not do, and that it can again. It must not block.
	Say func(text string)
	// Now is the clock; nil: time.Now.
	Now func() time.Time
}
