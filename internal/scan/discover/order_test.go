package discover

import (
	"math"
	"testing"

	"pgregory.net/rapid"
)

// Every number is visited once.
func TestOrderIsBijective(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.Uint64Range(0, 3000).Draw(t, "n")
		o := newOrder(n)
		seen := make([]bool, n)
		for at := range n {
			i := o.at(at)
			if i >= n || seen[i] {
				t.Fatalf("position %d of %d gives %d", at, n, i)
			}
			seen[i] = true
		}
	})
}

// Of a large range, no 256 neighbours are visited in a row, and numbers up to
// the largest are in range.
func TestOrderScatters(t *testing.T) {
	o := newOrder(1 << 16)
	counts := map[uint64]int{}
	for at := range uint64(256) {
		counts[o.at(at)>>8]++
	}
	for subnet, n := range counts {
		if n > 3 {
			t.Errorf("subnet %d is visited %d times in 256", subnet, n)
		}
	}
	for _, n := range []uint64{1, 2, 3, 1 << 32, 1<<53 + 1, math.MaxUint64} {
		o := newOrder(n)
		for _, at := range []uint64{0, n / 2, n - 1} {
			if o.at(at) >= n {
				t.Errorf("%d of %d gives %d", at, n, o.at(at))
			}
		}
	}
}
