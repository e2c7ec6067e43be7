package flowfile

import (
	"net/netip"
	"time"

	"github.com/portreeve/portreeve/internal/exposure"
)

// pairs puts the two directions of a connection together, and the lines of one
// direction: exports without connections write each apart, and again for every
// interval in which there were packets.
type pairs struct {
	waiting map[tuple]*pair
	order   []tuple
	serves  func(proto exposure.Proto, port uint16) bool
	// shared counts how many waiting connections have a port on either side:
	// the server's is shared by many.
	shared map[portKey]int
	cut    bool
}

type portKey struct {
	proto exposure.Proto
	addr  netip.Addr
	port  uint16
}

// mostWaiting is how many connections wait for their other half.
const mostWaiting = 1 << 16

// oneWay is one direction of a connection as an export tells it.
type oneWay struct {
	tuple
	packets, bytes uint64
	first, last    time.Time
	in, out        string
	action         string // of a firewall, where its log is the source
	// syn: a TCP SYN without ACK was in it; synAck: with.
	syn, synAck bool
}

// pair is a connection: there is the direction seen first.
type pair struct {
	there, back oneWay
	hasBack     bool
}

func newPairs(serves func(exposure.Proto, uint16) bool) *pairs {
	return &pairs{waiting: map[tuple]*pair{}, shared: map[portKey]int{}, serves: serves}
}

func (t tuple) reversed() tuple {
	return tuple{t.proto, t.dst, t.src, t.dstPort, t.srcPort}
}

// add takes one line.
func (p *pairs) add(s *reader, w oneWay) {
	if old := p.waiting[w.tuple]; old != nil {
		old.there.grow(&w)
		return
	}
	if old := p.waiting[w.reversed()]; old != nil {
		if old.hasBack {
			old.back.grow(&w)
		} else {
			old.back, old.hasBack = w, true
		}
		return
	}
	if len(p.waiting) >= mostWaiting {
		p.cut = true
		p.giveOldest(s, mostWaiting/4)
	}
	p.waiting[w.tuple] = &pair{there: w}
	p.order = append(p.order, w.tuple)
	p.shared[portKey{w.proto, w.src, w.srcPort}]++
	p.shared[portKey{w.proto, w.dst, w.dstPort}]++
}

func (o *oneWay) grow(w *oneWay) {
	o.packets += w.packets
	o.bytes += w.bytes
	o.syn, o.synAck = o.syn || w.syn, o.synAck || w.synAck
	if !w.first.IsZero() && (o.first.IsZero() || w.first.Before(o.first)) {
		o.first = w.first
	}
	if w.last.After(o.last) {
		o.last = w.last
	}
}

func (p *pairs) giveOldest(s *reader, n int) {
	n = min(n, len(p.order))
	for _, k := range p.order[:n] {
		if c := p.waiting[k]; c != nil {
			s.give(p.flow(c))
			p.forget(c)
		}
	}
	p.order = append(p.order[:0], p.order[n:]...)
}

func (p *pairs) forget(c *pair) {
	w := c.there
	delete(p.waiting, w.tuple)
	for _, k := range []portKey{{w.proto, w.src, w.srcPort}, {w.proto, w.dst, w.dstPort}} {
		if p.shared[k]--; p.shared[k] <= 0 {
			delete(p.shared, k)
		}
	}
}

func (p *pairs) end(s *reader) {
	p.giveOldest(s, len(p.order))
	if p.cut {
		s.note("more than %d connections at once: of some the two directions may have been taken for two", mostWaiting)
	}
}

// flow makes a flow of a connection's directions.
func (p *pairs) flow(c *pair) *exposure.Flow {
	there, back := c.there, c.back
	if !c.hasBack {
		back = oneWay{tuple: there.reversed()}
	}
	turn, by := p.orient(c)
	if turn {
		there, back = back, there
	}
	f := &exposure.Flow{
		Proto: there.proto, Client: there.src, ClientPort: there.srcPort, Server: there.dst, ServerPort: there.dstPort,
		PacketsToServer: there.packets, PacketsToClient: back.packets, BytesToServer: there.bytes, BytesToClient: back.bytes,
		First: earliest(there.first, back.first), Last: latest(there.last, back.last),
		OrientedBy: by, In: there.in, Out: there.out, Action: c.there.action,
	}
	f.Answered = exposure.FlowUnanswered
	if c.hasBack {
		f.Answered = exposure.FlowAnswered
	}
	if there.packets == 0 { // only answers were seen
		f.Answered = exposure.AnswerUnknown
	}
	if c.hasBack && f.Proto == exposure.TCP && f.PacketsToClient == 1 && f.PacketsToServer <= 1 && !back.synAck {
		f.Answered = exposure.FlowRefused // a connection's answer has a handshake and an end
	}
	return f
}

// orient tells whether the direction seen first is the answer, and by what:
// the handshake's flags; a port that servers are known to use; a port below
// 1024 (RFC 6335 system ports) against one above; the port that more
// connections share; the dynamic range (RFC 6335: from 49152; Linux from
// 32768) against one below; else who was seen first.
func (p *pairs) orient(c *pair) (turn bool, by string) {
	w := c.there
	switch {
	case w.syn || c.back.synAck:
		return false, "syn"
	case w.synAck || c.back.syn:
		return true, "syn"
	case w.proto == exposure.ICMP || w.proto == exposure.ICMP6:
		return isReply(w.proto, w.srcPort), "icmp-type"
	}
	for _, test := range []struct {
		by string
		is func(addr netip.Addr, port uint16) bool
	}{
		{"port", func(_ netip.Addr, n uint16) bool { return n < 1024 }},
		{"registry", func(_ netip.Addr, n uint16) bool { return p.serves != nil && p.serves(w.proto, n) }},
	} {
		if src, dst := test.is(w.src, w.srcPort), test.is(w.dst, w.dstPort); src != dst {
			return src, test.by
		}
	}
	src, dst := p.shared[portKey{w.proto, w.src, w.srcPort}], p.shared[portKey{w.proto, w.dst, w.dstPort}]
	if src != dst {
		return src > dst, "shared-port"
	}
	const dynamic = 32768
	if (w.srcPort < dynamic) != (w.dstPort < dynamic) {
		return w.srcPort < dynamic, "port"
	}
	return false, "first-packet"
}

// isReply reports ICMP types that answer others (IANA icmp-parameters).
func isReply(proto exposure.Proto, typ uint16) bool {
	if proto == exposure.ICMP6 {
		return typ == 129
	}
	return typ == 0 || typ == 14 || typ == 16 || typ == 18
}

func earliest(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}

func latest(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}
