//go:build !linux

package synack

import "context"

// Ask gives ErrUnsupported on this system.
func (a Asker) Ask(context.Context, []Target, func(Print)) error { return ErrUnsupported }
