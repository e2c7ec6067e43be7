//go:build !linux

package host

import "context"

type place struct{}

func inside(place, func() error) error { return ErrUnsupported }

func (r *Reader) spaces(context.Context, string) ([]Space, int, error) {
	return nil, 0, ErrUnsupported
}
