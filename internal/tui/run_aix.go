package tui

import "context"

// Run answers ErrUnsupported.
func Run(context.Context, Feed, Options) error { return ErrUnsupported }
