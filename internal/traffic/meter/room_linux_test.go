package meter

import (
	"errors"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/portreeve/portreeve/internal/traffic/wire"
	"github.com/portreeve/portreeve/internal/traffic/wire/wiretest"
	"pgregory.net/rapid"
)

// mutant is a sample with some of its bytes spoiled, or cut, or behind a tag,
// or nothing but noise.
func mutant(random *rand.Rand, i int) []byte {
	names := sampleNames()
	frame := samples[names[random.IntN(len(names))]]()
	switch i % 5 {
	case 0:
		for range 1 + random.IntN(4) {
			frame[12+random.IntN(len(frame)-12)] = byte(random.Uint32())
		}
	case 1:
		frame = frame[:14+random.IntN(len(frame)-14)]
	case 2:
		frame = cat(frame[:12], be16(0x88a8, uint16(random.Uint32()), 0x8100, 5), frame[12:])
		frame = frame[:min(len(frame), 22+random.IntN(80))]
	case 3:
		for at := 14; at < len(frame); at++ {
			if random.IntN(8) == 0 {
				frame[at] = byte(random.Uint32())
			}
		}
	case 4:
		frame = make([]byte, 14+random.IntN(120))
		for at := range frame {
			frame[at] = byte(random.Uint32())
		}
	}
	// A tag that the kernel would take out of the frame and put back is tested
	// elsewhere: this is about unchanged bytes.
	return frame
}

// All samples at once, the later pieces behind their firsts.
func TestSamples(t *testing.T) {
	b := newBench(t, Options{MaxFlows: 64}, variant{})
	w := newTwin()
	for _, name := range sampleNames() {
		if frame := samples[name](); b.pass(frame) {
			w.frame(frame)
		} else if name != "short" { // the kernel refuses it for a test
			t.Errorf("%s: not taken by the kernel", name)
		}
	}
	b.check(w)
}

// What some frames must give, worked out by hand.
func TestByHand(t *testing.T) {
	cases := []struct {
		sample string
		record Record
		stats  Stats
	}{
		{"tcp", Record{Proto: 6, PortA: 40000, PortB: 80, FlagsAB: 2, FirstFlags: 2, SYNFromA: true}, Stats{}},
		{"tcp6", Record{Proto: 6, IPv6: true, PortA: 40000, PortB: 80, FlagsAB: 0x12, FirstFlags: 0x12, SYNACKFromA: true}, Stats{}},
		{"echo", Record{Proto: 1, PortA: 8, PortB: 0}, Stats{}},
		{"unreachable", Record{Proto: 1, PortA: 3, PortB: 1}, Stats{}},
		{"echo6", Record{Proto: 58, IPv6: true, PortA: 129, PortB: 128}, Stats{}},
		{"qinq", Record{Proto: 17, IPv6: true, PortA: 1, PortB: 2, HasVLAN: true, VLAN: 100}, Stats{}},
		{"extensions", Record{Proto: 6, IPv6: true, PortA: 1, PortB: 2, FlagsAB: 2, FirstFlags: 2, SYNFromA: true}, Stats{}},
		{"vxlan", Record{Proto: 17, PortA: 40000, PortB: 4789}, Stats{Tunnels: 1}},
		{"gre", Record{Proto: 47}, Stats{Tunnels: 1}},
		{"padded", Record{}, Stats{Portless: 1}},
		{"cut", Record{}, Stats{Portless: 1}},
		{"arp", Record{}, Stats{Other: 1}},
		{"mpls", Record{}, Stats{Other: 1, Wrapped: 1}},
		{"later-piece", Record{}, Stats{Fragments: 1, Orphans: 1}},
	}
	b := newBench(t, Options{MaxFlows: 4}, variant{})
	for _, c := range cases {
		b.empty()
		frame := samples[c.sample]()
		b.pass(frame)
		c.stats.Packets, c.stats.Bytes = 1, uint64(len(frame))
		if diff := cmp.Diff(c.stats, b.stats()); diff != "" {
			t.Errorf("%s: stats -want +got:\n%s", c.sample, diff)
		}
		got := records(t, b.m)
		if c.record.Proto == 0 {
			if len(got) != 0 {
				t.Errorf("%s: %+v", c.sample, got)
			}
			continue
		}
		c.record.PacketsAB, c.record.BytesAB, c.record.FirstFromA = 1, uint64(len(frame)), true
		if len(got) != 1 {
			t.Errorf("%s: %+v", c.sample, got)
			continue
		}
		r := byFirst(got[0])
		c.record.A, c.record.B = r.A, r.B
		if diff := cmp.Diff(c.record, r); diff != "" {
			t.Errorf("%s: -want +got:\n%s", c.sample, diff)
		}
	}
}

