package target

import (
	"errors"
	"fmt"
	"net/netip"
	"runtime"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// bases are where the twins' ranges begin: close together, so that they
// overlap and touch, at the edges of the address space, in several zones.
var bases = []netip.Addr{
	netip.MustParseAddr("10.0.0.250"), netip.MustParseAddr("10.0.1.0"), netip.MustParseAddr("255.255.255.250"),
	netip.MustParseAddr("0.0.0.0"), netip.MustParseAddr("::"), netip.MustParseAddr("2001:db8::ffff:ffff:ffff:fff8"),
	netip.MustParseAddr("fe80::1"), netip.MustParseAddr("fe80::1%a"), netip.MustParseAddr("fe80::3%a"),
	netip.MustParseAddr("fe80::1%b"), netip.MustParseAddr("ffff:ffff:ffff:ffff:ffff:ffff:ffff:fff0"),
}

// rangeGen makes a small range; at most 5 addresses, never past the end.
func rangeGen() *rapid.Generator[Range] {
	return rapid.Custom(func(t *rapid.T) Range {
		first := rapid.SampledFrom(bases).Draw(t, "base")
		for range rapid.IntRange(0, 5).Draw(t, "skip") {
			first = first.Next()
		}
		last := first
		for range rapid.IntRange(0, 5).Draw(t, "more") {
			if next := last.Next(); next.IsValid() {
				last = next
			}
		}
		return Range{first, last}
	})
}

// naive is the twin of a set: every address in a map.
type naive map[netip.Addr]bool

func (n naive) add(rs ...Range) {
	for _, r := range rs {
		for a := r.First; ; a = a.Next() {
			n[a] = true
			if a == r.Last {
				break
			}
		}
	}
}

func (n naive) remove(rs ...Range) {
	for _, r := range rs {
		for a := range n {
			plain := a.WithZone("")
			sameZone := r.First.Zone() == "" || r.First.Zone() == a.Zone()
			if a.Is4() == r.First.Is4() && sameZone && !plain.Less(r.First.WithZone("")) && !r.Last.WithZone("").Less(plain) {
				delete(n, a)
			}
		}
	}
}

// checkTwin compares everything that a set tells with its twin.
func checkTwin(t interface{ Fatalf(string, ...any) }, s *Set, want naive) {
	if s.Len() != uint64(len(want)) {
		t.Fatalf("Len %d, want %d", s.Len(), len(want))
	}
	var last netip.Addr
	for i := range s.Len() {
		a := s.At(i)
		if !want[a] || i > 0 && order(last, a) >= 0 {
			t.Fatalf("At(%d) = %s after %s", i, a, last)
		}
		if k, ok := s.Index(a); !ok || k != i {
			t.Fatalf("Index(%s) = %d, %v; want %d", a, k, ok, i)
		}
		last = a
	}
	var before Range
	for r := range s.Ranges() {
		if before.First.IsValid() && (order(before.Last, r.First) >= 0 || before.Last.Next() == r.First) {
			t.Fatalf("ranges %s and %s are not disjoint, in order and apart", before, r)
		}
		before = r
	}
}

func TestSetAgainstANaiveTwin(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		rs := rapid.SliceOfN(rangeGen(), 0, 12).Draw(t, "ranges")
		given := slices.Clone(rs)
		s, err := NewSet(rs...)
		if err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(rs, given) {
			t.Fatal("the caller's slice was changed")
		}
		want := naive{}
		want.add(rs...)
		checkTwin(t, s, want)
		holes := rapid.SliceOfN(rangeGen(), 0, 12).Draw(t, "holes")
		rest, err := s.Without(holes...)
		if err != nil {
			t.Fatal(err)
		}
		for _, h := range append(holes, rs...) {
			_, in := want[h.First]
			if s.Contains(h.First) != in {
				t.Fatalf("Contains(%s) = %v", h.First, !in)
			}
		}
		checkTwin(t, s, want)
		want.remove(holes...)
		checkTwin(t, rest, want)
	})
}

func TestSetIsOrderedByFamilyAndZone(t *testing.T) {
	s, err := NewSet(Single(netip.MustParseAddr("fe80::1%b")), Single(netip.MustParseAddr("fe80::2%a")),
		Single(netip.MustParseAddr("::1")), Single(netip.MustParseAddr("10.0.0.1")), Single(netip.MustParseAddr("::ffff:10.0.0.2")))
	if err != nil {
		t.Fatal(err)
	}
	if got := fmt.Sprint(slices.Collect(s.Ranges())); got != "[10.0.0.1-10.0.0.2 ::1 fe80::2%a fe80::1%b]" {
		t.Error(got)
	}
	if !s.Contains(netip.MustParseAddr("::ffff:10.0.0.1")) || s.Contains(netip.MustParseAddr("fe80::1")) || s.Contains(netip.Addr{}) {
		t.Error("mapped, zoneless or invalid address judged wrong")
	}
}

