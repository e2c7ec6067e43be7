package logview

import (
	"cmp"
	"maps"
	"slices"
	"time"
)

// bucket is what happened in a span of time.
type bucket struct{ events, permit, deny uint64 }

// times are buckets of one width, at most limit that are not empty. When
// there are more, the width goes up to the next: which width that is depends
// on what was seen, not on its order.
type times struct {
	limit   int
	chosen  bool // the width was
	width   int64
	buckets map[int64]*bucket
	lastKey int64
	last    *bucket
}

// ladder are the widths of buckets, each a multiple of the one before, so
// that buckets of one fall into buckets of the next.
var ladder = []time.Duration{
	time.Second, 5 * time.Second, 15 * time.Second,
	time.Minute, 5 * time.Minute, 15 * time.Minute,
	time.Hour, 6 * time.Hour, 24 * time.Hour, 7 * 24 * time.Hour,
}

// shownBuckets is how many an unchosen width gives at most.
const shownBuckets = 120

func newTimes(width time.Duration, limit int) *times {
	t := &times{limit: limit, width: int64(width), chosen: width > 0, buckets: map[int64]*bucket{}}
	if !t.chosen {
		t.width = int64(ladder[0])
	}
	return t
}

// wider is the width after w.
func (t *times) wider(w int64) int64 {
	if !t.chosen {
		for _, next := range ladder {
			if int64(next) > w {
				return int64(next)
			}
		}
	}
	return min(w*2, 1<<61)
}

func floorDiv(a, b int64) int64 {
	q := a / b
	if a%b < 0 {
		q--
	}
	return q
}

func (t *times) add(s *sight) {
	key := floorDiv(s.time, t.width)
	if t.last == nil || key != t.lastKey {
		t.lastKey, t.last = key, t.at(key)
		if len(t.buckets) > t.limit {
			t.widen(t.limit)
			t.lastKey = floorDiv(s.time, t.width)
			t.last = t.at(t.lastKey)
		}
	}
	t.last.events++
	switch s.action {
	case permitted:
		t.last.permit++
	case denied:
		t.last.deny++
	}
}

func (t *times) at(key int64) *bucket {
	b := t.buckets[key]
	if b == nil {
		b = new(bucket)
		t.buckets[key] = b
	}
	return b
}

// widen goes up until at most limit buckets are left.
func (t *times) widen(limit int) {
	for len(t.buckets) > max(limit, 2) {
		t.to(t.wider(t.width))
	}
}

// to makes the width a multiple of what it was.
func (t *times) to(width int64) {
	old, factor := t.buckets, width/t.width
	t.width, t.buckets, t.last = width, map[int64]*bucket{}, nil
	for key, b := range old {
		t.at(floorDiv(key, factor)).merge(b)
	}
}

func (b *bucket) merge(o *bucket) {
	b.events += o.events
	b.permit += o.permit
	b.deny += o.deny
}

func (t *times) clone() *times {
	c := *t
	c.last, c.buckets = nil, make(map[int64]*bucket, len(t.buckets))
	for key, b := range t.buckets {
		copied := *b
		c.buckets[key] = &copied
	}
	return &c
}

func (t *times) merge(o *times) {
	o = o.clone()
	for t.width < o.width {
		t.to(t.wider(t.width))
	}
	for o.width < t.width {
		o.to(o.wider(o.width))
	}
	for key, b := range o.buckets {
		t.at(key).merge(b)
	}
	t.widen(t.limit)
}

// Gap is a span in which no event was logged.
type Gap struct{ From, To time.Time }

// maxGaps is how many gaps are told, the longest.
const maxGaps = 10

// gaps are the spans without events that are longer than usual: at least five
// empty buckets, and twenty times the usual distance between two events'
// buckets.
func (t *times) gaps() []Gap {
	keys := slices.Sorted(maps.Keys(t.buckets))
	if len(keys) < 3 {
		return nil
	}
	steps := make([]int64, len(keys)-1)
	for i := range steps {
		steps[i] = keys[i+1] - keys[i]
	}
	least := max(5, 20*slices.Sorted(slices.Values(steps))[len(steps)/2])
	var out []Gap
	for i, step := range steps {
		if step > least {
			out = append(out, Gap{From: t.start(keys[i] + 1), To: t.start(keys[i+1])})
		}
	}
	slices.SortStableFunc(out, func(a, b Gap) int { return cmp.Compare(b.To.Sub(b.From), a.To.Sub(a.From)) })
	out = out[:min(len(out), maxGaps)]
	slices.SortFunc(out, func(a, b Gap) int { return a.From.Compare(b.From) })
	return out
}

func (t *times) start(key int64) time.Time { return time.Unix(0, key*t.width).UTC() }

// result gives the buckets that are not empty, and their width.
func (t *times) result() (width time.Duration, out []Bucket) {
	c := t.clone()
	if !c.chosen {
		c.widen(min(shownBuckets, c.limit))
	}
	for _, key := range slices.Sorted(maps.Keys(c.buckets)) {
		b := c.buckets[key]
		out = append(out, Bucket{Start: c.start(key), Events: b.events, Permit: b.permit, Deny: b.deny})
	}
	return time.Duration(c.width), out
}
