package history

import (
	"context"
	"errors"
	"io/fs"
	"syscall"
)

// Error says what was attempted on which file, and why it failed. Kind is one
// of the errors of this package, or nil for what has no name.
type Error struct {
	Op, Path string
	Kind     error
	Err      error
}

func (e *Error) Error() string {
	out := e.Op + " " + e.Path + ": "
	if e.Kind != nil && !errors.Is(e.Err, e.Kind) {
		out += e.Kind.Error() + ": "
	}
	return out + e.Err.Error()
}

func (e *Error) Unwrap() []error {
	if e.Kind == nil {
		return []error{e.Err}
	}
	return []error{e.Kind, e.Err}
}

// fail names the attempt; nil stays nil, and what has a name keeps it.
func (s *Store) fail(op string, err error) error {
	var named *Error
	if err == nil || errors.As(err, &named) {
		return err
	}
	return &Error{Op: op, Path: s.path, Kind: kindOf(err), Err: err}
}

// Result codes of SQLite (sqlite.org/rescode.html), without their extension.
const (
	codeBusy     = 5
	codeLocked   = 6
	codeReadOnly = 8
	codeIO       = 10
	codeCorrupt  = 11
	codeFull     = 13
	codeCantOpen = 14
	codeNotADB   = 26
	// codeShmSize: the shared memory could not be made larger.
	codeShmSize = 10 | 19<<8
)

// kindOf gives an error its name; nil for those without.
func kindOf(err error) error {
	for _, kind := range []error{ErrUnsupported, ErrNone, ErrCorrupt, ErrNewer, ErrFull, ErrReadOnly, ErrBusy, ErrNoSnapshot, ErrNameTaken} {
		if errors.Is(err, kind) {
			return kind
		}
	}
	if kind := kindOfCode(err); kind != nil {
		return kind
	}
	switch {
	case errors.Is(err, errForeign), errors.Is(err, errCutOff):
		return ErrCorrupt
	case errors.Is(err, syscall.ENOSPC):
		return ErrFull
	case errors.Is(err, fs.ErrPermission), errors.Is(err, syscall.EROFS):
		return ErrReadOnly
	}
	return nil
}

func kindOfCode(err error) error {
	var coded interface{ Code() int }
	if !errors.As(err, &coded) {
		return nil
	}
	if coded.Code() == codeShmSize {
		return ErrFull
	}
	switch coded.Code() & 0xff {
	case codeBusy, codeLocked:
		return ErrBusy
	case codeReadOnly:
		return ErrReadOnly
	case codeCorrupt, codeNotADB:
		return ErrCorrupt
	case codeFull:
		return ErrFull
	case codeCantOpen:
		return ErrReadOnly
	}
	return nil
}

// Interrupted reports an error that is only the end of the caller's context.
func Interrupted(err error) bool {
	return errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded)
}
