//go:build !linux

package meter

// Meter counts conversations; here there is none.
type Meter struct{}

// Open starts to count.
func Open(Options) (*Meter, error) { return nil, ErrUnsupported }

// Read lists the conversations.
func (*Meter) Read(func(*Record) bool) error { return ErrUnsupported }

// Stats tells what was seen in all.
func (*Meter) Stats() (Stats, error) { return Stats{}, ErrUnsupported }

// Stop ends the counting.
func (*Meter) Stop() error { return ErrUnsupported }

// Close ends the counting and forgets what was counted.
func (*Meter) Close() error { return nil }
