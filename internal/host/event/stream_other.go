//go:build !linux

package event

import "context"

func open(context.Context, Options) (*Stream, error) { return nil, ErrUnsupported }
