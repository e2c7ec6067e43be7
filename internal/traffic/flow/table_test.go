package flow_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/portreeve/portreeve/internal/traffic/flow"
	"github.com/portreeve/portreeve/internal/traffic/wire"
)

// The flags of TCP that the scripts below use.
const (
	fin = 1
	syn = 2
	rst = 4
	ack = 16
)

// packet is one of a script: from host 1 or 2, whose ports are 40000 and 80
// unless changed.
type packet struct {
	from     int
	flags    uint16
	seq, ack uint32
	len      uint32
	at       time.Duration
	change   func(*wire.Packet)
}

var ports = [3]uint16{1: 40000, 2: 80}

func (s packet) wire(proto uint8) wire.Packet {
	to := 3 - s.from
	p := wire.Packet{
		Kind: wire.KindIP, Version: 4, Proto: proto, TTL: 64, Src: host(s.from), Dst: host(to),
		SrcPort: ports[s.from], DstPort: ports[to], HasPorts: true, HasTCP: proto == 6,
		Flags: s.flags, Seq: s.seq, Ack: s.ack, Window: 100, PayloadLen: s.len, Payload: make([]byte, s.len),
		IPLen: 40 + s.len,
	}
	if s.change != nil {
		s.change(&p)
	}
	return p
}

// play gives a table a script and reads its flows.
func play(proto uint8, opt flow.Options, script ...packet) []flow.Flow {
	table := flow.NewTable(opt)
	for _, s := range script {
		p := s.wire(proto)
		table.Add(&p, int64(1e18)+int64(s.at), 54+s.len, 54+s.len)
	}
	return flows(table)
}

func fromPort(src, dst uint16) func(*wire.Packet) {
	return func(p *wire.Packet) { p.SrcPort, p.DstPort = src, dst }
}

func shut(p *wire.Packet) { p.Window = 0 }

// repeat gives n of a packet.
func repeat(n int, p packet) []packet {
	out := make([]packet, n)
	for i := range out {
		out[i] = p
	}
	return out
}

// open are the three packets of a handshake; host 1 asks.
func open(more ...packet) []packet {
	return append([]packet{
		{from: 1, flags: syn, seq: 100}, {from: 2, flags: syn | ack, seq: 500, ack: 101},
		{from: 1, flags: ack, seq: 101, ack: 501},
	}, more...)
}

