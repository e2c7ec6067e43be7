package holders

import "errors"

// ErrUnsupported is the answer of every call on systems other than Linux.
var ErrUnsupported = errors.New("holders: file tables are read from Linux's BPF iterators and /proc only")

// ErrOverBudget is Walk's answer when it met more descriptors than allowed.
var ErrOverBudget = errors.New("holders: more descriptors than the walk may read")

var errReadDenied = errors.New("the links may not be read")

// LoadError says which step of running the BPF iterator failed. It wraps the
// cause: unix.EPERM without the capabilities, ebpf.ErrNotSupported on a
// kernel without the feature, an *ebpf.VerifierError.
type LoadError struct {
	Op  string
	Err error
}

func (e *LoadError) Error() string { return "BPF task_file iterator: " + e.Op + ": " + e.Err.Error() }

// Unwrap gives the cause.
func (e *LoadError) Unwrap() error { return e.Err }

// WalkError says which file ended the walk.
type WalkError struct {
	Path string
	Err  error
}

func (e *WalkError) Error() string { return "walk " + e.Path + ": " + e.Err.Error() }

// Unwrap gives the cause.
func (e *WalkError) Unwrap() error { return e.Err }
