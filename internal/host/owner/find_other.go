//go:build !linux

package owner

import "context"

func find(context.Context, Query) (*Table, error) { return nil, ErrUnsupported }
