package tui

import (
	"context"
	"errors"
	"io"
	"time"

	"github.com/portreeve/portreeve/internal/traffic/flow"
)

// Options say how the view is to look and whom it may ask.
type Options struct {
	In  io.Reader
	Out io.Writer
	// Width and Height are the screen's where Out is no terminal that tells.
	Width, Height int
	// Environ is the terminal's environment, as os.Environ gives it: TERM and
	// what tells of colours is looked for there.
	Environ []string
	Color   bool
	ASCII   bool           // for terminals without UTF-8
	Zone    *time.Location // of times on the screen; nil: UTC

	Interval time.Duration // between two reads; 0: one second
	Title    string        // begins the first line
	Filter   string        // the capture filter, to be shown

	// Owner names the process of this host that has a flow, or "". It may be
	// slow, runs beside all else, one call at a time, and ends soon after its
	// context. nil: nobody knows.
	Owner func(context.Context, *flow.Flow) string
	// Service names a port; "" where it has no name. It is quick.
	Service func(proto uint8, port uint16) string
}

func (o *Options) interval() time.Duration {
	if o.Interval <= 0 {
		return time.Second
	}
	return max(o.Interval, 100*time.Millisecond)
}

func (o *Options) zone() *time.Location {
	if o.Zone == nil {
		return time.UTC
	}
	return o.Zone
}

// ErrBroken is in the error of a Run that a programming error ended; the rest
// of its text says where.
var ErrBroken = errors.New("the live view failed")

// ErrUnsupported is Run's answer on systems whose terminals the library below
// does not know (AIX).
var ErrUnsupported = errors.New("this system's terminals cannot show the live view")
