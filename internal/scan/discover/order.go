package discover

import (
	"math/bits"
	"math/rand/v2"
)

// order visits n numbers once each, neighbours far apart in time: number
// (step × position + shift) mod n, with a step near n divided by the golden
// ratio, whose multiples spread evenly (three-distance theorem).
type order struct{ n, step, shift uint64 }

func newOrder(n uint64) order {
	if n < 3 {
		return order{n: n, step: 1}
	}
	step := uint64(float64(n) / 1.618033988749895)
	for step = max(1, min(step, n-1)); gcd(step, n) != 1; step++ {
	}
	return order{n: n, step: step % n, shift: rand.Uint64N(n)}
}

func gcd(a, b uint64) uint64 {
	for b != 0 {
		a, b = b, a%b
	}
	return a
}

// at is the number at a position.
func (o order) at(position uint64) uint64 {
	hi, lo := bits.Mul64(o.step, position)
	lo, carry := bits.Add64(lo, o.shift, 0)
	return bits.Rem64(hi+carry, lo, o.n)
}
