//go:build !linux

package connect

import (
	"context"
	"net/netip"

	"github.com/portreeve/portreeve/internal/exposure"
)

// Sweep gives ErrUnsupported on this system.
func (t *Transport) Sweep(context.Context, []netip.Addr, []uint16, func(exposure.PortState)) (exposure.ScanStats, []exposure.Gap, error) {
	return exposure.ScanStats{}, nil, ErrUnsupported
}

// Sweep gives ErrUnsupported on this system.
func (t *Network) Sweep(context.Context, Work, func(i uint64, p exposure.PortState)) (exposure.ScanStats, []exposure.Gap, error) {
	return exposure.ScanStats{}, nil, ErrUnsupported
}