// TestConnState: each of Zeek's states and letters, as its documentation
// (scripts/base/protocols/conn/main.zeek) describes them.
func TestConnState(t *testing.T) {
	request := packet{from: 1, flags: ack, seq: 101, ack: 501, len: 10}
	reply := packet{from: 2, flags: ack, seq: 501, ack: 111, len: 20}
	for name, c := range map[string]struct {
		script         []packet
		state, history string
		client         int // the host; 0: 1
	}{
		"attempt":         {script: []packet{{from: 1, flags: syn, seq: 1}}, state: "S0", history: "S"},
		"attempt, again":  {script: []packet{{from: 1, flags: syn, seq: 1}, {from: 1, flags: syn, seq: 1, at: time.Second}}, state: "S0", history: "S"},
		"refused":         {script: []packet{{from: 1, flags: syn, seq: 1}, {from: 2, flags: rst | ack, ack: 2}}, state: "REJ", history: "Sr"},
		"established":     {script: open(request, reply), state: "S1", history: "ShADd"},
		"client's FIN":    {script: open(packet{from: 1, flags: fin | ack, seq: 101, ack: 501}), state: "S2", history: "ShAF"},
		"server's FIN":    {script: open(packet{from: 2, flags: fin | ack, seq: 501, ack: 101}), state: "S3", history: "ShAf"},
		"both FIN":        {script: open(packet{from: 1, flags: fin | ack, seq: 101, ack: 501}, packet{from: 2, flags: fin | ack, seq: 501, ack: 102}, packet{from: 1, flags: ack, seq: 102, ack: 502}), state: "SF", history: "ShAFf"},
		"client's RST":    {script: open(packet{from: 1, flags: rst, seq: 101}), state: "RSTO", history: "ShAR"},
		"server's RST":    {script: open(packet{from: 2, flags: rst, seq: 501}), state: "RSTR", history: "ShAr"},
		"SYN, RST":        {script: []packet{{from: 1, flags: syn, seq: 1}, {from: 1, flags: rst, seq: 2}}, state: "RSTOS0", history: "SR"},
		"SYN, FIN":        {script: []packet{{from: 1, flags: syn, seq: 1}, {from: 1, flags: fin | ack, seq: 2}}, state: "SH", history: "SF"},
		"SYN-ACK, RST":    {script: []packet{{from: 2, flags: syn | ack, seq: 5, ack: 2}, {from: 2, flags: rst, seq: 6}}, state: "RSTRH", history: "^hr"},
		"SYN-ACK, FIN":    {script: []packet{{from: 2, flags: syn | ack, seq: 5, ack: 2}, {from: 2, flags: fin | ack, seq: 6, ack: 2}}, state: "SHR", history: "^hf"},
		"missed SYN":      {script: []packet{{from: 2, flags: syn | ack, seq: 5, ack: 2}, {from: 1, flags: ack, seq: 2, ack: 6}}, state: "S1", history: "^hA"},
		"late SYN":        {script: []packet{{from: 2, flags: syn | ack, seq: 5, ack: 2}, {from: 1, flags: syn, seq: 1}, {from: 1, flags: ack, seq: 2, ack: 6}}, state: "S1", history: "^hSA"},
		"midstream":       {script: []packet{request, reply}, state: "OTH", history: "Dd"},
		"midstream, back": {script: []packet{reply, request}, state: "OTH", history: "^dD"},
		"FIN and RST":     {script: open(packet{from: 1, flags: fin | rst, seq: 101}), state: "RSTO", history: "ShAI"},
		"SYN and FIN":     {script: []packet{{from: 1, flags: syn | fin, seq: 1}}, state: "SH", history: "Q"},
		"retransmission":  {script: open(request, request), state: "S1", history: "ShADT"},
		"ten of them":     {script: open(append([]packet{request}, repeat(10, request)...)...), state: "S1", history: "ShADTT"},
		"zero window":     {script: open(packet{from: 2, flags: ack, seq: 501, ack: 101, change: shut}), state: "S1", history: "ShAaw"},
		"gap":             {script: open(packet{from: 2, flags: ack, seq: 501, ack: 300}), state: "S1", history: "ShAaG"},
		"gap, then found": {script: open(packet{from: 1, flags: ack, seq: 111, ack: 501, len: 10}, packet{from: 1, flags: ack, seq: 101, ack: 501, len: 10}, packet{from: 2, flags: ack, seq: 501, ack: 121}), state: "S1", history: "ShADTa"},
		"FINs repeated":   {script: open(packet{from: 1, flags: fin | ack, seq: 101, ack: 501}, packet{from: 1, flags: fin | ack, seq: 101, ack: 501}, packet{from: 1, flags: fin | ack, seq: 105, ack: 501}), state: "S2", history: "ShAFF"},
	} {
		t.Run(name, func(t *testing.T) {
			got := play(6, flow.Options{}, c.script...)
			if len(got) != 1 {
				t.Fatalf("%d flows: %v", len(got), got)
			}
			f := got[0]
			if f.State.String() != c.state || f.History != c.history || f.Client != host(max(c.client, 1)) {
				t.Errorf("%v %s, client %v; want %s %s", f.State, f.History, addr(f.Client), c.state, c.history)
			}
		})
	}
}

// TestNewFlow: when packets of the same ends are another flow.
func TestNewFlow(t *testing.T) {
	closed := open(packet{from: 1, flags: fin | ack, seq: 101, ack: 501}, packet{from: 2, flags: fin | ack, seq: 501, ack: 102})
	then := func(s []packet, more ...packet) []packet { return append(append([]packet{}, s...), more...) }
	sec := time.Second
	for name, c := range map[string]struct {
		proto  uint8
		script []packet
		want   int
	}{
		"last ACK":                   {6, then(closed, packet{from: 1, flags: ack, seq: 102, ack: 502, at: sec}), 1},
		"a SYN after the end":        {6, then(closed, packet{from: 1, flags: syn, seq: 100, at: sec}), 2},
		"five seconds after the end": {6, then(closed, packet{from: 1, flags: ack, seq: 102, ack: 502, at: 5 * sec}), 2},
		"another SYN":                {6, open(packet{from: 1, flags: syn, seq: 9000, at: sec}), 2},
		"the same SYN":               {6, open(packet{from: 1, flags: syn, seq: 100, at: sec}), 1},
		"five minutes' silence":      {6, open(packet{from: 1, flags: ack, seq: 101, ack: 501, len: 1, at: 300 * sec}), 2},
		"nearly":                     {6, open(packet{from: 1, flags: ack, seq: 101, ack: 501, len: 1, at: 299 * sec}), 1},
		"unanswered for 5 s":         {6, []packet{{from: 1, flags: syn, seq: 1}, {from: 1, flags: syn, seq: 1, at: 5 * sec}}, 2},
		"answered after 6 s":         {6, []packet{{from: 1, flags: syn, seq: 1}, {from: 2, flags: syn | ack, seq: 9, ack: 2, at: 6 * sec}}, 1},
		"unanswered for 4 s":         {6, []packet{{from: 1, flags: syn, seq: 1}, {from: 1, flags: syn, seq: 1, at: 4 * sec}}, 1},
		"UDP, a minute":              {17, []packet{{from: 1}, {from: 2, at: 60 * sec}}, 2},
		"UDP, less":                  {17, []packet{{from: 1}, {from: 2, at: 59 * sec}}, 1},
	} {
		t.Run(name, func(t *testing.T) {
			if got := play(c.proto, flow.Options{}, c.script...); len(got) != c.want {
				t.Errorf("%d flows, want %d", len(got), c.want)
			}
		})
	}
}

