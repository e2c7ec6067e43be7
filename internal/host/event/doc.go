// Package event tells of listeners as they open and close, by the kernel's own
// events where it has them, else by what it announces and by listing often.
//
//	stream, err := event.Open(ctx, event.Options{})  // needs privilege
//	// give up every capability that stream.Capabilities() does not name
//	err = stream.Run(ctx, func(e event.Event) error { … })
package event
