package flow_test

import (
	"encoding/binary"
	"math/rand/v2"
	"runtime"
	"testing"

	"github.com/portreeve/portreeve/internal/traffic/flow"
	"github.com/portreeve/portreeve/internal/traffic/wire"
)

// content is what packets carry.
var content = make([]byte, 150)

// tcpPacket is a segment of the given flow, from its client or its server.
func tcpPacket(p *wire.Packet, number uint32, fromServer bool) {
	*p = wire.Packet{
		Kind: wire.KindIP, Version: 4, Proto: 6, TTL: 64, HasPorts: true, HasTCP: true,
		Flags: 0x18, Window: 500, IPLen: 190, PayloadLen: 150, Payload: content, ID: number, HasMAC: true,
		SrcPort: uint16(1024 + number%50000), DstPort: uint16(1 + number%17), Seq: 1000, Ack: 2000,
	}
	p.Src[10], p.Src[11], p.Dst[10], p.Dst[11] = 0xff, 0xff, 0xff, 0xff
	binary.BigEndian.PutUint32(p.Src[12:], 0x0a000000+number/3)
	binary.BigEndian.PutUint32(p.Dst[12:], 0x0b000000+number/1000)
	if fromServer {
		p.Src, p.Dst = p.Dst, p.Src
		p.SrcPort, p.DstPort, p.Seq, p.Ack = p.DstPort, p.SrcPort, p.Ack, p.Seq
	}
}

const manyFlows = 200_000

// traffic makes the packets of many flows in random order, in sequence in each
// direction of each flow.
type traffic struct {
	order *rand.PCG
	sent  [manyFlows][2]uint32
	p     [64]wire.Packet
	seen  [64]flow.Seen
	when  int64
}

func newTraffic() *traffic { return &traffic{order: rand.NewPCG(1, 2)} }

func (t *traffic) make() {
	for i := range t.p {
		n := uint32(t.order.Uint64() >> 32)
		side, number := n&1, n>>1%manyFlows
		tcpPacket(&t.p[i], number, side == 1)
		sent := &t.sent[number]
		t.p[i].Seq += sent[side]
		t.p[i].Ack += sent[1-side]
		sent[side] += 150
		t.when += 1000
		t.seen[i] = flow.Seen{When: t.when, Wire: 200, Stored: 200}
	}
}

// BenchmarkMake is what making the packets takes of the two that follow.
func BenchmarkMake(b *testing.B) {
	traffic := newTraffic()
	for i := 0; b.Loop(); i++ {
		if i%64 == 0 {
			traffic.make()
		}
	}
}

// BenchmarkAdd: 200,000 flows, each packet of any of them.
func BenchmarkAdd(b *testing.B) {
	traffic, table := newTraffic(), flow.NewTable(flow.Options{})
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		if i%64 == 0 {
			traffic.make()
		}
		table.Add(&traffic.p[i%64], traffic.seen[i%64].When, 200, 200)
	}
}

// BenchmarkAddBatch is the same, by batches.
func BenchmarkAddBatch(b *testing.B) {
	traffic, table := newTraffic(), flow.NewTable(flow.Options{})
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		if i%64 == 0 {
			traffic.make()
			table.AddBatch(traffic.p[:], traffic.seen[:])
		}
	}
}

// BenchmarkAddSame: all packets are of one flow.
func BenchmarkAddSame(b *testing.B) {
	table := flow.NewTable(flow.Options{})
	var p wire.Packet
	tcpPacket(&p, 1, false)
	b.ReportAllocs()
	for i := int64(0); b.Loop(); i++ {
		table.Add(&p, i, 200, 200)
		p.Seq += 150
	}
}

// BenchmarkNew: every packet is a new flow, and old ones make room.
func BenchmarkNew(b *testing.B) {
	table := flow.NewTable(flow.Options{MaxFlows: manyFlows, Emit: func(*flow.Flow) {}})
	var p wire.Packet
	b.ReportAllocs()
	for i := uint32(0); b.Loop(); i++ {
		tcpPacket(&p, i, false)
		table.Add(&p, int64(i)*1000, 200, 200)
	}
}

// TestMemory: what the flows of a large capture take.
func TestMemory(t *testing.T) {
	heap := func() uint64 {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	before := heap()
	table := flow.NewTable(flow.Options{})
	var p wire.Packet
	for n := range uint32(manyFlows) {
		tcpPacket(&p, n, false)
		table.Add(&p, 1, 200, 200)
	}
	used := heap() - before
	t.Logf("%d flows take %d KiB, %d bytes each", manyFlows, used>>10, used/manyFlows)
	if used/manyFlows > 320 {
		t.Errorf("%d bytes for each of %d flows, want at most 320", used/manyFlows, manyFlows)
	}
	runtime.KeepAlive(table)
}

// TestAllocations: a packet of a known flow, and a new one that makes another
// go, allocate nothing.
func TestAllocations(t *testing.T) {
	const room = 2048
	table := flow.NewTable(flow.Options{MaxFlows: room, Emit: func(*flow.Flow) {}})
	var p wire.Packet
	var n uint32
	add := func(number uint32) {
		tcpPacket(&p, number, number%3 == 0)
		p.Seq += 150
		table.Add(&p, int64(n)*1000, 200, 200)
		n++
	}
	for i := range uint32(4 * room) {
		add(i)
	}
	if got := testing.AllocsPerRun(4*room, func() { add(5*room + n%64) }); got != 0 {
		t.Errorf("a packet of a known flow: %v allocations", got)
	}
	if got := testing.AllocsPerRun(4*room, func() { add(10*room + n) }); got != 0 {
		t.Errorf("a packet of a new flow: %v allocations", got)
	}
}