// TestOrientation: by what client and server are told apart.
func TestOrientation(t *testing.T) {
	listens := func(n int, port uint16) func(uint8, [16]byte, uint16) (bool, bool) {
		return func(_ uint8, a [16]byte, p uint16) (bool, bool) { return a == host(n) && p == port, a == host(n) }
	}
	registered := func(ports ...uint16) func(uint8, uint16) bool {
		return func(_ uint8, p uint16) bool {
			for _, r := range ports {
				if p == r {
					return true
				}
			}
			return false
		}
	}
	data := func(from int, src, dst uint16) packet {
		return packet{from: from, flags: ack, seq: 1, ack: 1, len: 5, change: fromPort(src, dst)}
	}
	group := func(p *wire.Packet) {
		p.Dst = [16]byte{10: 0xff, 11: 0xff, 12: 239, 15: 1}
		p.SrcPort, p.DstPort = 53, 5000
	}
	for name, c := range map[string]struct {
		proto  uint8
		opt    flow.Options
		script []packet
		client int
		by     flow.Orientation
	}{
		"SYN":                         {6, flow.Options{Listener: listens(1, 40000)}, []packet{{from: 1, flags: syn}}, 1, flow.BySYN},
		"SYN to a client's port":      {6, flow.Options{}, []packet{{from: 2, flags: syn}}, 2, flow.BySYN},
		"SYN-ACK":                     {6, flow.Options{}, []packet{{from: 1, flags: syn | ack}}, 2, flow.BySYNACK},
		"SYN-ACK to a listener":       {6, flow.Options{Listener: listens(2, 80)}, []packet{{from: 1, flags: syn | ack}, {from: 2, flags: rst}}, 1, flow.ByListener},
		"SYN-ACK after data":          {6, flow.Options{}, []packet{data(1, 80, 40000), {from: 1, flags: syn | ack, change: fromPort(80, 40000)}}, 2, flow.BySYNACK},
		"LISTEN table":                {6, flow.Options{Listener: listens(1, 40000)}, []packet{data(1, 40000, 80)}, 2, flow.ByListener},
		"LISTEN table, both":          {6, flow.Options{Listener: func(uint8, [16]byte, uint16) (bool, bool) { return true, true }}, []packet{data(1, 40000, 80)}, 1, flow.ByRegistry},
		"well-known port":             {6, flow.Options{}, []packet{data(2, 80, 40000)}, 1, flow.ByRegistry},
		"system port":                 {6, flow.Options{}, []packet{data(2, 700, 40000)}, 1, flow.ByRegistry},
		"registered port, TCP":        {6, flow.Options{Registry: registered(30001)}, []packet{data(2, 30001, 40000)}, 1, flow.ByRegistry},
		"registered port, UDP":        {17, flow.Options{Registry: registered(30001)}, []packet{data(2, 30001, 40000)}, 2, flow.ByFirstPacket},
		"registered port, UDP, to it": {17, flow.Options{Registry: registered(40001)}, []packet{data(2, 30001, 40001)}, 2, flow.ByRegistry},
		"two well-known ports, TCP":   {6, flow.Options{}, []packet{data(2, 80, 8080)}, 1, flow.ByRegistry},
		"two well-known ports, UDP":   {17, flow.Options{}, []packet{data(2, 53, 5353)}, 2, flow.ByFirstPacket},
		"DNS answer":                  {17, flow.Options{}, []packet{data(2, 53, 40000)}, 1, flow.ByRegistry},
		"unknown ports":               {6, flow.Options{}, []packet{data(2, 50001, 50002)}, 2, flow.ByFirstPacket},
		"multicast":                   {17, flow.Options{}, []packet{{from: 1, change: group}}, 1, flow.ByFirstPacket},
		"SCTP INIT":                   {132, flow.Options{}, []packet{{from: 2, flags: 1, len: 4}}, 2, flow.BySYN},
		"SCTP INIT ACK":               {132, flow.Options{}, []packet{{from: 1, flags: 2, len: 4}}, 2, flow.BySYNACK},
		"DCCP Request":                {33, flow.Options{}, []packet{{from: 2, flags: 0}}, 2, flow.BySYN},
	} {
		t.Run(name, func(t *testing.T) {
			f := play(c.proto, c.opt, c.script...)[0]
			if f.Client != host(c.client) || f.OrientedBy != c.by {
				t.Errorf("client %v by %v, want host %d by %v", addr(f.Client), f.OrientedBy, c.client, c.by)
			}
		})
	}
	stealth := play(6, flow.Options{Listener: listens(2, 80)}, packet{from: 1, flags: syn | ack}, packet{from: 2, flags: rst})[0]
	if stealth.State != flow.REJ || stealth.History != "Hr" {
		t.Errorf("a SYN-ACK that a listener refuses: %v %s, want REJ Hr", stealth.State, stealth.History)
	}
}

