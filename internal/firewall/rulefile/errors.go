package rulefile

import (
	"fmt"
	"strings"
)

// Error is one thing wrong in a rule file. Line and Column are 1-based, 0
// where the place is not known.
type Error struct {
	Name         string // the file
	Line, Column int
	What         string
}

func (e *Error) Error() string {
	var b strings.Builder
	if e.Name != "" {
		b.WriteString(e.Name + ":")
	}
	if e.Line > 0 {
		fmt.Fprintf(&b, "%d:%d:", e.Line, e.Column)
	}
	if b.Len() > 0 {
		b.WriteByte(' ')
	}
	return b.String() + e.What
}

// Errors are the things wrong in one file, in its order; the first
// MaxErrors of them.
type Errors []*Error

// MaxErrors is how many errors of one file are told.
const MaxErrors = 20

func (e Errors) Error() string {
	lines := make([]string, len(e))
	for i := range e {
		lines[i] = e[i].Error()
	}
	return strings.Join(lines, "\n")
}

// Unwrap lets errors.As find an *Error.
func (e Errors) Unwrap() []error {
	out := make([]error, len(e))
	for i := range e {
		out[i] = e[i]
	}
	return out
}
