package remedy

import "errors"

// ErrUnsupported is the answer on systems other than Linux.
var ErrUnsupported = errors.New("firewall rules are applied on Linux only")

// noScratch: no network namespace for a trial could be made.
type noScratch struct{ err error }

func (e *noScratch) Error() string { return "no network namespace for a trial: " + e.err.Error() }

func (e *noScratch) Unwrap() error { return e.err }
