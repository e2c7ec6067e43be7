package learn

import (
	"cmp"
	"slices"
)

// places is a set of known hosts: runs of their places in the order of
// addresses, sorted, with gaps between. What rules are made of are segments and
// a few hosts, so runs are few however many hosts there are.
type places []run

// run holds the places from lo up to, not including, hi.
type run struct{ lo, hi uint32 }

// placesOf is the set of hosts that are known of the list; ids are in the order
// of their addresses.
func (e *evidence) placesOf(ids []uint32) (out places) {
	for _, id := range ids {
		if i := e.place[id]; i != nowhereKnown {
			out = out.and(run{i, i + 1})
		}
	}
	return out
}

// and adds a run that begins no earlier than the last one.
func (p places) and(r run) places {
	if n := len(p); n > 0 && r.lo <= p[n-1].hi {
		p[n-1].hi = max(p[n-1].hi, r.hi)
		return p
	}
	return append(p, r)
}

// union of several sets.
func union(list ...places) (out places) {
	all := slices.Concat(list...)
	slices.SortFunc(all, func(a, b run) int { return cmp.Compare(a.lo, b.lo) })
	for _, r := range all {
		out = out.and(r)
	}
	return out
}

// weights are how much known hosts count when what a rule opens is measured.
// Half of it is the same for all hosts, half for all segments: one of two
// domain controllers is more than one of two hundred workstations. All weights
// together are the number of hosts.
//
// It has the sum of the weights before each place, and all of them.
type weights []float64

// minWeight is of an end without any known host.
const minWeight = 0.5

func (e *evidence) weigh() {
	n := len(e.known)
	w := make(weights, n+1)
	for i, id := range e.known {
		seg := e.seg.list[e.seg.of[id]]
		w[i+1] = w[i] + 0.5 + 0.5*float64(n)/float64(len(e.seg.list)*len(seg.hosts))
	}
	e.weights = w
}

func (w weights) run(r run) float64 { return w[r.hi] - w[r.lo] }

func (w weights) of(p places) (sum float64) {
	for _, r := range p {
		sum += w.run(r)
	}
	return sum
}

// either is the weight of the hosts that are in a or b.
func (w weights) either(a, b places) (sum float64) {
	var last run
	for len(a) > 0 || len(b) > 0 {
		var next run
		if len(b) == 0 || len(a) > 0 && a[0].lo <= b[0].lo {
			next, a = a[0], a[1:]
		} else {
			next, b = b[0], b[1:]
		}
		if next.lo = max(next.lo, last.hi); next.lo < next.hi {
			sum += w.run(next)
			last = next
		}
	}
	return sum
}