// Any frames in any order are counted as the twin does.
func TestAnyFrames(t *testing.T) {
	b := newBench(t, Options{MaxFlows: 1024}, variant{})
	rapid.Check(t, func(rt *rapid.T) {
		b.empty()
		w := newTwin()
		random := rand.New(rand.NewPCG(rapid.Uint64().Draw(rt, "seed"), 0))
		for i := range rapid.IntRange(1, 200).Draw(rt, "frames") {
			frame := mutant(random, i)
			if b.pass(frame) {
				w.frame(frame)
			}
		}
		b.check(w)
		if t.Failed() {
			rt.FailNow()
		}
	})
}

// Frames of every kind that package wire reads, whole and cut.
func TestAnyStack(t *testing.T) {
	b := newBench(t, Options{MaxFlows: 1024}, variant{})
	rapid.Check(t, func(rt *rapid.T) {
		b.empty()
		w := newTwin()
		for range rapid.IntRange(1, 20).Draw(rt, "frames") {
			c := wiretest.Any(rt)
			frame := c.Frame
			if c.Link != wire.LinkEthernet {
				continue
			}
			if rapid.Bool().Draw(rt, "cut") {
				frame = frame[:rapid.IntRange(0, len(frame)).Draw(rt, "length")]
			}
			if b.pass(frame) {
				w.frame(frame)
			}
		}
		b.check(w)
		if t.Failed() {
			rt.FailNow()
		}
	})
}

// A full map: what found no room is in Dropped, and what is known goes on.
func TestFull(t *testing.T) {
	b := newBench(t, Options{MaxFlows: 8}, variant{})
	size := 0
	for range 2 {
		for i := range 20 {
			frame := ether(0x0800, ip4(17, host1, host2, udp(uint16(1000+i), 53, "x")))
			size = len(frame)
			b.pass(frame)
		}
	}
	s := b.stats()
	if s.Packets != 40 || s.Dropped != 24 || s.DroppedBytes != uint64(24*size) {
		t.Errorf("%+v", s)
	}
	for _, r := range records(t, b.m) {
		if r.PacketsAB+r.PacketsBA != 2 {
			t.Errorf("%+v", r)
		}
	}
}

// Read forgets what is idle, and there is room again.
func TestIdle(t *testing.T) {
	b := newBench(t, Options{MaxFlows: 1}, variant{})
	old, fresh := samples["udp"](), samples["tcp"]()
	b.pass(old)
	b.pass(old)
	b.m.idle = time.Hour
	if got := records(t, b.m); len(got) != 1 || got[0].Evicted {
		t.Errorf("%+v", got)
	}
	b.m.idle = time.Nanosecond
	if got := records(t, b.m); len(got) != 1 || !got[0].Evicted || got[0].PacketsAB+got[0].PacketsBA != 2 {
		t.Errorf("%+v", got)
	}
	b.pass(fresh)
	b.m.idle = 0
	if got := records(t, b.m); len(got) != 1 || got[0].Evicted || got[0].Proto != 6 {
		t.Errorf("%+v", got)
	}
	if s := b.stats(); s.Dropped != 0 || s.Packets != 3 {
		t.Errorf("%+v", s)
	}
}

// Read ends when it is told to, and takes more than one batch.
func TestReadMany(t *testing.T) {
	const many = 3*batchSize + 7
	b := newBench(t, Options{MaxFlows: many}, variant{})
	keys, counts := make([]conversation4, many), make([]count, many)
	for i := range keys {
		keys[i] = conversation4{PortA: uint16(i), PortB: uint16(i >> 16), Proto: 17}
		counts[i] = count{First: 1, Last: 1, Packets: [2]uint64{uint64(i), 1}}
	}
	if _, err := b.m.flows4.BatchUpdate(keys, counts, nil); err != nil {
		t.Fatal(err)
	}
	seen := map[uint16]bool{}
	for _, r := range records(t, b.m) {
		if seen[r.PortA] || r.PacketsAB != uint64(r.PortA) {
			t.Fatalf("%+v", r)
		}
		seen[r.PortA] = true
	}
	if len(seen) != many {
		t.Errorf("%d of %d", len(seen), many)
	}
	n := 0
	if err := b.m.Read(func(*Record) bool { n++; return n < 10 }); err != nil || n != 10 {
		t.Errorf("%d %v", n, err)
	}
	if allocs := testing.AllocsPerRun(5, func() { _ = b.m.Read(func(*Record) bool { return true }) }); allocs > 200 {
		t.Errorf("%v allocations for %d records", allocs, many)
	}
	_ = b.m.Close()
	if err := b.m.Read(nil); !errors.Is(err, ErrClosed) {
		t.Error(err)
	}
	if _, err := b.m.Stats(); !errors.Is(err, ErrClosed) {
		t.Error(err)
	}
}
