//go:build !linux

package live

import "github.com/portreeve/portreeve/internal/traffic/capture"

// Ring is made on Linux only.
type Ring struct{}

// Open is made on Linux only.
func Open(o Options) ([]*Ring, error) {
	if _, err := o.check(); err != nil {
		return nil, err
	}
	return nil, ErrUnsupported
}

// Next gives ErrUnsupported.
func (r *Ring) Next(*capture.Batch) error { return ErrUnsupported }

// Interfaces gives none.
func (r *Ring) Interfaces() []capture.Interface { return nil }

// Stats gives zeroes that are not known.
func (r *Ring) Stats() capture.Stats { return capture.Stats{} }

// Stop does nothing.
func (r *Ring) Stop() error { return nil }

// Close does nothing.
func (r *Ring) Close() error { return nil }
