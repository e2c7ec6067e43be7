package logview

import (
	"cmp"
	"maps"
	"math"
	"slices"
	"strings"
)

// rates count events per rule and minute, to see whether a rule's log is
// capped. They are a sample: cells whose hash is at most top, with top halved
// whenever there are too many. What is in a cell is exact: a cell that is
// within the last top was within every one before.
//
// Without ByTime only lines of which the product says that it caps them
// (fwlog.Event.Capped) are counted.
type rates struct {
	top   uint64
	cells map[cell]uint32
	rules map[uint64]*rated
	// The cell that was last counted in and its rule: what is not in cells
	// yet. It only saves work.
	last    cell
	rule    *rated
	pending uint32
}

type cell struct {
	rule   uint64
	minute int64
}

// rated is a rule whose minutes are counted: its name and the lowest and
// highest of its sources' hashes, which differ when it has several.
type rated struct {
	text      string
	low, high uint64
}

const (
	maxCells      = 1 << 13
	maxRatedRules = 1 << 9
)

func newRates() *rates {
	return &rates{top: math.MaxUint64, cells: map[cell]uint32{}, rules: map[uint64]*rated{}}
}

const minuteNanos = 60e9

func (r *rates) add(s *sight) {
	c := cell{s.ruleHash, floorDiv(s.time, minuteNanos)}
	if r.pending > 0 && c == r.last {
		r.pending++
		r.rule.meet(s.srcHash)
		return
	}
	r.flush()
	k := r.name(s.ruleHash, s)
	if k == nil || c.hash() > r.top {
		return
	}
	r.last, r.rule, r.pending = c, k, 1
}

// flush counts what is pending.
func (r *rates) flush() {
	if r.pending > 0 {
		r.cells[r.last] += r.pending
		r.pending = 0
		r.trim()
	}
}

func (c cell) hash() uint64 { return mix(c.rule, uint64(c.minute)) }

// name gives what is kept of the rule; nil if there are too many.
func (r *rates) name(rule uint64, s *sight) *rated {
	k := r.rules[rule]
	if k == nil {
		if len(r.rules) >= maxRatedRules {
			return nil
		}
		k = &rated{text: string(s.rule), low: s.srcHash, high: s.srcHash}
		r.rules[rule] = k
	}
	k.meet(s.srcHash)
	return k
}

func (k *rated) meet(src uint64) { k.low, k.high = min(k.low, src), max(k.high, src) }

func (r *rates) trim() {
	for len(r.cells) > maxCells {
		r.top /= 2
		maps.DeleteFunc(r.cells, func(c cell, _ uint32) bool { return c.hash() > r.top })
	}
}

func (r *rates) merge(o *rates) {
	r.flush()
	r.top = min(r.top, o.top)
	maps.DeleteFunc(r.cells, func(c cell, _ uint32) bool { return c.hash() > r.top })
	for c, n := range o.cells {
		if c.hash() <= r.top {
			r.cells[c] += n
		}
	}
	if o.pending > 0 && o.last.hash() <= r.top { // o is not changed
		r.cells[o.last] += o.pending
	}
	r.trim()
	for rule, k := range o.rules {
		mine := r.rules[rule]
		if mine == nil && len(r.rules) < maxRatedRules {
			copied := *k
			r.rules[rule] = &copied
		} else if mine != nil {
			mine.low, mine.high = min(mine.low, k.low), max(mine.high, k.high)
		}
	}
}

// Rate is a rule whose log is capped: what it holds is a sample.
type Rate struct {
	Rule string
	// PerMinute is the cap. Minutes is in how many it was reached, About that
	// this is extrapolated from some minutes.
	PerMinute uint32
	Minutes   uint64
	About     bool
	// Known: the product's documentation tells of the cap (ufw: 3 a minute
	// with a burst of 10, in its log levels low to high). Else the counts
	// only look like it: they pile up at one number that they hardly exceed.
	Known bool
}

// result gives the capped rules in the order of their names.
func (r *rates) result() []Rate {
	r.flush()
	counts := map[uint64][]uint32{}
	for c, n := range r.cells {
		counts[c.rule] = append(counts[c.rule], n)
	}
	var out []Rate
	for rule, k := range r.rules {
		rate, ok := k.judge(counts[rule])
		if !ok {
			continue
		}
		rate.About = r.top != math.MaxUint64
		rate.Minutes = uint64(float64(rate.Minutes) * (math.MaxUint64 / float64(r.top)))
		out = append(out, rate)
	}
	slices.SortFunc(out, func(a, b Rate) int { return cmp.Compare(a.Rule, b.Rule) })
	return out
}

func (k *rated) judge(minutes []uint32) (Rate, bool) {
	slices.Sort(minutes)
	if strings.Contains(k.text, "[UFW ") {
		return k.ufw(minutes)
	}
	if k.low == k.high { // one sender's own beat looks the same
		return Rate{}, false
	}
	c, at := pile(minutes)
	return Rate{Rule: k.text, PerMinute: c, Minutes: uint64(at)}, c > 0
}

// ufw's cap was there unless a minute exceeds burst and rate together.
func (k *rated) ufw(minutes []uint32) (Rate, bool) {
	const perMinute, burst = 3, 10
	at, _ := slices.BinarySearch(minutes, perMinute)
	n := len(minutes) - at
	if n == 0 || minutes[len(minutes)-1] > burst+perMinute {
		return Rate{}, false
	}
	return Rate{Rule: k.text, PerMinute: perMinute, Minutes: uint64(n), Known: true}, true
}

// Where minutes pile up: at least so many at the cap, not more than a tenth of
// them above it (bursts), and at least twice as many at it as just below. Of
// arrivals without a cap, fewer are at any high number than just below it.
const (
	leastPile  = 8
	fewAbove   = 10
	pileFactor = 2
)

// pile finds the cap and how many of the sorted minutes are at it; 0 none.
// From 10 a minute on the cap's neighbours count as the cap: a token bucket
// and the minute's edge do not fall together.
func pile(minutes []uint32) (c uint32, at int) {
	for i := len(minutes); i > 0; {
		n := minutes[i-1]
		if n < 2 || len(minutes)-i > len(minutes)/fewAbove {
			return 0, 0
		}
		slack := uint32(0)
		if n >= 10 {
			slack = 1
		}
		lo, _ := slices.BinarySearch(minutes, n-2*slack)
		below, _ := slices.BinarySearch(minutes, n-2*slack-(2*slack+1))
		if got := i - lo; got >= leastPile && got >= pileFactor*(lo-below) && (len(minutes)-i)*fewAbove <= got {
			return most(minutes[lo:i]), got
		}
		i, _ = slices.BinarySearch(minutes, n)
	}
	return 0, 0
}

// most is the most frequent of sorted numbers.
func most(sorted []uint32) (c uint32) {
	best := 0
	for i := 0; i < len(sorted); {
		end, _ := slices.BinarySearch(sorted, sorted[i]+1)
		if end-i > best {
			best, c = end-i, sorted[i]
		}
		i = end
	}
	return c
}
