package sockdiag

import "errors"

// Errors of a dump. They are wrapped; compare with errors.Is.
var (
	// ErrUnsupported: this kernel (or system) has no diag interface for what
	// was asked: no such protocol, or its diag module is missing.
	ErrUnsupported = errors.New("not supported by this kernel")
	// ErrRefused: the kernel or a sandbox refuses netlink to this process.
	ErrRefused = errors.New("refused")
	// ErrInterrupted: the kernel says that the dump is inconsistent
	// (NLM_F_DUMP_INTR, or answers lost); repeat it.
	ErrInterrupted = errors.New("dump interrupted by changes")
	// ErrMalformed: an answer whose lengths contradict each other.
	ErrMalformed = errors.New("malformed answer")
)

// OpError is a dump that failed: what was attempted, on what, and why.
type OpError struct {
	Op   string // "open", "dump tcp over ipv4", …
	Kind error  // one of the errors above, or nil
	Err  error  // the kernel's own error, or nil
}

func (e *OpError) Error() string {
	s := "sock_diag: " + e.Op
	if e.Kind != nil {
		s += ": " + e.Kind.Error()
	}
	if e.Err != nil {
		s += ": " + e.Err.Error()
	}
	return s
}

// Unwrap gives both the kind and the kernel's error.
func (e *OpError) Unwrap() []error {
	var all []error
	for _, err := range []error{e.Kind, e.Err} {
		if err != nil {
			all = append(all, err)
		}
	}
	return all
}
