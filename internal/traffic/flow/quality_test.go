package flow_test

import (
	"encoding/binary"
	"strings"
	"testing"
	"time"

	"github.com/portreeve/portreeve/internal/traffic/capture"
	"github.com/portreeve/portreeve/internal/traffic/flow"
	"github.com/portreeve/portreeve/internal/traffic/wire"
)

// quality plays a script and gives the counts.
func quality(proto uint8, script ...packet) flow.Quality {
	table := flow.NewTable(flow.Options{})
	for _, s := range script {
		p := s.wire(proto)
		table.Add(&p, int64(1e18)+int64(s.at), 54+s.len, 54+s.len)
	}
	return table.Quality()
}

// TestDuplicates: copies as mirror ports make them count, what a sender
// repeats does not.
func TestDuplicates(t *testing.T) {
	with := func(more ...func(*wire.Packet)) func(*wire.Packet) {
		return func(p *wire.Packet) {
			p.ID, p.HasMAC, p.SrcMAC, p.DstMAC = 77, true, [6]byte{2, 1}, [6]byte{2, 2}
			for _, m := range more {
				m(p)
			}
		}
	}
	hop := func(p *wire.Packet) { p.TTL-- }
	nearer := func(p *wire.Packet) { p.TTL++ }
	tag := func(p *wire.Packet) { p.VLANCount, p.VLANs[0] = 1, 20 }
	mac := func(p *wire.Packet) { p.SrcMAC, p.DstMAC = [6]byte{2, 3}, [6]byte{2, 4} }
	id := func(p *wire.Packet) { p.ID++ }
	zero := func(p *wire.Packet) { p.ID = 0 }
	v6 := func(p *wire.Packet) { p.Version, p.ID = 6, 0 }
	ends := func(p *wire.Packet) { p.Payload[len(p.Payload)-1]++ }
	us, ms := time.Microsecond, time.Millisecond
	for name, c := range map[string]struct {
		proto         uint8
		first, second func(*wire.Packet)
		len           uint32
		gap           time.Duration
		want          uint64
	}{
		"the same again":              {6, with(), with(), 10, us, 1},
		"UDP":                         {17, with(), with(), 10, us, 1},
		"one hop further":             {6, with(), with(hop, mac), 10, us, 1},
		"another VLAN":                {6, with(), with(tag), 10, us, 1},
		"nearer by a hop":             {6, with(), with(nearer), 10, us, 0},
		"retransmitted":               {6, with(), with(id), 10, us, 0},
		"too late":                    {6, with(), with(), 10, 200 * ms, 0},
		"no identification, UDP":      {17, with(zero), with(zero), 10, us, 0},
		"no identification, one hop":  {17, with(zero), with(zero, hop), 10, us, 1},
		"no identification, segment":  {6, with(zero), with(zero), 10, 100 * us, 1},
		"no identification, late":     {6, with(zero), with(zero), 10, ms, 0},
		"no identification, bare ACK": {6, with(zero), with(zero), 0, us, 0},
		"IPv6, segment":               {6, with(v6), with(v6), 10, us, 1},
		"IPv6, UDP":                   {17, with(v6), with(v6), 10, us, 0},
		"IPv6, another sender's":      {58, with(v6), with(v6, mac, ends), 20, us, 0},
		"IPv6, another VLAN":          {17, with(v6), with(v6, tag), 10, us, 1},
	} {
		t.Run(name, func(t *testing.T) {
			q := quality(c.proto, packet{from: 1, flags: ack, seq: 9, len: c.len, change: c.first},
				packet{from: 1, flags: ack, seq: 9, len: c.len, at: c.gap, change: c.second})
			if q.Duplicates != c.want || q.Packets != 2 {
				t.Errorf("%d duplicates, want %d", q.Duplicates, c.want)
			}
		})
	}
	if f := play(6, flow.Options{}, packet{from: 1, flags: ack, change: with()}, packet{from: 1, flags: ack, change: with(hop)}); f[0].PacketsToServer != 2 {
		t.Errorf("a copy is not counted in the flow: %+v", f[0])
	}
}

