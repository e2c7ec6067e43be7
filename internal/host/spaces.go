package host

import (
	"context"

	"github.com/portreeve/portreeve/internal/exposure"
)

// Space is a network namespace that can be entered.
type Space struct {
	exposure.NetNS
	place place
}

// Spaces finds network namespaces: those that netns asks for, as
// Options.NetNS does, the caller's own first. Unseen counts processes whose
// namespace could not be told.
func (r *Reader) Spaces(ctx context.Context, netns string) (spaces []Space, unseen int, err error) {
	return r.spaces(ctx, netns)
}

// Inside runs fn on a thread of its own inside the namespace. It fails when
// the namespace has ended or may not be entered.
func (s Space) Inside(fn func() error) error { return inside(s.place, fn) }
