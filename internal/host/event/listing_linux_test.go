package event

import (
	"testing"
	"time"
)

// Listing never takes more than its share of the time, and is never given up.
func TestPause(t *testing.T) {
	for _, c := range []struct{ interval, took, want time.Duration }{
		{500 * time.Millisecond, time.Millisecond, 500 * time.Millisecond},
		{500 * time.Millisecond, 10 * time.Millisecond, 3 * time.Second},
		{500 * time.Millisecond, time.Second, slowest},
		{time.Minute, time.Second, time.Minute},
	} {
		l := newListing(Options{Interval: c.interval}, SourceListing)
		if got := l.pause(c.took); got != c.want {
			t.Errorf("%+v: %v", c, got)
		}
	}
}

// What was told lately is remembered, what was told long ago is forgotten.
func TestRecent(t *testing.T) {
	var r recent
	for n := range uint64(3 * recentHalf) {
		r.add(n)
		if !r.has(n) || n > recentHalf && !r.has(n-recentHalf+1) {
			t.Fatal(n)
		}
	}
	if r.has(0) || len(r.new)+len(r.old) > 2*recentHalf {
		t.Errorf("%d and %d", len(r.new), len(r.old))
	}
}
