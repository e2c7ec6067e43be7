package logview

import (
	"math"
	"testing"
)

// A million sources that nobody sees twice, on all ports, do not blur what
// few things the busy ports saw.
func TestSmallCountsAmongRandomSources(t *testing.T) {
	const busy, most = 3000, 64
	v := New(Options{Views: ByPort})
	x := uint64(1)
	for i := range uint32(1_000_000) {
		x = mix(x, 7)
		e := event(0x20000000+uint32(x), 0x0a000000+uint32(x>>40%8), busy+uint16(x>>45)%(65535-busy))
		v.Add(&e)
		port := i % busy
		few := port%most + 1
		e = event(0x0b000000+i/busy%few, 0x0a000000+i/busy%few, uint16(port))
		v.Add(&e)
	}
	r := v.Result()
	off := 0.0
	for _, p := range r.Ports {
		if p.Port >= busy {
			continue
		}
		want := uint64(p.Port)%most + 1
		off = max(off, within(t, p, "sources", p.Sources, want, 0.1), within(t, p, "targets", p.Targets, want, 0.1))
	}
	t.Logf("off by at most %.3f", off)
}

// within tells by what part of it got is not want.
func within(t *testing.T, p Port, what string, got Count, want uint64, most float64) float64 {
	off := math.Abs(float64(got.N)-float64(want)) / float64(want)
	if off > most {
		t.Errorf("port %d: %+v %s, were %d", p.Port, got, what, want)
	}
	return off
}

// How far estimates are off, on the average of many sets, at every width and
// from a few things to very many: HyperLogLog's 1.04/sqrt(width), and its bias of
// about 1.1/width where registers are few.
func TestEstimates(t *testing.T) {
	for width := narrowest; width <= widest; width *= 2 {
		const sets = 200
		for _, n := range []int{10, 100, 1000, 5000} {
			s, sum, squares := newSketches(width), 0.0, 0.0
			for r := range sets {
				var one set
				for i := range n {
					s.add(&one, short(mix(mix(uint64(r*1_000_000+i), 11), 12)))
				}
				off := float64(s.count(&one).N)/float64(n) - 1
				sum, squares = sum+off, squares+off*off
			}
			bias, deviation := sum/sets, math.Sqrt(squares/sets)
			bound := 1.04 / math.Sqrt(float64(width))
			if math.Abs(bias) > 5*bound/math.Sqrt(sets)+1.1/float64(width)+0.5/float64(n) || deviation > 1.6*bound {
				t.Errorf("width %d, %d things: bias %.4f, deviation %.4f, expected %.4f", width, n, bias, deviation, bound)
			}
		}
	}
}

// Narrowing gives what would be had it been so narrow from the beginning, and
// the bytes never get less when more is added.
func TestNarrow(t *testing.T) {
	for n := range 700 {
		n += n * n / 90
		wide := newSketches(widest)
		sets := make([]set, 1)
		for i := range n {
			used := wide.used
			if wide.add(&sets[0], short(mix(mix(uint64(i), 3), 4))); wide.used < used {
				t.Fatalf("%d things take %d bytes, %d fewer", i+1, wide.used, used-wide.used)
			}
		}
		for wide.width > narrowest {
			wide = wide.narrow(sets)
			direct, one := newSketches(wide.width), set{}
			for i := range n {
				direct.add(&one, short(mix(mix(uint64(i), 3), 4)))
			}
			if a, b := wide.count(&sets[0]), direct.count(&one); a != b || wide.used != direct.used {
				t.Fatalf("%d things, width %d: %v in %d bytes, directly %v in %d", n, wide.width, a, wide.used, b, direct.used)
			}
		}
	}
}
