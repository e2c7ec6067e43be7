package negotiate

import (
	"time"

	"github.com/portreeve/portreeve/internal/traffic/wire"
)

// Transport protocol numbers (IANA).
const (
	protoTCP = 6
	protoUDP = 17
	protoGRE = 47
)

// Options limit what a Watcher keeps. Zero takes the default.
type Options struct {
	MaxExpect  int // expectations; default 16,384
	MaxControl int // TCP control connections; default 4,096
	MaxBytes   int // bytes kept of unfinished messages, all together; default 4 MiB
	MaxPending int // questions without an answer yet, and calls; default 4,096
}

func (o Options) filled() Options {
	return Options{
		MaxExpect:  or(o.MaxExpect, 16<<10),
		MaxControl: or(o.MaxControl, 4<<10),
		MaxBytes:   or(o.MaxBytes, 4<<20),
		MaxPending: or(o.MaxPending, 4<<10),
	}
}

func or(n, otherwise int) int {
	if n > 0 {
		return n
	}
	return otherwise
}

// Endpoint is an address (16 bytes, IPv4 as ::ffff:a.b.c.d) and a port.
type Endpoint struct {
	Addr [16]byte
	Port uint16
}

// Agreement is what is known of a flow whose ports were agreed in band.
type Agreement struct {
	// Name is what the flow is: "ftp-data", "tftp-data", "rtp", "rtcp",
	// "irc-dcc", "pptp-gre", "turn-relay", "nat-mapping", "oracle-tns",
	// "dcom", "msrpc" or an interface's name, "onc-rpc" or a program's name.
	Name string
	// ControlProto is the protocol in which it was agreed: "ftp", "rpcbind",
	// "msrpc", "sip", "mgcp", "rtsp", "tftp", "irc", "pptp", "turn",
	// "nat-pmp", "pcp", "oracle-tns".
	ControlProto string
	// Control and ControlClient are the control flow's server and client.
	Control, ControlClient Endpoint
	// Detail is more, made of fixed words and numbers: "passive", "program
	// 100005 version 3", "audio".
	Detail string
	// Since and Until are Unix nanoseconds: when it was agreed, and until
	// when a flow that begins is taken for it.
	Since, Until int64
}

// Watcher learns agreements.
type Watcher struct {
	opt     Options
	control ports // one of the ports of a packet that may be control traffic
	starts  [4]uint64
	tables  *tables
	learned map[uint16]int // connections on ports that are in control only for them

	conns   conns
	expects expects
	asked   asked
	calls   calls
}

// New makes a Watcher.
func New(o Options) *Watcher {
	t := loadTables()
	w := &Watcher{opt: o.filled(), control: t.ports, tables: t, learned: map[uint16]int{}}
	for _, word := range t.words {
		c := word.text[0]
		w.starts[c>>6] |= 1 << (c & 63)
	}
	w.conns = newConns(w.opt.MaxControl, w.opt.MaxBytes)
	w.expects = newExpects(w.opt.MaxExpect)
	w.asked = newAsked(w.opt.MaxPending)
	w.calls = newCalls(w.opt.MaxPending)
	return w
}

// ports is a set of port numbers.
type ports [1 << 16 / 64]uint64

func (s *ports) has(p uint16) bool { return s[p>>6]&(1<<(p&63)) != 0 }
func (s *ports) add(p uint16)      { s[p>>6] |= 1 << (p & 63) }
func (s *ports) remove(p uint16)   { s[p>>6] &^= 1 << (p & 63) }

// Packet reads a packet, taken at when (Unix nanoseconds). Payload is not kept.
// For what is no control traffic it costs a few nanoseconds and allocates
// nothing.
func (w *Watcher) Packet(p *wire.Packet, when int64) {
	if w.Control(p.SrcPort, p.DstPort) {
		w.look(p, when)
	} else if w.Begins(p.Payload) {
		w.word(p, when)
	}
}

// Control tells whether a packet between these ports may be control traffic.
// Packet need not be called when neither Control nor Begins says so.
func (w *Watcher) Control(src, dst uint16) bool { return w.control.has(src) || w.control.has(dst) }

// Begins tells whether a payload begins as control messages do that come on
// any port. It may be called beside Packet, from another goroutine.
func (w *Watcher) Begins(payload []byte) bool {
	if len(payload) < 8 {
		return false
	}
	c := payload[0]
	return w.starts[c>>6]&(1<<(c&63)) != 0
}

// look reads a packet with a port of the tables.
func (w *Watcher) look(p *wire.Packet, when int64) {
	if !p.HasPorts {
		return
	}
	switch p.Proto {
	case protoTCP:
		if p.HasTCP {
			w.segment(p, when)
		}
	case protoUDP:
		w.datagram(p, when)
	}
}