// TestFlowFields: what is not about state.
func TestFlowFields(t *testing.T) {
	tagged := func(p *wire.Packet) {
		p.VLANCount, p.VLANs, p.Depth, p.Tunnels = 1, [2]uint16{7}, 1, [6]wire.Tunnel{wire.VXLAN}
	}
	other := func(p *wire.Packet) { p.VLANCount, p.VLANs = 1, [2]uint16{8} }
	opt := flow.Options{Label: func(f *flow.Flow) string { return "called" }}
	got := play(17, opt, packet{from: 1, len: 10, change: tagged}, packet{from: 2, len: 20, at: 3, change: other}, packet{from: 2, len: 1, at: 2})
	want := []flow.Flow{{
		Proto: 17, Client: host(1), Server: host(2), ClientPort: 40000, ServerPort: 80,
		PacketsToServer: 1, PacketsToClient: 2, BytesToServer: 64, BytesToClient: 74 + 55,
		First: 1e18, Last: 1e18 + 3, State: flow.SF, History: "Dd", OrientedBy: flow.ByRegistry,
		HasVLAN: true, VLAN: 7, Depth: 1, Tunnels: [6]wire.Tunnel{wire.VXLAN}, Label: "called",
	}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("want (-), got (+):\n%s", diff)
	}
}

// TestICMP: requests and answers are one flow, other messages have no way
// back, and an error marks the flow that it quotes.
func TestICMP(t *testing.T) {
	message := func(kind, code uint8) func(*wire.Packet) {
		return func(p *wire.Packet) {
			p.HasPorts, p.HasICMP, p.ICMPType, p.ICMPCode = false, true, kind, code
		}
	}
	echo := play(1, flow.Options{}, packet{from: 1, change: message(8, 0)}, packet{from: 2, change: message(0, 0)})
	if len(echo) != 1 || echo[0].ClientPort != 8 || echo[0].ServerPort != 0 || echo[0].PacketsToClient != 1 || echo[0].State != flow.OTH || echo[0].History != "" {
		t.Errorf("echo: %+v", echo)
	}
	if both := play(1, flow.Options{}, packet{from: 1, change: message(8, 0)}, packet{from: 2, change: message(8, 0)}); len(both) != 2 {
		t.Errorf("two that ask one another: %d flows", len(both))
	}
	// Type 1 code 4 one way and type 4 code 1 the other have the same ends.
	if errs := play(58, flow.Options{}, packet{from: 1, change: message(1, 4)}, packet{from: 2, change: message(4, 1)}); len(errs) != 2 {
		t.Errorf("errors in both directions: %d flows", len(errs))
	}
	table := flow.NewTable(flow.Options{})
	asked := packet{from: 1}.wire(17)
	table.Add(&asked, 1, 60, 60)
	answer := packet{from: 2, change: message(3, 3)}.wire(1)
	answer.HasQuote, answer.Quote = true, wire.Quote{Proto: 17, HasPorts: true, SrcPort: 40000, DstPort: 80, Src: host(1), Dst: host(2)}
	table.Add(&answer, 2, 60, 60)
	if f := flows(table)[0]; f.Refused != 1 || f.RefusedType != 3 || f.RefusedCode != 3 || f.PacketsToClient != 0 {
		t.Errorf("refused: %+v", f)
	}
}
