//go:build !linux

package bpfload

import "errors"

// ErrUnsupported is the answer of Load on systems other than Linux.
var ErrUnsupported = errors.New("bpfload: BPF programs are loaded on Linux only")

// Load is Linux only: ErrUnsupported.
func Load(object any, name string) (any, error) { return nil, ErrUnsupported }
