package target

import (
	"errors"
	"fmt"
	"unicode/utf8"
)

// Errors of a request as a whole.
var (
	ErrNoTarget = errors.New("no target was given: write names, addresses, prefixes (10.0.0.0/24) or ranges, or a file of them with -iL")
	ErrNoneLeft = errors.New("every target is taken out by --exclude or by never-scan in the policy, so there is nothing to scan")
	ErrNoPort   = errors.New("no port was given: write 22,80,1000-2000 or all")
)

// Error is one spec that cannot be used. Error() says all of it.
type Error struct {
	Kind string // "target", "exclusion", "port"; "targets" for a whole file
	Spec string // as typed, at most 80 bytes
	File string // where it stands, "" on the command line
	Line int    // 1-based, 0 where it has none
	Why  string
	Hint string // what to type instead
	Err  error  // cause, may be nil
}

func (e *Error) Error() string {
	s := e.Kind
	if e.Spec != "" {
		s += fmt.Sprintf(" %q", e.Spec)
	}
	switch {
	case e.File != "" && e.Line != 0:
		s += fmt.Sprintf(" (%s, line %d)", e.File, e.Line)
	case e.File != "":
		s += fmt.Sprintf(" (%s)", e.File)
	}
	s += ": " + e.Why
	if e.Hint != "" {
		s += "; " + e.Hint
	}
	return s
}

func (e *Error) Unwrap() error { return e.Err }

// wrong makes the error of a spec; the caller adds kind and place.
func wrong(hint, why string, args ...any) *Error {
	return &Error{Why: fmt.Sprintf(why, args...), Hint: hint}
}

// place adds what the finder of the error did not know.
func (e *Error) place(kind, spec, file string, line int) *Error {
	e.Kind, e.Spec, e.File, e.Line = kind, short(spec), file, line
	return e
}

// short bounds a text for a message without cutting through a rune.
func short(s string) string {
	const most = 80
	if len(s) <= most {
		return s
	}
	n := most - len("…")
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n] + "…"
}
