//go:build !linux

package udp

import (
	"context"

	"github.com/portreeve/portreeve/internal/exposure"
)

// Ask gives ErrUnsupported on this system.
func (a *Asker) Ask(context.Context, []exposure.Endpoint, func(exposure.PortState)) (exposure.ScanStats, []exposure.Gap, error) {
	return exposure.ScanStats{}, nil, ErrUnsupported
}

// Sweep gives ErrUnsupported on this system.
func (t *Transport) Sweep(context.Context, Work, func(uint64, exposure.PortState)) (exposure.ScanStats, []exposure.Gap, error) {
	return exposure.ScanStats{}, nil, ErrUnsupported
}
