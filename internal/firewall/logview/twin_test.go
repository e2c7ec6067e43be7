package logview

import (
	"cmp"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp/cmpopts"

	gocmp "github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/portreeve/portreeve/internal/firewall/fwlog"
)

// twin counts with maps and no limits.
type twin struct{ events []fwlog.Event }

func (w *twin) add(e *fwlog.Event) {
	if e.Src.IsValid() && e.Dst.IsValid() && !e.Ends {
		w.events = append(w.events, *e)
	}
}

// group makes the groups of the events by key, most events first.
func group[K comparable](events []fwlog.Event, key func(*fwlog.Event) K, compare func(a, b K) int) (keys []K, groups map[K][]fwlog.Event) {
	groups = map[K][]fwlog.Event{}
	for _, e := range events {
		k := key(&e)
		if groups[k] == nil {
			keys = append(keys, k)
		}
		groups[k] = append(groups[k], e)
	}
	slices.SortFunc(keys, func(a, b K) int {
		return cmp.Or(cmp.Compare(len(groups[b]), len(groups[a])), compare(a, b))
	})
	return keys, groups
}

func sumsOf(events []fwlog.Event) Sums {
	var s Sums
	for _, e := range events {
		s.Events++
		switch e.Action {
		case fwlog.Permit:
			s.Permit++
		case fwlog.Deny:
			s.Deny++
		}
		if e.Time == 0 {
			continue
		}
		at := time.Unix(0, e.Time).UTC()
		if s.First.IsZero() || at.Before(s.First) {
			s.First = at
		}
		if s.Last.IsZero() || at.After(s.Last) {
			s.Last = at
		}
	}
	return s
}

func distinctOf[K comparable](events []fwlog.Event, key func(*fwlog.Event) K) Count {
	seen := map[K]bool{}
	for _, e := range events {
		seen[key(&e)] = true
	}
	return Count{N: uint64(len(seen))}
}

func srcOf(e *fwlog.Event) netip.Addr { return e.Src.Unmap().WithZone("") }
func dstOf(e *fwlog.Event) netip.Addr { return e.Dst.Unmap().WithZone("") }

func portsOf(events []fwlog.Event) []PortRange {
	var all []int
	for _, e := range events {
		if e.HasPorts {
			all = append(all, int(e.DstPort))
		}
	}
	slices.Sort(all)
	var out []PortRange
	for _, p := range slices.Compact(all) {
		if n := len(out); n > 0 && int(out[n-1].High)+1 == p {
			out[n-1].High = uint16(p)
		} else {
			out = append(out, PortRange{uint16(p), uint16(p)})
		}
	}
	return out
}

func (w *twin) ports() []Port {
	out := []Port{}
	keys, groups := group(w.events, makePortKey, cmp.Compare[portKey])
	for _, k := range keys {
		g := groups[k]
		out = append(out, Port{Proto: k.proto(), HasProto: k.has(hasProto), Port: k.number(), HasPort: k.has(hasPort),
			Sums: sumsOf(g), Sources: distinctOf(g, srcOf), Targets: distinctOf(g, dstOf)})
	}
	return out
}

func (w *twin) pairs() []Pair {
	type key struct{ a, b [16]byte }
	out := []Pair{}
	keys, groups := group(w.events, func(e *fwlog.Event) key { return key{e.Src.As16(), e.Dst.As16()} },
		func(x, y key) int { return cmp.Or(slices.Compare(x.a[:], y.a[:]), slices.Compare(x.b[:], y.b[:])) })
	for _, k := range keys {
		g := groups[k]
		out = append(out, Pair{Src: srcOf(&g[0]), Dst: dstOf(&g[0]), Sums: sumsOf(g), Ports: portsOf(g)})
	}
	return out
}

