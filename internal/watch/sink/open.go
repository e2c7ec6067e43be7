package sink

import (
	"fmt"
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
	// PID is this process, for syslog.
	PID int
	// Version is the program's, for otlp.
	Version string
	// Say takes one line for the log of the program itself: what a sink
	// could not do, and that it can again. It must not block. It may be
	// called by several goroutines.
	Say func(text string)
	// Now is the clock; nil: time.Now.
	Now func() time.Time
}

func (f *Fanout) open(c *Config) (Sink, error) {
	switch c.Kind {
	case Stderr:
		return NewText(f.place.Stderr), nil
	case JSONL:
		if c.Path == "-" {
			return NewLines(f.place.Stdout), nil
		}
		return openLines(c.Path), nil
	case Syslog:
		return newSyslog(c, &f.place)
	case Journald:
		return newJournal(c)
	}
	co, err := newCourier(c, &f.place)
	if err != nil {
		return nil, err
	}
	return newSpooled(f.ctx, c, &f.place, co)
}

func newCourier(c *Config, place *Place) (courier, error) {
	switch c.Kind {
	case Webhook:
		return newWebhook(c, place)
	case Mail:
		return newMail(c, place)
	case OTLP:
		return newOTLP(c, place)
	}
	return nil, fmt.Errorf("kind %q: %w", c.Kind, ErrUnsupported)
}
