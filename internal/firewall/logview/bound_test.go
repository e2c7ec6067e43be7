package logview

import (
	"encoding/binary"
	"fmt"
	"math"
	"net/netip"
	"runtime"
	"testing"

	"github.com/portreeve/portreeve/internal/firewall/fwlog"
)

func v4(n uint32) netip.Addr {
	var b [4]byte
	binary.BigEndian.PutUint32(b[:], n)
	return netip.AddrFrom4(b)
}

func event(src, dst uint32, port uint16) fwlog.Event {
	return fwlog.Event{Src: v4(src), Dst: v4(dst), Proto: 6, HasProto: true, HasPorts: true, SrcPort: 40000,
		DstPort: port, Action: fwlog.Deny, Time: 1.7e18}
}

func heap() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// flood is what a log full of forged sources is: each with a target, a port,
// a rule and a minute of its own, and among them some that are heavy.
func flood(v *View, n int) {
	for i := range n {
		e := event(0x0b000000+uint32(i), 0x0a000000+uint32(i*7919), uint16(i*31))
		e.Time += int64(i) * 60e9
		e.Rule = fmt.Appendf(nil, "rule %d", i)
		v.Add(&e)
		if i%10 == 0 {
			e = event(0xc6336400+uint32(i/10%20), 0x0a000001, 22)
			v.Add(&e)
		}
	}
}

func TestMillionSources(t *testing.T) {
	const n = 1_000_000
	before := heap()
	v := New(Options{})
	flood(v, n)
	used := heap() - before
	t.Logf("%.1f MiB", float64(used)/(1<<20))
	if used > 60<<20 {
		t.Errorf("%d bytes are held", used)
	}
	r := v.Result()
	runtime.KeepAlive(v)
	if r.Events != n+n/10 || r.Deny != r.Events {
		t.Errorf("events %d", r.Events)
	}
	near(t, "sources", r.Sources, n+20, 0.03)
	near(t, "sources left", r.SourcesLeft.Rows, n+20-uint64(len(r.From)), 0.03)
	for i := range 20 { // the heavy ones are all there, and nothing of them is lost
		if s := r.From[i]; s.Events != n/200 || s.Missed > 0 {
			t.Fatalf("row %d: %+v", i, s)
		}
	}
	shown := uint64(0)
	for _, s := range r.From {
		shown += s.Events
	}
	if shown+r.SourcesLeft.Events != r.Events {
		t.Errorf("%d shown, %d left, of %d", shown, r.SourcesLeft.Events, r.Events)
	}
}

func near(t *testing.T, what string, got Count, want uint64, off float64) {
	t.Helper()
	if !got.About || math.Abs(float64(got.N)-float64(want)) > off*float64(want) {
		t.Errorf("%s: %+v, want about %d", what, got, want)
	}
}

// One port that everybody asks for does not blur the ports that few ask for.
func TestSmallRowsStayExact(t *testing.T) {
	v := New(Options{Views: ByPort, Limits: Limits{Distinct: 4096}})
	for i := range uint32(200_000) {
		e := event(0x0b000000+i, 0x0a000001, 23)
		v.Add(&e)
		e = event(0x0b000000+i%3, 0x0a000001+i%5, 5432)
		v.Add(&e)
	}
	r := v.Result()
	for _, p := range r.Ports {
		switch p.Port {
		case 23:
			near(t, "telnet", p.Sources, 200_000, 0.08)
		case 5432:
			if (p.Sources != Count{N: 3}) || (p.Targets != Count{N: 5}) {
				t.Errorf("%+v", p)
			}
		}
	}
}