// TestDuplicatesInCaptures: a capture holds no copies; with each packet sent
// once more by the next router, it holds as many as packets.
func TestDuplicatesInCaptures(t *testing.T) {
	path := captures + "arkime/http-content-gzip.pcap"
	if q := feed(t, path, wire.Decoder{}, flow.Options{}).Quality(); q.Duplicates != 0 {
		t.Errorf("%d duplicates of %d packets, want none", q.Duplicates, q.Packets)
	}
	table := flow.NewTable(flow.Options{})
	var decoder wire.Decoder
	var p wire.Packet
	packets := uint64(0)
	eachPacket(t, path, func(c *capture.Packet) {
		decoder.Decode(c.Link, c.Data, c.Wire, &p)
		table.Add(&p, c.Time, c.Wire, c.Wire)
		p.TTL, p.SrcMAC[5], p.VLANCount, p.VLANs[0] = p.TTL-1, p.SrcMAC[5]+1, 1, 30
		table.Add(&p, c.Time+50_000, c.Wire, c.Wire)
		packets++
	})
	if q := table.Quality(); q.Duplicates != packets || packets == 0 {
		t.Errorf("%d duplicates of %d packets sent on", q.Duplicates, packets)
	}
}

// TestQuality: what is counted besides flows.
func TestQuality(t *testing.T) {
	table := flow.NewTable(flow.Options{})
	add := func(p wire.Packet, wireLen, stored uint32) { table.Add(&p, 1e18, wireLen, stored) }
	add(wire.Packet{Kind: wire.KindUndecoded, Problem: wire.Cut}, 100, 20)
	add(wire.Packet{Kind: wire.KindOther}, 60, 60)
	noPorts := packet{from: 1}.wire(17)
	noPorts.HasPorts, noPorts.Problem = false, wire.Short
	add(noPorts, 60, 60)
	orphan := packet{from: 1, change: func(p *wire.Packet) { p.HasPorts, p.IsFragment, p.FragOffset = false, true, 8 }}.wire(17)
	add(orphan, 60, 60)
	add(packet{from: 1}.wire(17), 60, 60)
	add(packet{from: 1, change: fromPort(40001, 80)}.wire(17), 60, 60)
	add(packet{from: 2, change: fromPort(80, 40001)}.wire(17), 60, 60)
	big := packet{from: 1, len: 20000, change: func(p *wire.Packet) { p.HasMAC, p.SrcMAC[0] = true, 2 }}.wire(17)
	add(big, 20054, 60)
	cast := packet{from: 1, change: func(p *wire.Packet) { p.Dst[12] = 239 }}.wire(17)
	add(cast, 60, 60)
	table.Finish()
	q := table.Quality()
	want := flow.Quality{
		Packets: 9, Bytes: 100 + 60*7 + 20054, Truncated: 2, Undecoded: 2, Other: 1, Fragments: 1, Orphans: 1,
		Giants: 1, Largest: 20040, Flows: 3, Conversations: 2, OneSidedFlows: 1,
	}
	want.Problems[wire.Cut], want.Problems[wire.Short] = 1, 1
	if q != want {
		t.Errorf("got %+v\nwant %+v", q, want)
	}
}

// TestEvictionSpares: when there is no room, flows that nobody answered go
// before those that were answered, and what ended goes first.
func TestEvictionSpares(t *testing.T) {
	var gone []uint16
	table := flow.NewTable(flow.Options{MaxFlows: 8, Emit: func(f *flow.Flow) { gone = append(gone, f.ClientPort) }})
	when := int64(1e18)
	add := func(from int, port uint16) {
		p := packet{from: from}.wire(17)
		p.SrcPort, p.DstPort = port, 80
		if from == 2 {
			p.SrcPort, p.DstPort = 80, port
		}
		when += 1e6
		table.Add(&p, when, 60, 60)
	}
	for port := uint16(40000); port < 40004; port++ {
		add(1, port)
		add(2, port)
	}
	for port := uint16(50000); port < 50100; port++ {
		add(1, port)
	}
	if len(gone) != 96 {
		t.Fatalf("%d flows went, want 96", len(gone))
	}
	for i, port := range gone {
		if port != 50000+uint16(i) {
			t.Fatalf("the %dth to go was %d, want %d", i, port, 50000+i)
		}
	}
	if q := table.Quality(); q.Evicted != 96 || q.Flows != 104 {
		t.Errorf("%d of %d flows evicted", q.Evicted, q.Flows)
	}
}