// word reads a packet on other ports when it begins as a control message does.
func (w *Watcher) word(p *wire.Packet, when int64) {
	kind := w.tables.words.kind(p.Payload)
	if kind == noKind || !p.HasPorts {
		return
	}
	switch {
	case p.Proto == protoUDP && kind == sip:
		w.sipDatagram(p, when)
	case p.Proto == protoTCP && p.HasTCP:
		w.adopt(p, kind, when)
	}
}

// datagram gives a UDP packet to whoever reads its port. An answer comes from
// that port; where both are known, the destination's is tried first.
func (w *Watcher) datagram(p *wire.Packet, when int64) {
	if len(p.Payload) == 0 {
		return
	}
	if k := w.tables.kind(protoUDP, p.DstPort); k != noKind {
		w.read(p, k, false, when)
	}
	if k := w.tables.kind(protoUDP, p.SrcPort); k != noKind && k != sip {
		w.read(p, k, true, when)
	} else if k == sip && w.tables.kind(protoUDP, p.DstPort) != sip {
		w.read(p, k, true, when)
	}
}

func (w *Watcher) read(p *wire.Packet, k kind, answer bool, when int64) {
	x := exchange{w: w, server: Endpoint{p.Dst, p.DstPort}, client: Endpoint{p.Src, p.SrcPort}, fromServer: answer, when: when, proto: protoUDP}
	if answer {
		x.server, x.client = x.client, x.server
	}
	switch k {
	case sip:
		w.sipDatagram(p, when)
	case rpcbind:
		x.rpc(p.Payload)
	case tftp:
		x.tftp(p.Payload)
	case turn:
		x.stun(p.Payload)
	case natpmp:
		x.mapping(p.Payload)
	case mgcp:
		x.mgcp(p.Payload)
	}
}

// exchange is a message's place: who sent it to whom, and when.
type exchange struct {
	w              *Watcher
	conn           *conn // nil for datagrams
	life           *life // with which what is agreed ends; nil: it outlives it
	server, client Endpoint
	fromServer     bool
	when           int64
	proto          uint8
}

// sender and receiver are the endpoints of the message.
func (x *exchange) sender() Endpoint {
	if x.fromServer {
		return x.server
	}
	return x.client
}

func (x *exchange) receiver() Endpoint {
	if x.fromServer {
		return x.client
	}
	return x.server
}

// agree notes that peer (any: everyone) is to use an endpoint.
func (x *exchange) agree(proto uint8, at Endpoint, peer [16]byte, a Agreement, hold time.Duration) {
	a.Control, a.ControlClient = x.server, x.client
	if a.Since == 0 {
		a.Since = x.when
	}
	a.Until = x.when + int64(hold)
	x.w.expects.add(expectKey{proto: proto, at: at, peer: peer}, a, x.life)
}

// told notes an endpoint that the sender names for itself to its peer: at the
// address that it names and, when that is another, at the one it is seen with
// (one of both is behind address translation).
func (x *exchange) told(proto uint8, named [16]byte, port uint16, a Agreement, hold time.Duration) {
	if port < firstFree {
		return
	}
	x.agree(proto, Endpoint{x.sender().Addr, port}, x.receiver().Addr, a, hold)
	if named != x.sender().Addr && ordinary(named) {
		x.agree(proto, Endpoint{named, port}, x.receiver().Addr, a, hold)
	}
}

// firstFree is the lowest port that is believed of anyone but an endpoint
// mapper: those below are assigned, and a claim to one is an error or a trap.
const firstFree = 1024

// Label tells what was agreed about a flow from src to dst (in either
// direction) that began at first, Unix nanoseconds. Ask when the flow begins,
// and where that told nothing once more at its end.
func (w *Watcher) Label(proto uint8, src [16]byte, sport uint16, dst [16]byte, dport uint16, first int64) (Agreement, bool) {
	s, d := Endpoint{src, sport}, Endpoint{dst, dport}
	if a := w.agreed(proto, d, s, first); a != nil {
		return *a, true
	}
	if a := w.agreed(proto, s, d, first); a != nil {
		return *a, true
	}
	return Agreement{}, false
}

// agreed is what holds for an endpoint and who uses it.
func (w *Watcher) agreed(proto uint8, at, user Endpoint, first int64) *Agreement {
	if !w.expects.seen.has(at.Port) {
		return nil
	}
	for _, peer := range [2][16]byte{user.Addr, anyone} {
		if a := w.expects.find(expectKey{proto, at, peer}, first); a != nil && !isControl(a, at, user) {
			return a
		}
	}
	return nil
}

// isControl reports the control flow itself: a TFTP request comes from the
// port to which the transfer goes.
func isControl(a *Agreement, s, d Endpoint) bool {
	return a.Control == s && a.ControlClient == d || a.Control == d && a.ControlClient == s
}
