package tui

import (
	"encoding/binary"
	"runtime"
	"testing"
	"time"

	"github.com/portreeve/portreeve/internal/traffic/flow"
)

// crowd is a feed of many flows that are made as they are read: none is kept.
// A share of them moved since the last read.
type crowd struct {
	flows, clients, servers, ports int
	reads                          uint64
	every                          uint64 // one of so many flows moves
}

func (c *crowd) Read(visit func(*flow.Flow) bool) Status {
	c.reads++
	f := conversation(6, "10.0.0.1:1", "10.1.0.1:1")
	for i := range c.flows {
		f.ClientPort, f.ServerPort = uint16(1024+i%60000), uint16(1+i%c.ports)
		binary.BigEndian.PutUint32(f.Client[12:], 0x0a000000+uint32(i%c.clients))
		binary.BigEndian.PutUint32(f.Server[12:], 0x0a800000+uint32(i/7%c.servers))
		f.First = int64(i)
		moves := c.reads
		if uint64(i)%c.every != 0 {
			moves = 1
		}
		f.PacketsToServer, f.BytesToServer = moves*10, moves*(uint64(i)*2654435761%100_000)
		f.PacketsToClient, f.BytesToClient = moves, moves*100
		f.Last = int64(moves)
		if !visit(&f) {
			break
		}
	}
	return Status{Packets: c.reads * 1000, Bytes: c.reads * 100000, DropsKnown: true}
}

// reader is a stage without a model.
type reader struct {
	engine *engine
	at     time.Time
	rows   int
}

func newReader(tb testing.TB, feed Feed, q query) *reader {
	tb.Helper()
	o := Options{Service: someService}
	r := &reader{at: night}
	r.engine = newEngine(feed, &o, want{query: q})
	r.engine.now = func() time.Time { return r.at }
	r.engine.send = func(msg any) {
		if p, ok := msg.(pageMsg); ok {
			r.rows = len(p.page.rows)
		}
	}
	return r
}

func (r *reader) tick(tb testing.TB) {
	r.at = r.at.Add(time.Second)
	r.engine.answer(tb.Context(), r.engine.asked(), true)
}

// TestMemoryWithAMillionFlows: what is kept of a million flows over a million
// pairs stays within bounds, and what is beyond them is said.
func TestMemoryWithAMillionFlows(t *testing.T) {
	feed := &crowd{flows: 1_000_000, clients: 500_000, servers: 50_000, ports: 60_000, every: 100}
	r := newReader(t, feed, query{view: flows})
	r.tick(t)
	r.tick(t)
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	const bound = 128 << 20
	t.Logf("%d MiB live, %d flows left out, %d accounts forgotten", m.HeapAlloc>>20, r.engine.tally.leftOut, r.engine.gauge().forgotten)
	if m.HeapAlloc > bound {
		t.Errorf("%d bytes live, more than %d", m.HeapAlloc, bound)
	}
	if r.rows != maxRows {
		t.Errorf("%d rows, want %d", r.rows, maxRows)
	}
	ta := r.engine.tally
	if ta.leftOut == 0 || ta.leftOut > 200_000 {
		t.Errorf("%d flows left out", ta.leftOut)
	}
	if len(ta.pairs.accounts) > 2*keepAccounts || len(ta.ports.accounts) > 2*keepAccounts || r.engine.gauge().forgotten == 0 {
		t.Errorf("%d pairs, %d ports, %d forgotten", len(ta.pairs.accounts), len(ta.ports.accounts), r.engine.gauge().forgotten)
	}
	runtime.KeepAlive(r)
}

// TestSteadyReadsAllocateLittle: reading flows again, none of them new, does
// not allocate by flow.
func TestSteadyReadsAllocateLittle(t *testing.T) {
	r := newReader(t, &crowd{flows: 50_000, clients: 1000, servers: 20, ports: 200, every: 1}, query{view: ports})
	r.tick(t)
	r.tick(t)
	if n := testing.AllocsPerRun(5, func() { r.tick(t) }); n > 1000 {
		t.Errorf("%.0f allocations for 50,000 flows", n)
	}
}

// BenchmarkFeed is what making the benchmark's flows takes by itself.
func BenchmarkFeed(b *testing.B) {
	feed := &crowd{flows: 200_000, clients: 20_000, servers: 500, ports: 1000, every: 1}
	for range b.N {
		feed.Read(func(*flow.Flow) bool { return true })
	}
}

// BenchmarkFrame draws a screen of 120 by 40 over a thousand rows.
func BenchmarkFrame(b *testing.B) {
	feed := &crowd{flows: 5000, clients: 2000, servers: 50, ports: 1000, every: 1}
	o := Options{Service: someService}
	m := newModel(&o)
	m.width, m.height = 120, 40
	m.place.view = flows
	e := newEngine(feed, &o, m.want())
	e.send = func(msg any) { m = m.update(msg) }
	e.answer(b.Context(), m.want(), true)
	b.ResetTimer()
	for range b.N {
		m = m.update(nil)
		_ = m.frame()
	}
}
