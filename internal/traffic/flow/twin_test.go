package flow_test

import (
	"cmp"
	"slices"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/portreeve/portreeve/internal/traffic/flow"
	"github.com/portreeve/portreeve/internal/traffic/wire"
)

// twin joins packets to flows the plain way: maps, and all is remembered.
type twin struct {
	flows   map[twinKey][]*flow.Flow
	parts   map[twinPart][]twinFragment
	owner   map[twinPart]twinOwner
	packets uint64
}

// twinKey has the ends in the order in which they were first seen.
type twinKey struct {
	proto    uint8
	v6       bool
	src, dst twinEnd
}

type twinEnd struct {
	addr [16]byte
	port uint16
}

type twinPart struct {
	src, dst [16]byte
	id       uint32
	proto    uint8
}

type twinFragment struct {
	when int64
	wire uint32
}

type twinOwner struct {
	key   twinKey
	since int64
}

func newTwin() *twin {
	return &twin{flows: map[twinKey][]*flow.Flow{}, parts: map[twinPart][]twinFragment{}, owner: map[twinPart]twinOwner{}}
}

func (w *twin) add(p *wire.Packet, when int64, length uint32) {
	w.packets++
	part := twinPart{p.Src, p.Dst, p.ID, p.Proto}
	if p.FragOffset != 0 {
		if o, ok := w.owner[part]; ok && when-o.since < int64(30*time.Second) {
			w.count(o.key, when, length)
			return
		}
		delete(w.owner, part)
		if waiting := w.parts[part]; len(waiting) > 0 && when-waiting[0].when >= int64(30*time.Second) {
			delete(w.parts, part)
		}
		w.parts[part] = append(w.parts[part], twinFragment{when, length})
		return
	}
	key := twinKey{p.Proto, p.Version == 6, twinEnd{p.Src, p.SrcPort}, twinEnd{p.Dst, p.DstPort}}
	w.count(key, when, length)
	if p.MoreFragments {
		w.first(part, key, when)
	}
	if p.CarrierVersion != 0 {
		w.first(twinPart{p.OuterSrc, p.OuterDst, p.CarrierID, p.CarrierProto}, key, when)
	}
}

// first gives a packet's later fragments to a flow.
func (w *twin) first(part twinPart, key twinKey, when int64) {
	waiting := w.parts[part]
	delete(w.parts, part)
	w.owner[part] = twinOwner{key, when}
	if len(waiting) == 0 || when-waiting[0].when >= int64(30*time.Second) {
		return
	}
	for _, f := range waiting {
		w.count(key, f.when, f.wire)
	}
}

// count finds the flow in either direction; a minute of silence ends it.
func (w *twin) count(k twinKey, when int64, length uint32) {
	back := twinKey{k.proto, k.v6, k.dst, k.src}
	forward := true
	if _, ok := w.flows[back]; ok && back != k {
		k, forward = back, false
	}
	list := w.flows[k]
	if len(list) == 0 || when-list[len(list)-1].Last >= int64(time.Minute) {
		list = append(list, &flow.Flow{First: when, Last: when})
		w.flows[k] = list
	}
	f := list[len(list)-1]
	f.First, f.Last = min(f.First, when), max(f.Last, when)
	if forward {
		f.PacketsToServer++
		f.BytesToServer += uint64(length)
	} else {
		f.PacketsToClient++
		f.BytesToClient += uint64(length)
	}
}

// tally is what of a flow does not depend on who is called the client.
type tally struct {
	Proto       uint8
	A, B        string
	Packets     [2]uint64
	Bytes       [2]uint64
	First, Last int64
}

func tallyOf(proto uint8, a, b twinEnd, f *flow.Flow) tally {
	t := tally{proto, string(a.addr[:]) + string(rune(a.port)), string(b.addr[:]) + string(rune(b.port)),
		[2]uint64{f.PacketsToServer, f.PacketsToClient}, [2]uint64{f.BytesToServer, f.BytesToClient}, f.First, f.Last}
	if t.A > t.B {
		t.A, t.B = t.B, t.A
		t.Packets[0], t.Packets[1] = t.Packets[1], t.Packets[0]
		t.Bytes[0], t.Bytes[1] = t.Bytes[1], t.Bytes[0]
	}
	return t
}

func ordered(all []tally) []tally {
	slices.SortFunc(all, func(a, b tally) int {
		return cmp.Or(cmp.Compare(a.A, b.A), cmp.Compare(a.B, b.B), cmp.Compare(a.Proto, b.Proto),
			cmp.Compare(a.First, b.First), cmp.Compare(a.Packets[0], b.Packets[0]), cmp.Compare(a.Packets[1], b.Packets[1]))
	})
	return all
}