// TestPortsAndPairs: the sums, and how many addresses there were.
func TestPortsAndPairs(t *testing.T) {
	var ports flow.Ports
	var pairs flow.Pairs
	for n := range uint32(300) {
		f := flow.Flow{Proto: 6, ServerPort: 443, Server: host(int(n % 3)), PacketsToServer: 1, BytesToServer: 60,
			PacketsToClient: 2, BytesToClient: 3000, First: int64(n), Last: int64(n) + 5, Label: "x"}
		binary.BigEndian.PutUint32(f.Client[12:], n%100)
		ports.Add(&f)
		f.ServerPort = uint16(n)
		pairs.Add(&f)
	}
	ports.Add(&flow.Flow{Proto: 17, ServerPort: 53, PacketsToServer: 1, BytesToServer: 10})
	before := ports.Clone()
	ports.Add(&flow.Flow{Proto: 6, ServerPort: 443, Client: host(9)})
	rows := ports.Rows()
	want := flow.PortRow{Proto: 6, Port: 443, Clients: 101, Servers: 4, Counts: flow.Counts{
		Packets: 900, Bytes: 300 * 3060, PacketsTo: 300, PacketsFrom: 600, BytesTo: 18000, BytesFrom: 900000,
		Flows: 301, First: 0, Last: 304}}
	if len(rows) != 2 || rows[0] != want || rows[1].Port != 53 {
		t.Errorf("got %+v\nwant %+v", rows, want)
	}
	if old := before.Rows()[0]; old.Clients != 100 || old.Servers != 3 || old.Label != "x" || old.Flows != 300 {
		t.Errorf("the clone changed: %+v", old)
	}
	pair := pairs.Rows()
	if len(pair) != 300 || pairs.Rest().Flows != 0 || len(pair[0].Ports) != 1 || pair[0].Packets != 3 {
		t.Errorf("%d pairs, first %+v", len(pair), pair[0])
	}
	for port := range uint16(40) {
		pairs.Add(&flow.Flow{Proto: 6, ServerPort: port, BytesToServer: 1e6})
	}
	if p := pairs.Rows()[0]; len(p.Ports) != 16 || !p.MorePorts || p.Flows != 40 {
		t.Errorf("many ports: %+v", p)
	}
}

// TestJudge: what lowers the grade, and that each reason has its meaning.
func TestJudge(t *testing.T) {
	for name, c := range map[string]struct {
		q    flow.Quality
		s    capture.Stats
		want string
		says string
	}{
		"nothing":          {want: "F", says: "no packets"},
		"clean":            {q: flow.Quality{Packets: 100, Conversations: 50, OneSidedFlows: 2}, want: "A"},
		"few drops":        {q: flow.Quality{Packets: 1e6}, s: capture.Stats{Dropped: 1}, want: "B", says: "1 packets (under 0.1 %)"},
		"many drops":       {q: flow.Quality{Packets: 900}, s: capture.Stats{Dropped: 60, IfDropped: 40}, want: "D", says: "100 packets (10 %)"},
		"half one-sided":   {q: flow.Quality{Packets: 100, Conversations: 50, OneSidedFlows: 25}, want: "C", says: "25 of 50"},
		"one direction":    {q: flow.Quality{Packets: 100, Conversations: 50, OneSidedFlows: 50}, want: "D", says: "50 of 50"},
		"undecodable":      {q: flow.Quality{Packets: 100, Undecoded: 100}, want: "F", says: "could not be decoded"},
		"all twice":        {q: flow.Quality{Packets: 100, Duplicates: 50}, want: "C", says: "copies"},
		"headers only":     {q: flow.Quality{Packets: 100, Truncated: 100}, want: "B", says: "stored shorter"},
		"offload":          {q: flow.Quality{Packets: 100, Giants: 3, Largest: 60000}, want: "A", says: "60000: segmentation offload"},
		"orphans":          {q: flow.Quality{Packets: 100, Orphans: 1}, want: "B", says: "1 fragments"},
		"evicted":          {q: flow.Quality{Packets: 100, Flows: 9, Evicted: 3}, want: "A", says: "3 of 9"},
		"the worst counts": {q: flow.Quality{Packets: 100, Truncated: 100, Undecoded: 60}, want: "D", says: "60 packets"},
	} {
		t.Run(name, func(t *testing.T) {
			g := flow.Judge(c.q, c.s)
			if g.Letter != c.want || !strings.Contains(strings.Join(g.Because, "\n"), c.says) {
				t.Errorf("%+v, want %s: %s", g, c.want, c.says)
			}
			if len(g.Because) != len(g.Means) || (g.Letter != "A") != (len(g.Because) > 0) && c.says == "" {
				t.Errorf("reasons without meaning: %+v", g)
			}
		})
	}
}
