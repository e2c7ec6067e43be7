package scan

import (
	"net/netip"
	"testing"

	"pgregory.net/rapid"
)

// count is a work list of numbers.
type count uint64

func (c count) Len() uint64 { return uint64(c) }
func (c count) At(i uint64) (netip.Addr, uint16) {
	return netip.AddrFrom4([4]byte{10, 0, byte(i >> 8), byte(i)}), 1
}

// Whatever was settled in whatever order, the remainder is exactly the rest:
// a set of booleans is the naive twin.
func TestRemainderIsTheRest(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(1, 3000).Draw(t, "probes")
		c, settled := &cursor{}, make([]bool, n)
		for range rapid.IntRange(0, 3000).Draw(t, "settled") {
			i := rapid.IntRange(0, n-1).Draw(t, "probe")
			if !settled[i] {
				settled[i] = true
				c.done(uint64(i))
			}
		}
		r, err := newRemainder(count(n), c.mark())
		if err != nil {
			t.Fatal(err)
		}
		again := make([]bool, n)
		for j := range r.Len() {
			i := r.number(j)
			if settled[i] || again[i] {
				t.Fatalf("probe %d is asked again", i)
			}
			again[i] = true
		}
		for i := range n {
			if settled[i] == again[i] {
				t.Fatalf("probe %d: settled %v, in the rest %v", i, settled[i], again[i])
			}
		}
		restored, err := c.mark().cursor()
		if err != nil {
			t.Fatal(err)
		}
		for i := range n {
			if !settled[i] {
				restored.done(uint64(i))
				c.done(uint64(i))
			}
		}
		if restored.base != uint64(n) || c.base != uint64(n) {
			t.Fatalf("at the end the base is %d and %d of %d", restored.base, c.base, n)
		}
	})
}

// A damaged mark is refused, never followed.
func FuzzMark(f *testing.F) {
	f.Add(uint64(10), []byte{1, 2, 3})
	f.Add(uint64(0), []byte{0})
	f.Add(uint64(1<<40), []byte{0xff, 0xff})
	f.Fuzz(func(t *testing.T, top uint64, holes []byte) {
		m := mark{Top: top, Holes: holes}
		r, err := newRemainder(count(1<<20), m)
		if err != nil {
			return
		}
		for j := range min(r.Len(), 1000) {
			if r.number(j) >= 1<<20 {
				t.Fatalf("number %d", r.number(j))
			}
		}
		if r.Len() > 1<<20 {
			t.Fatalf("%d left of %d", r.Len(), 1<<20)
		}
	})
}