func TestSetRefusesWhatIsNoRange(t *testing.T) {
	for _, r := range []Range{
		{netip.MustParseAddr("10.0.0.2"), netip.MustParseAddr("10.0.0.1")},
		{netip.MustParseAddr("10.0.0.1"), netip.MustParseAddr("::1")},
		{netip.MustParseAddr("fe80::1%a"), netip.MustParseAddr("fe80::2%b")},
		{},
	} {
		if _, err := NewSet(r); !errors.Is(err, ErrBadRange) {
			t.Errorf("%s: %v", r, err)
		}
	}
	for _, p := range []string{"::/0", "2001:db8::/64", "2001:db8::/88"} {
		if _, err := NewSet(PrefixRange(netip.MustParsePrefix(p))); !errors.Is(err, ErrTooMany) {
			t.Errorf("%s: %v", p, err)
		}
	}
}

func TestSetHoldsAllOfIPv4(t *testing.T) {
	s, err := NewSet(PrefixRange(netip.MustParsePrefix("0.0.0.0/0")))
	if err != nil || s.Len() != 1<<32 {
		t.Fatal(s.Len(), err)
	}
	if a := s.At(1<<32 - 1); a.String() != "255.255.255.255" {
		t.Error(a)
	}
	if i, ok := s.Index(netip.MustParseAddr("10.0.0.1")); !ok || s.At(i).String() != "10.0.0.1" {
		t.Error(i, ok)
	}
}

func TestRangeLen(t *testing.T) {
	for p, want := range map[string]uint64{
		"10.0.0.0/8": 1 << 24, "::/64": 0xffffffffffffffff, "::/65": 1 << 63, "2001:db8::/32": 0xffffffffffffffff, "::1/128": 1,
	} {
		if got := PrefixRange(netip.MustParsePrefix(p)).Len(); got != want {
			t.Errorf("%s: %d, want %d", p, got, want)
		}
	}
}

// A set costs by its ranges, not by its addresses.
func TestSetOfASlashEightWithThousandsOfExclusionsIsSmall(t *testing.T) {
	var req Request
	req.Specs = []string{"10.0.0.0/8"}
	for i := range 5000 {
		req.Exclude = append(req.Exclude, fmt.Sprintf("10.%d.%d.%d", i%250, i/250, 1+i%200))
	}
	before := liveHeap()
	got, err := Parse(t.Context(), req, nil)
	after := liveHeap()
	if err != nil || got.Excluded != 5000 || got.Set.Len() != 1<<24-5000 {
		t.Fatal(got.Excluded, err)
	}
	cost := int64(after) - int64(before)
	t.Logf("%d addresses in %d ranges cost %d bytes", got.Set.Len(), len(got.Set.ranges), cost)
	if cost > 1<<20 {
		t.Errorf("the set costs %d bytes, want at most 1 MiB", cost)
	}
	runtime.KeepAlive(got)
	runtime.KeepAlive(&req)
}

func liveHeap() uint64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

func TestAtAndIndexDoNotAllocate(t *testing.T) {
	got, err := Parse(t.Context(), Request{Specs: []string{"10.0.*.1-7", "2001:db8::/112"}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	s, i := got.Set, uint64(0)
	n := testing.AllocsPerRun(1000, func() {
		i = (i + 997) % s.Len()
		if k, ok := s.Index(s.At(i)); !ok || k != i {
			t.Fatal("At and Index are not inverse")
		}
	})
	if n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestAtBeyondTheEndPanics(t *testing.T) {
	s, _ := NewSet(Single(netip.MustParseAddr("10.0.0.1")))
	defer func() {
		if r := recover(); r == nil || !strings.Contains(fmt.Sprint(r), "address 1 of a set of 1") {
			t.Errorf("recovered %v", r)
		}
	}()
	s.At(1)
}

func BenchmarkAt(b *testing.B) {
	got, err := Parse(b.Context(), Request{Specs: []string{"10.0.*.1-7"}}, nil)
	if err != nil {
		b.Fatal(err)
	}
	for i := range uint64(b.N) {
		got.Set.At(i % got.Set.Len())
	}
}
