package cli

import (
	"context"

	"github.com/portreeve/portreeve/internal/exposure"
	"github.com/portreeve/portreeve/internal/scan/identify"
)

// signatures asks several databases in turn.
type signatures []identify.Signatures

// Match gives the first answer.
func (all signatures) Match(ctx context.Context, proto, probe string, answer []byte) (exposure.Service, bool) {
	for _, one := range all {
		if s, ok := one.Match(ctx, proto, probe, answer); ok {
			return s, true
		}
	}
	return exposure.Service{}, false
}

func openSignature(name string) ([]identify.Signatures, error) { return nil, nil }