// Every row within the bounds that it states, whatever is thrown out; merged
// views too.
func TestRowsKeepTheirBounds(t *testing.T) {
	o := Options{Views: BySource, Limits: Limits{Sources: 64, PortLists: 2048}}
	a, b := New(o), New(o)
	exact := map[netip.Addr]uint64{}
	x := uint64(1)
	for range 50_000 {
		x = mix(x, 99)
		n := uint32(x % 1000)
		e := event(n*n/1000, 1, uint16(x>>32)) // low numbers more often
		exact[e.Src]++
		if x>>40&1 == 0 {
			a.Add(&e)
		} else {
			b.Add(&e)
		}
	}
	a.Merge(b)
	r := a.Result()
	if len(r.From) == 0 || len(r.From) > 64 {
		t.Fatalf("%d rows", len(r.From))
	}
	shown := uint64(0)
	for _, s := range r.From {
		shown += s.Events
		if want := exact[s.Src]; s.Events > want || s.Events+s.Missed < want {
			t.Errorf("%v: %d events, %d missed, were %d", s.Src, s.Events, s.Missed, want)
		}
	}
	if shown+r.SourcesLeft.Events != 50_000 {
		t.Errorf("%d shown, %+v left", shown, r.SourcesLeft)
	}
	if a.sourceRoom.left < 0 {
		t.Errorf("room %d", a.sourceRoom.left)
	}
}

func TestPortset(t *testing.T) {
	r := room{1 << 20}
	var p portset
	for i := range 65536 {
		p.add(uint16(i*40503), &r)
	}
	if got := p.ranges(); len(got) != 1 || got[0] != (PortRange{0, 65535}) || p.cut {
		t.Errorf("%v %v", got, p.cut)
	}
	p.free(&r)
	if r.left != 1<<20 {
		t.Errorf("room %d", r.left)
	}
	small := room{100}
	for i := range 1000 {
		p.add(uint16(i*2), &small)
	}
	if !p.cut || len(p.ranges()) != len(p.list) || small.left < 0 {
		t.Errorf("%v", p)
	}
}

// Nothing is allocated for an event of what was seen before.
func TestNoAllocation(t *testing.T) {
	v := New(Options{})
	events := make([]fwlog.Event, 500)
	for i := range events {
		events[i] = event(0x0a000000+uint32(i%37), 0xc0000200+uint32(i%11), uint16(i%70))
		events[i].Rule = []byte("[UFW BLOCK]")
	}
	all := func() {
		for i := range events {
			v.Add(&events[i])
		}
	}
	all()
	if n := testing.AllocsPerRun(20, all); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// Sources, targets and ports as on a gateway's outer side: many sources, of
// which each asks for one or two of some thirty ports.
func benchmark(b *testing.B, views Views) {
	v := New(Options{Views: views})
	events := make([]fwlog.Event, 1<<16)
	x := uint64(1)
	for i := range events {
		x = mix(x, 7)
		src := x % 4000
		events[i] = event(0x0b000000+uint32(src), 0x0a000000+uint32(src+x>>20%2)%64, uint16(20+(src+x>>30%2)%30))
		events[i].Time += int64(i) * 1e7
		events[i].Rule = []byte("[UFW BLOCK]")
	}
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		v.Add(&events[i&(1<<16-1)])
	}
}

// No two events are alike.
func BenchmarkByPortRandom(b *testing.B) {
	v := New(Options{Views: ByPort})
	b.ReportAllocs()
	x := uint64(1)
	e := event(1, 2, 3)
	for b.Loop() {
		x = mix(x, 7)
		e.Src, e.Dst, e.DstPort = v4(0x0b000000+uint32(x%50000)), v4(0x0a000000+uint32(x>>20%250)), uint16(x>>40)
		v.Add(&e)
	}
}

// Sources are random, ports are not: what one sees on the internet's side.
func BenchmarkByPortSources(b *testing.B) {
	v := New(Options{Views: ByPort})
	b.ReportAllocs()
	x := uint64(1)
	e := event(1, 2, 3)
	for b.Loop() {
		x = mix(x, 7)
		e.Src, e.Dst, e.DstPort = v4(uint32(x)), v4(0x0a000000+uint32(x>>32%250)), uint16(x>>40%300)
		v.Add(&e)
	}
}

func BenchmarkByPort(b *testing.B)   { benchmark(b, ByPort) }
func BenchmarkBySource(b *testing.B) { benchmark(b, BySource) }
func BenchmarkAll(b *testing.B)      { benchmark(b, AllViews) }
