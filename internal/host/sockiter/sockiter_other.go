//go:build !linux

package sockiter

import "context"

// Iterator is a loaded program; here there is none.
type Iterator struct{}

// Open loads the iterator of a kind.
func Open(Kind) (*Iterator, error) { return nil, ErrUnsupported }

// Close frees the program.
func (*Iterator) Close() error { return nil }

// Read calls fn with every socket of the calling thread's network namespace.
func (*Iterator) Read(context.Context, func(Socket)) error { return ErrUnsupported }
