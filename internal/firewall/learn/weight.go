package learn

import "math/bits"

// weights are how much known hosts count when what a rule opens is measured.
// Half of it is the same for all hosts, half for all segments: one of two
// domain controllers is more than one of two hundred workstations. All weights
// together are the number of hosts.
type weights struct {
	host []float64
	// word is the weight of each host of 64 where that is the same, else -1.
	word []float64
}

// minWeight is of an end without any known host.
const minWeight = 0.5

func (e *evidence) weigh() {
	n := len(e.known)
	w := weights{make([]float64, n), make([]float64, (n+63)/64)}
	for i, id := range e.known {
		seg := e.seg.list[e.seg.of[id]]
		w.host[i] = 0.5 + 0.5*float64(n)/float64(len(e.seg.list)*len(seg.hosts))
	}
	for i := range w.word {
		w.word[i] = same(w.host[i*64 : min(i*64+64, n)])
	}
	e.weights = w
}

// same is the value that all have, -1 for none.
func same(list []float64) float64 {
	for _, v := range list {
		if v != list[0] {
			return -1
		}
	}
	return list[0]
}

// hostWeight is the weight of the hosts that are in either set; b may be nil.
func (e *evidence) hostWeight(a, b bitset) (sum float64) {
	for i, x := range a {
		if b != nil {
			x |= b[i]
		}
		if w := e.weights.word[i]; w >= 0 {
			sum += w * float64(bits.OnesCount64(x))
			continue
		}
		for ; x != 0; x &= x - 1 {
			sum += e.weights.host[i*64+bits.TrailingZeros64(x)]
		}
	}
	return sum
}
