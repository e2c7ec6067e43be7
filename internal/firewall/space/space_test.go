package space

import (
	"math/rand/v2"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// The tests' space is small enough to try every point.
var small = Space{4, 5, 3}

func everyPoint(fn func(Point)) {
	for a := range small[0] {
		for b := range small[1] {
			for c := range small[2] {
				fn(Point{a, b, c})
			}
		}
	}
}

func drawSpans(t *rapid.T, size uint32) Spans {
	var s Spans
	for range rapid.IntRange(1, 2).Draw(t, "spans") {
		lo := rapid.Uint32Range(0, size-1).Draw(t, "lo")
		s = append(s, Span{lo, rapid.Uint32Range(lo, size-1).Draw(t, "hi")})
	}
	return Join(s)
}

func drawBox(t *rapid.T) Box {
	b := Box{}
	for axis, size := range small {
		if rapid.IntRange(0, 2).Draw(t, "axis") == 0 {
			continue
		}
		b, _ = small.Limit(b, int32(axis), drawSpans(t, size))
	}
	return b
}

func drawBoxes(t *rapid.T, most int) (out []Box) {
	for range rapid.IntRange(0, most).Draw(t, "boxes") {
		out = append(out, drawBox(t))
	}
	return out
}

func holds(region []Box, p Point) (n int) {
	for _, b := range region {
		if b.Has(p) {
			n++
		}
	}
	return n
}

// Every operation on boxes does to each point what its name says.
func TestBoxesAgreeWithPoints(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, b := drawBox(t), drawBox(t)
		and, meets := a.And(b)
		minus := small.Minus(a, b)
		within, common := true, false
		everyPoint(func(p Point) {
			ina, inb := a.Has(p), b.Has(p)
			common = common || ina && inb
			within = within && (!ina || inb)
			if (meets && and.Has(p)) != (ina && inb) {
				t.Fatalf("%v and %v at %v", a, b, p)
			}
			if n := holds(minus, p); n > 1 || (n == 1) != (ina && !inb) {
				t.Fatalf("%v without %v holds %v %d times", a, b, p, n)
			}
		})
		if meets != common || a.Meets(b) != common || a.Within(b) != within {
			t.Fatalf("%v and %v: meets %v %v, within %v, points say %v, %v", a, b, meets, a.Meets(b), a.Within(b), common, within)
		}
	})
}

func TestSpansAgreeWithClasses(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		const size = 40
		draw := func() Spans {
			var s Spans
			for range rapid.IntRange(0, 12).Draw(t, "spans") {
				lo := rapid.Uint32Range(0, size-1).Draw(t, "lo")
				s = append(s, Span{lo, min(lo+rapid.Uint32Range(0, 3).Draw(t, "more"), size-1)})
			}
			return Join(s)
		}
		a, b := draw(), draw()
		both, rest := a.And(b), a.Minus(b)
		within, n, common := true, uint64(0), uint64(0)
		for c := range uint32(size) {
			ina, inb := a.Has(c), b.Has(c)
			if both.Has(c) != (ina && inb) || rest.Has(c) != (ina && !inb) {
				t.Fatalf("%v, %v at %d: %v, %v", a, b, c, both, rest)
			}
			if ina {
				if a.nth(n) != c {
					t.Fatalf("the %dth of %v is %d, not %d", n, a, c, a.nth(n))
				}
				n++
				within = within && inb
			}
			if ina && inb {
				common++
			}
		}
		if a.Within(b) != within || a.Count() != n || a.common(b) != common || a.Meets(b) != (common > 0) {
			t.Fatalf("%v, %v: within %v, count %d, common %d", a, b, a.Within(b), a.Count(), a.common(b))
		}
	})
}

// Rest is what no box takes, disjoint, and the boxes that it says it used are
// enough.
func TestRestAgreesWithPoints(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		b, taken := drawBox(t), drawBoxes(t, 6)
		needed := map[int]bool{}
		var rest []Box
		if !small.Rest(b, taken, &Budget{Left: 1e6}, func(i int) { needed[i] = true }, func(r Box) bool { rest = append(rest, r); return true }) {
			t.Fatal("did not come to an end")
		}
		var enough []Box
		for i := range taken {
			if needed[i] {
				enough = append(enough, taken[i])
			}
		}
		everyPoint(func(p Point) {
			want := b.Has(p) && holds(taken, p) == 0
			if n := holds(rest, p); n > 1 || (n == 1) != want {
				t.Fatalf("%v without %v holds %v %d times", b, taken, p, n)
			}
			if want != (b.Has(p) && holds(enough, p) == 0) {
				t.Fatalf("%v of %v are not enough for %v at %v", needed, taken, b, p)
			}
		})
		merged := small.Merge(rest)
		everyPoint(func(p Point) {
			if (holds(merged, p) > 0) != (holds(rest, p) > 0) {
				t.Fatalf("merged %v to %v", rest, merged)
			}
		})
	})
}

// A budget that runs out is said, whatever was found.
func TestRestSaysWhenUnfinished(t *testing.T) {
	taken := []Box{{{0, One(1)}, {1, One(2)}}, {{1, One(1)}, {2, One(1)}}}
	budget := &Budget{Left: 1}
	if small.Rest(Box{}, taken, budget, nil, func(Box) bool { return true }) || !budget.Out {
		t.Error("one step was enough")
	}
}

func firstOf(boxes []Box, p Point) int {
	for i, b := range boxes {
		if b.Has(p) {
			return i
		}
	}
	return -1
}

