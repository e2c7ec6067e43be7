package remedy

import "errors"

// Reason is why nothing was done, or why it was taken back.
type Reason uint8

// Reasons.
const (
	// Refused: it would cut the session of somebody who administers this
	// host, or it cannot be told that it would not.
	Refused Reason = iota + 1
	// Invalid: the rules are wrong, or touch what is not ours.
	Invalid
	// Unsupported: this system or its kernel cannot do it.
	Unsupported
	// NoPrivilege: CAP_NET_ADMIN is missing, or another user's change.
	NoPrivilege
	// NoProgram: a program is missing; the hint names its package.
	NoProgram
	// Busy: another change is under way, or waits to be confirmed.
	Busy
	// Changed: what is loaded is not what the plan was made for.
	Changed
	// State: the journal cannot be written or read.
	State
	// NoGuard: the guard did not start, so nothing was applied.
	NoGuard
	// Unverified: it was applied, found wrong, and taken back.
	Unverified
	// TooLate: another decision was taken first; Error.Outcome tells which.
	TooLate
	// Nothing: there is no change to confirm or undo.
	Nothing
	// NotRestored: putting back failed; Error.Err says what.
	NotRestored
	// Failed: a program failed for another reason.
	Failed
)

// Error is what went wrong, why, and what to do about it.
type Error struct {
	Reason  Reason
	Text    string
	Hint    string  // what to do next; may be empty
	Outcome Outcome // of the change, where one was decided
	Err     error   // may be nil
}

func (e *Error) Error() string {
	if e.Err == nil {
		return e.Text
	}
	return e.Text + ": " + e.Err.Error()
}

func (e *Error) Unwrap() error { return e.Err }

// ReasonOf gives the reason of an error of this package, or 0.
func ReasonOf(err error) Reason {
	var e *Error
	if errors.As(err, &e) {
		return e.Reason
	}
	return 0
}

func fail(r Reason, text string, err error) *Error { return &Error{Reason: r, Text: text, Err: err} }

func (e *Error) hint(h string) *Error {
	e.Hint = h
	return e
}

// as gives err unless it is one of this package already.
func as(r Reason, text string, err error) error {
	var e *Error
	if err == nil || errors.As(err, &e) {
		return err
	}
	return fail(r, text, err)
}
