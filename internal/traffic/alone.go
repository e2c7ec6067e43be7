package traffic

import (
	"errors"

	"github.com/portreeve/portreeve/internal/traffic/capture"
)

// readAlone takes one source to its end and calls the sink itself.
func (r *run) readAlone(src capture.Source) {
	rd := &reader{run: r}
	rd.decoder.Outer = r.o.Outer
	c, b := &chunk{from: rd}, new(capture.Batch)
	for r.wants(src) {
		err := src.Next(b)
		enough := r.takeBatch(c, b)
		b.Release()
		if enough != nil {
			r.end()
			return
		}
		if err != nil {
			r.fail(err)
			return
		}
	}
}

// alonePiece is how many packets are decoded before they are handed on: they
// stay in the first cache meanwhile.
const alonePiece = 64

// takeBatch decodes a batch and hands it on, one source at a time.
func (r *run) takeBatch(c *chunk, b *capture.Batch) error {
	r.alone.Lock()
	defer r.alone.Unlock()
	if r.left == nil {
		r.left = r.takeAlone(c, b)
	}
	return r.left
}

func (r *run) takeAlone(c *chunk, b *capture.Batch) error {
	if err := c.from.pick(b); err != nil {
		return err
	}
	for rest := b.Packets; ; {
		n := min(len(rest), alonePiece)
		c.from.decode(c, rest[:n])
		if err := r.take(c, r.sink, &r.taken); err != nil {
			return err
		}
		if rest = rest[n:]; len(rest) == 0 {
			return nil
		}
	}
}

// errOver keeps the sink from being called when Run has returned.
var errOver = errors.New("the run is over")

// leave ends the calls of the sink, and tells why they ended before.
func (r *run) leave() error {
	r.alone.Lock()
	defer r.alone.Unlock()
	err := r.left
	r.left = errOver
	return err
}
