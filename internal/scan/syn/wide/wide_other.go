//go:build !linux

package wide

import (
	"context"

	"github.com/portreeve/portreeve/internal/exposure"
)

// Sweep is made on Linux only.
func (t *Transport) Sweep(context.Context, Work, func(uint64, exposure.PortState)) (exposure.ScanStats, []exposure.Gap, error) {
	return exposure.ScanStats{}, nil, ErrUnsupported
}
