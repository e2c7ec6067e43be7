package flow_test

import (
	"encoding/binary"
	"testing"

	"github.com/portreeve/portreeve/internal/traffic/flow"
	"github.com/portreeve/portreeve/internal/traffic/wire"
)

// FuzzTable: whatever frames come, at whatever times, nothing breaks and every
// packet is somewhere.
func FuzzTable(f *testing.F) {
	frame := []byte("\x45\x00\x00\x28\x00\x01\x00\x00\x40\x06\x00\x00\x0a\x00\x00\x01\x0a\x00\x00\x02" +
		"\x9c\x40\x00\x50\x00\x00\x00\x01\x00\x00\x00\x00\x50\x02\x01\x00\x00\x00\x00\x00")
	head := func(kind, wait byte) []byte { return []byte{kind, wait, 0, byte(len(frame))} }
	f.Add(append(head(0, 1), frame...))
	f.Add(append(append(append(head(0, 1), frame...), head(0, 200)...), frame...))
	f.Fuzz(func(t *testing.T, data []byte) {
		var counted uint64
		table := flow.NewTable(flow.Options{MaxFlows: 4, Emit: func(f *flow.Flow) {
			counted += f.PacketsToServer + f.PacketsToClient
		}})
		var d wire.Decoder
		var p wire.Packet
		when, added := int64(0), uint64(0)
		for len(data) >= 4 {
			link := []wire.LinkType{101, 1, 113, 0}[data[0]&3]
			when += int64(int8(data[1])) << (data[0] >> 2)
			n := min(int(binary.BigEndian.Uint16(data[2:])&0x3ff), len(data)-4)
			d.Decode(link, data[4:4+n], uint32(n), &p)
			table.Add(&p, when, uint32(n), uint32(n))
			added++
			data = data[4+n:]
		}
		for range 2 {
			table.Each(func(f *flow.Flow) bool { return len(f.History) < 1000 })
		}
		table.Finish()
		q := table.Quality()
		if q.Packets != added || counted != added-q.Undecoded-q.Other-q.Orphans {
			t.Errorf("%d packets, %d in flows, %d undecoded, %d other, %d orphans", added, counted, q.Undecoded, q.Other, q.Orphans)
		}
	})
}

// TestBatch: packets in batches give what they give one by one.
func TestBatch(t *testing.T) {
	one, many := flow.NewTable(flow.Options{}), flow.NewTable(flow.Options{})
	traffic := newTraffic()
	for range 100 {
		traffic.make()
		traffic.p[5].Kind, traffic.p[6].HasPorts = wire.KindOther, false
		many.AddBatch(traffic.p[:], traffic.seen[:])
		for i, s := range traffic.seen {
			one.Add(&traffic.p[i], s.When, s.Wire, s.Stored)
		}
	}
	a, b := flows(one), flows(many)
	if one.Quality() != many.Quality() || len(a) != len(b) || len(a) == 0 {
		t.Fatalf("%d and %d flows, %+v, %+v", len(a), len(b), one.Quality(), many.Quality())
	}
	for i := range a {
		if a[i] != b[i] {
			t.Fatalf("one by one %+v, in batches %+v", a[i], b[i])
		}
	}
}
