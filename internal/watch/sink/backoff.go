package sink

import (
	"context"
	"math/rand/v2"
	"time"
)

// backoff doubles the wait after each failure, with jitter: a random part of
// the upper half, so that many hosts do not come back at once.
type backoff struct {
	first, most time.Duration
	now         time.Duration
}

func (b *backoff) reset() { b.now = 0 }

// next is how long to wait now.
func (b *backoff) next() time.Duration {
	if b.now == 0 {
		b.now = b.first
	} else {
		b.now = min(2*b.now, b.most)
	}
	return b.now/2 + rand.N(b.now/2+1)
}

// pause waits; false when ctx ended first.
func pause(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}
