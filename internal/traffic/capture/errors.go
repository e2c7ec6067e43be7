package capture

import (
	"errors"
	"fmt"
)

// What errors.Is finds in the error that ends a capture.
var (
	// ErrCutOff: the capture ends inside a packet (a full disk, a copy that
	// was broken off, a writer that was killed). All before it was read.
	ErrCutOff = errors.New("the capture is cut off")
	// ErrDamaged: the capture contradicts itself. All that could be told
	// apart was read.
	ErrDamaged = errors.New("the capture is damaged")
	// ErrNotCapture: these bytes are no capture, or one of a kind that is
	// not read.
	ErrNotCapture = errors.New("not a capture that can be read")
)

// DamageError says where a capture stopped making sense.
type DamageError struct {
	Kind   error  // ErrCutOff or ErrDamaged
	Format string // "pcap", "pcapng"
	// Offset is where the packet or block in question begins, bytes from the
	// start; Packet its number, were it the next packet (from 1).
	Offset int64
	Packet uint64
	Detail string // what is wrong, as a phrase
	// Others counts further places of which this is the first: such as could
	// be stepped over, because what surrounds them is sound.
	Others uint64
	// Cause is the reader's own error or an earlier damage; may be nil.
	Cause error
}

func (e *DamageError) Error() string {
	text := fmt.Sprintf("%v: %s at byte %d, packet %d: %s", e.Kind, e.Format, e.Offset, e.Packet, e.Detail)
	if e.Others > 0 {
		text += fmt.Sprintf("; %d more like it", e.Others)
	}
	if e.Cause != nil {
		text += "; " + e.Cause.Error()
	}
	return text
}

// Unwrap gives the kind and the cause.
func (e *DamageError) Unwrap() []error {
	if e.Cause == nil {
		return []error{e.Kind}
	}
	return []error{e.Kind, e.Cause}
}

// FormatError is for input that is no capture that can be read. It is an
// ErrNotCapture.
type FormatError struct {
	First []byte // the first bytes, at most 16
	Looks string // what they look like, as a phrase; "" where unknown
	Reads string // what can be read
}

func (e *FormatError) Error() string {
	looks := e.Looks
	if looks == "" {
		looks = "unknown"
	}
	return fmt.Sprintf("%v: the first bytes are % x (%s); read are %s", ErrNotCapture, e.First, looks, e.Reads)
}

// Unwrap gives ErrNotCapture.
func (e *FormatError) Unwrap() error { return ErrNotCapture }