func (w *twin) sources() []Source {
	out := []Source{}
	keys, groups := group(w.events, func(e *fwlog.Event) [16]byte { return e.Src.As16() },
		func(x, y [16]byte) int { return slices.Compare(x[:], y[:]) })
	for _, k := range keys {
		g := groups[k]
		out = append(out, Source{Src: srcOf(&g[0]), Sums: sumsOf(g), Targets: distinctOf(g, dstOf), Ports: portsOf(g)})
	}
	return out
}

func (w *twin) rules() []Rule {
	out := []Rule{}
	keys, groups := group(w.events, func(e *fwlog.Event) string { return string(e.Rule) }, strings.Compare)
	for _, k := range keys {
		g := groups[k]
		out = append(out, Rule{Rule: k, Sums: sumsOf(g), Sources: distinctOf(g, srcOf), Targets: distinctOf(g, dstOf), Ports: portsOf(g)})
	}
	return out
}

func (w *twin) times(width time.Duration) []Bucket {
	var timed []fwlog.Event
	for _, e := range w.events {
		if e.Time != 0 {
			timed = append(timed, e)
		}
	}
	var out []Bucket
	key := func(e *fwlog.Event) int64 { return floorDiv(e.Time, int64(width)) }
	keys, groups := group(timed, key, cmp.Compare[int64])
	slices.Sort(keys)
	for _, k := range keys {
		s := sumsOf(groups[k])
		out = append(out, Bucket{Start: time.Unix(0, k*int64(width)).UTC(), Events: s.Events, Permit: s.Permit, Deny: s.Deny})
	}
	return out
}

// check compares all that a twin can tell. Kinds are compared elsewhere.
func (w *twin) check(t rapid.TB, r *Result) {
	t.Helper()
	same := func(what string, got, want any, opts ...gocmp.Option) {
		opts = append(opts, cmpopts.EquateComparable(netip.Addr{}), cmpopts.EquateEmpty())
		if d := gocmp.Diff(want, got, opts...); d != "" {
			t.Fatalf("%s (-twin +view):\n%s", what, d)
		}
	}
	same("sums", r.Sums, sumsOf(w.events))
	same("all sources", r.Sources, distinctOf(w.events, srcOf))
	same("all targets", r.Targets, distinctOf(w.events, dstOf))
	same("ports", r.Ports, w.ports())
	same("pairs", r.Pairs, w.pairs())
	same("rules", r.Rules, w.rules())
	same("times", r.Times, w.times(r.Width))
	judged := cmpopts.IgnoreFields(Source{}, "Outside", "Kind", "Note", "Probes", "ProbedPorts", "ProbedTarget",
		"LowPort", "HighPort", "LowTarget", "HighTarget", "FirstProbe", "LastProbe", "PerSecond")
	same("sources", r.From, w.sources(), judged)
	for _, l := range []Left{r.PortsLeft, r.PairsLeft, r.SourcesLeft, r.RulesLeft, r.InwardLeft} {
		same("left", l, Left{})
	}
}

// drawEvent makes events of few addresses and ports, so that they meet.
func drawEvent(t *rapid.T) fwlog.Event {
	addrs := []string{"10.0.0.1", "10.0.0.2", "192.0.2.7", "198.51.100.9", "203.0.113.200", "2001:db8::1",
		"fe80::1", "224.0.0.251", "255.255.255.255", "0.0.0.0", "::ffff:192.0.2.7"}
	pick := func(name string) netip.Addr { return netip.MustParseAddr(rapid.SampledFrom(addrs).Draw(t, name)) }
	e := fwlog.Event{
		Src: pick("src"), Dst: pick("dst"),
		Time:   rapid.SampledFrom([]int64{0, 1, -5e9, 1.7e18, 1.7e18 + 30e9, 1.7e18 + 9e13}).Draw(t, "base"),
		Action: fwlog.Action(rapid.IntRange(0, 2).Draw(t, "action")),
		Rule:   []byte(rapid.SampledFrom([]string{"", "a", "[UFW BLOCK]", "deny all of it"}).Draw(t, "rule")),
		Ends:   rapid.IntRange(0, 9).Draw(t, "ends") == 0,
	}
	if e.Time != 0 {
		e.Time += int64(rapid.IntRange(0, 1000).Draw(t, "more")) * 1e8
	}
	e.Proto, e.HasProto = uint8(rapid.SampledFrom([]int{1, 2, 6, 17, 58}).Draw(t, "proto")), true
	if e.HasPorts = e.Proto == 6 || e.Proto == 17; e.HasPorts {
		e.SrcPort = uint16(rapid.SampledFrom([]int{53, 443, 40000, 65535}).Draw(t, "sport"))
		e.DstPort = uint16(rapid.IntRange(0, 65535).Draw(t, "dport"))
		if rapid.Bool().Draw(t, "known") {
			e.DstPort = uint16(rapid.SampledFrom([]int{0, 22, 23, 53, 445, 65535}).Draw(t, "port"))
		}
	}
	return e
}

