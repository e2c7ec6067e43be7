package learn

import (
	"math"
	"testing"

	"pgregory.net/rapid"
)

// Places are sets: their weights are those of a set of booleans.
func TestPlacesAreSets(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		const n = 40
		w := make(weights, n+1)
		for i := range n {
			w[i+1] = w[i] + float64(rapid.IntRange(1, 9).Draw(t, "weight"))
		}
		draw := func(label string) (p places, in [n]bool) {
			for i := range uint32(n) {
				if in[i] = rapid.Bool().Draw(t, label); in[i] {
					p = p.and(run{i, i + 1})
				}
			}
			return p, in
		}
		a, inA := draw("a")
		b, inB := draw("b")
		var one, both float64
		for i := range n {
			if inA[i] {
				one += w[i+1] - w[i]
			}
			if inA[i] || inB[i] {
				both += w[i+1] - w[i]
			}
		}
		for what, got := range map[string][2]float64{"one": {w.of(a), one}, "either": {w.either(a, b), both}, "union": {w.of(union(a, b)), both}} {
			if math.Abs(got[0]-got[1]) > 1e-9 {
				t.Fatalf("%s: %v, want %v: %v %v", what, got[0], got[1], a, b)
			}
		}
	})
}
