//go:build !linux

package host

import (
	"context"

	"github.com/portreeve/portreeve/internal/exposure"
)

func (r *Reader) snapshot(context.Context, Options) (exposure.Snapshot, error) {
	return exposure.Snapshot{}, ErrUnsupported
}

func (r *Reader) stream(context.Context, Options, func(*exposure.Socket) error) ([]exposure.Gap, error) {
	return nil, ErrUnsupported
}

func (r *Reader) crossCheck(context.Context) ([]Disagreement, []exposure.Gap, error) {
	return nil, nil, ErrUnsupported
}

func addresses(context.Context) ([]Address, error) { return nil, ErrUnsupported }

func selfNetNS() (exposure.NetNS, error) { return exposure.NetNS{}, ErrUnsupported }

func listenEndpoints(context.Context) ([]exposure.Endpoint, error) { return nil, ErrUnsupported }