func TestTwin(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		v, w := New(Options{Seed: rapid.Uint64().Draw(t, "seed")}), &twin{}
		for _, e := range rapid.SliceOfN(rapid.Custom(drawEvent), 0, 120).Draw(t, "events") {
			v.Add(&e)
			w.add(&e)
		}
		w.check(t, v.Result())
	})
}

// However events are divided among views, and in whatever order those are
// merged, the result is the same.
func TestSplit(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		o := Options{Seed: rapid.Uint64().Draw(t, "seed")}
		parts := []*View{New(o), New(o), New(o)}
		whole := New(o)
		for _, e := range rapid.SliceOfN(rapid.Custom(drawEvent), 0, 200).Draw(t, "events") {
			whole.Add(&e)
			parts[rapid.IntRange(0, 2).Draw(t, "part")].Add(&e)
		}
		merged := New(o)
		for _, n := range rapid.Permutation([]int{0, 1, 2}).Draw(t, "order") {
			merged.Merge(parts[n])
		}
		if d := gocmp.Diff(whole.Result(), merged.Result(), cmpopts.EquateComparable(netip.Addr{})); d != "" {
			t.Fatalf("(-whole +merged):\n%s", d)
		}
	})
}

// A sketch depends on what was seen and not on the order, also when it is far
// beyond its limit.
func TestDistinctSplit(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		limit := rapid.IntRange(1, 60).Draw(t, "limit")
		wide := rapid.SampledFrom([]int{narrowest, wideRow, widest}).Draw(t, "wide")
		rows := rapid.IntRange(1, 6).Draw(t, "rows")
		mk := func() *distinct {
			d := newDistinct(limit, wide)
			d.addRows(rows)
			return &d
		}
		whole, a, b := mk(), mk(), mk()
		for range rapid.IntRange(0, 600).Draw(t, "n") {
			r := rapid.IntRange(0, rows*rows).Draw(t, "row")
			row := uint32(r % rows)
			if r >= rows {
				row = 0 // most
			}
			h := mix(uint64(row), uint64(rapid.IntRange(0, 3000).Draw(t, "thing")))
			whole.add(row, h)
			rapid.SampledFrom([]*distinct{a, b}).Draw(t, "part").add(row, h)
		}
		a.merge(b, identity(rows))
		for r := range uint32(rows) {
			if x, y := whole.count(r), a.count(r); x != y {
				t.Fatalf("row %d: whole %v, merged %v", r, x, y)
			}
		}
	})
}

// A Result in between changes nothing.
func TestResultInBetween(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		o := Options{Limits: Limits{Distinct: rapid.IntRange(1, 400).Draw(t, "distinct")}}
		often, once := New(o), New(o)
		for _, e := range rapid.SliceOfN(rapid.Custom(drawEvent), 0, 150).Draw(t, "events") {
			often.Add(&e)
			once.Add(&e)
			if rapid.IntRange(0, 9).Draw(t, "now") == 0 {
				often.Result()
			}
		}
		if d := gocmp.Diff(once.Result(), often.Result(), cmpopts.EquateComparable(netip.Addr{})); d != "" {
			t.Fatalf("(-once +often):\n%s", d)
		}
	})
}