// summed joins the tallies of the same ends, without times.
func summed(all []tally) []tally {
	var out []tally
	for _, t := range ordered(all) {
		t.First, t.Last = 0, 0
		if n := len(out); n > 0 && out[n-1].A == t.A && out[n-1].B == t.B && out[n-1].Proto == t.Proto {
			for i := range 2 {
				out[n-1].Packets[i] += t.Packets[i]
				out[n-1].Bytes[i] += t.Bytes[i]
			}
			continue
		}
		out = append(out, t)
	}
	return out
}

func (w *twin) tallies() []tally {
	var out []tally
	for k, list := range w.flows {
		for _, f := range list {
			out = append(out, tallyOf(k.proto, k.src, k.dst, f))
		}
	}
	return ordered(out)
}

// step is a packet and how long after the one before it came.
type packetStep struct {
	p    wire.Packet
	wait int64
	wire uint32
}

// datagrams draws packets between few hosts, many of them in fragments. They
// are UDP, whose flows end by silence alone.
func datagrams(t *rapid.T, hosts int) []packetStep {
	draw := rapid.Custom(func(t *rapid.T) packetStep {
		s := packetStep{
			wait: rapid.SampledFrom([]int64{0, 1, 1e6, 1e9, 9e9, 29e9, 31e9, 61e9}).Draw(t, "wait"),
			wire: rapid.Uint32Range(60, 1514).Draw(t, "wire"),
		}
		p := &s.p
		p.Kind, p.Version, p.Proto = wire.KindIP, 4, 17
		p.Src = host(rapid.IntRange(1, hosts).Draw(t, "src"))
		p.Dst = host(rapid.IntRange(1, hosts).Draw(t, "dst"))
		p.ID = rapid.Uint32Range(1, 3).Draw(t, "id")
		p.IsFragment = rapid.Bool().Draw(t, "fragment")
		if p.IsFragment {
			p.FragOffset = rapid.SampledFrom([]uint16{0, 8, 16}).Draw(t, "offset")
			p.MoreFragments = p.FragOffset != 16
		}
		if p.FragOffset == 0 {
			p.HasPorts = true
			p.SrcPort = rapid.Uint16Range(1, 3).Draw(t, "sport")
			p.DstPort = rapid.Uint16Range(1, 3).Draw(t, "dport")
			if rapid.IntRange(0, 3).Draw(t, "carried") == 0 {
				p.OuterSrc = host(rapid.IntRange(1, hosts).Draw(t, "outer src"))
				p.OuterDst = host(rapid.IntRange(1, hosts).Draw(t, "outer dst"))
				p.CarrierVersion, p.CarrierProto, p.CarrierID = 4, 17, rapid.Uint32Range(1, 3).Draw(t, "carrier id")
			}
		}
		return s
	})
	return rapid.SliceOfN(draw, 1, 80).Draw(t, "packets")
}

func host(n int) [16]byte { return [16]byte{10: 0xff, 11: 0xff, 12: 10, 15: byte(n)} }

func both(steps []packetStep, opt flow.Options) (*flow.Table, *twin) {
	table, naive := flow.NewTable(opt), newTwin()
	when := int64(1e18)
	for i := range steps {
		s := &steps[i]
		when += s.wait
		table.Add(&s.p, when, s.wire, s.wire)
		naive.add(&s.p, when, s.wire)
	}
	return table, naive
}

func tallies(table *flow.Table) []tally {
	var out []tally
	table.Each(func(f *flow.Flow) bool {
		out = append(out, tallyOf(f.Proto, twinEnd{f.Client, f.ClientPort}, twinEnd{f.Server, f.ServerPort}, f))
		return true
	})
	return ordered(out)
}

// TestTwin: the table's flows are those of the naive twin.
func TestTwin(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		table, naive := both(datagrams(t, 3), flow.Options{})
		if diff := gocmp.Diff(naive.tallies(), tallies(table)); diff != "" {
			t.Fatalf("twin (-), table (+):\n%s", diff)
		}
	})
}

// TestTwinEviction: with room for few flows, what was emitted adds up to the
// twin's sums, as do the ports.
func TestTwinEviction(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var out []tally
		var ports flow.Ports
		opt := flow.Options{MaxFlows: rapid.IntRange(1, 12).Draw(t, "room"), Emit: func(f *flow.Flow) {
			out = append(out, tallyOf(f.Proto, twinEnd{f.Client, f.ClientPort}, twinEnd{f.Server, f.ServerPort}, f))
			ports.Add(f)
		}}
		table, naive := both(datagrams(t, 9), opt)
		table.Finish()
		want := summed(naive.tallies())
		if diff := gocmp.Diff(want, summed(out)); diff != "" {
			t.Fatalf("twin (-), table (+):\n%s", diff)
		}
		var packets, counted uint64
		for _, w := range want {
			packets += w.Packets[0] + w.Packets[1]
		}
		for _, r := range ports.Rows() {
			counted += r.Packets
		}
		if q := table.Quality(); counted != packets || q.Packets != packets+q.Orphans || q.Packets != naive.packets {
			t.Fatalf("ports have %d packets, flows %d, %d orphans, %d in all", counted, packets, q.Orphans, q.Packets)
		}
	})
}