func drawList(t *rapid.T, keys map[string]int32) List {
	l := List{Boxes: append(drawBoxes(t, 6), Box{})}
	for _, b := range l.Boxes {
		l.add(b, rapid.Int32Range(0, 2).Draw(t, "effect"), keys)
	}
	return l
}

func (l *List) add(b Box, effect int32, keys map[string]int32) {
	l.Effect = append(l.Effect, effect)
	name := string(rune('0'+effect)) + sprint(b)
	if _, ok := keys[name]; !ok {
		keys[name] = int32(len(keys))
	}
	l.Key = append(l.Key, keys[name])
}

func sprint(b Box) string {
	s := ""
	for _, d := range b {
		s += string(rune('a' + d.Axis))
		for _, v := range d.Set {
			s += string(rune('0'+v.Lo)) + "-" + string(rune('0'+v.Hi))
		}
	}
	return s
}

// Differ finds every point on which two lists differ, once, and no other;
// also when the second list is the first with a change.
func TestDifferAgreesWithPoints(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		keys := map[string]int32{}
		x, y := drawList(t, keys), List{}
		if rapid.Bool().Draw(t, "related") {
			y = changed(t, x, keys)
		} else {
			y = drawList(t, keys)
		}
		var region []Box
		if !small.Differ(Box{}, x, y, &Budget{Left: 1e7}, func(b Box) bool { region = append(region, b); return true }) {
			t.Fatal("did not come to an end")
		}
		everyPoint(func(p Point) {
			want := x.Effect[firstOf(x.Boxes, p)] != y.Effect[firstOf(y.Boxes, p)]
			if n := holds(region, p); n > 1 || (n == 1) != want {
				t.Fatalf("%v and %v differ at %v: %v, held %d times", x, y, p, want, n)
			}
		})
	})
}

// changed leaves out, moves or adds an entry.
func changed(t *rapid.T, x List, keys map[string]int32) (y List) {
	boxes, effects := append([]Box(nil), x.Boxes...), append([]int32(nil), x.Effect...)
	i, j := rapid.IntRange(0, len(boxes)-1).Draw(t, "i"), rapid.IntRange(0, len(boxes)-1).Draw(t, "j")
	switch n := len(boxes) - 1; rapid.IntRange(0, 2).Draw(t, "change") {
	case 0:
		if i < n && j < n {
			boxes[i], boxes[j], effects[i], effects[j] = boxes[j], boxes[i], effects[j], effects[i]
		}
	case 1:
		if i < n {
			boxes, effects = append(boxes[:i], boxes[i+1:]...), append(effects[:i], effects[i+1:]...)
		}
	default:
		boxes = append(boxes[:i], append([]Box{drawBox(t)}, boxes[i:]...)...)
		effects = append(effects[:i], append([]int32{1}, effects[i:]...)...)
	}
	y.Boxes = boxes
	for k, b := range boxes {
		y.add(b, effects[k], keys)
	}
	return y
}

// bigSpace has the axes of a 5-tuple.
var bigSpace = Space{256, 4000, 4000, 1000, 1000}

func randomBox(r *rand.Rand) Box {
	b := Box{}
	for axis, size := range bigSpace {
		if r.IntN(3) == 0 {
			continue
		}
		width := size >> r.IntN(12)
		lo := r.Uint32N(size - min(width, size-1))
		b, _ = bigSpace.Limit(b, int32(axis), Spans{{lo, min(lo+width, size-1)}})
	}
	return b
}

// The index gives what looking at every box gives.
func TestIndexAgreesWithAPlainLook(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 20 {
		boxes := make([]Box, 10+r.IntN(1500))
		for i := range boxes {
			boxes[i] = randomBox(r)
		}
		x := NewIndex(bigSpace, boxes)
		p := make(Point, len(bigSpace))
		for range 300 {
			bigSpace.Sample(p, Box{}, r.Uint64())
			from := r.IntN(len(boxes))
			want := None
			for i := from; i < len(boxes); i++ {
				if boxes[i].Has(p) {
					want = i
					break
				}
			}
			if got := x.First(p, from); got != want {
				t.Fatalf("first of %d from %d: %d, not %d", len(boxes), from, got, want)
			}
			b := randomBox(r)
			want = None
			for i := from; i < len(boxes); i++ {
				if boxes[i].Meets(b) {
					want = i
					break
				}
			}
			if got := x.Meeting(b, from); got != want {
				t.Fatalf("meeting of %d from %d: %d, not %d", len(boxes), from, got, want)
			}
			var all []int
			for i := range boxes {
				if boxes[i].Meets(b) {
					all = append(all, i)
				}
			}
			if got := x.AllMeeting(b); !slices.Equal(got, all) {
				t.Fatalf("all meeting of %d: %v, not %v", len(boxes), got, all)
			}
		}
	}
}

func TestSampleIsInTheBox(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		b, p := drawBox(t), make(Point, len(small))
		small.Sample(p, b, rapid.Uint64().Draw(t, "seed"))
		if !b.Has(p) || !b.Has(small.Corner(b)) {
			t.Fatalf("%v is not in %v", p, b)
		}
	})
}

func BenchmarkIndex(b *testing.B) {
	r := rand.New(rand.NewPCG(1, 2))
	boxes := make([]Box, 10000)
	for i := range boxes {
		boxes[i] = randomBox(r)
	}
	x := NewIndex(bigSpace, boxes)
	p := make(Point, len(bigSpace))
	for b.Loop() {
		bigSpace.Sample(p, Box{}, r.Uint64())
		x.First(p, 0)
	}
}
