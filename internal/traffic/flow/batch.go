package flow

import (
	"encoding/binary"

	"github.com/portreeve/portreeve/internal/traffic/wire"
)

// Seen is what a packet's source says of it: when it was taken (Unix
// nanoseconds), its length on the wire and how much of it was stored.
type Seen struct {
	When         int64
	Wire, Stored uint32
}

// Looked is what can be told of a packet without the flows: its key, as far
// as it could be known, hashes, and what most packets are counted by, so that
// the packet itself need not be fetched again. Table.Look fills it.
type Looked struct {
	key            key
	mixed, content uint64
	seen           Seen
	seq, ack       uint32
	payload        uint32 // its length
	flags          uint16
	link           uint16
	hops           uint8
	ip, ok         bool // it is an IP packet; its key is known
	plain          bool // nothing is to be noted but what is here
	tcp            bool
	whole          bool // all of the payload was captured
	shut           bool // TCP's window is 0
	numbered       bool // IPv4 with an identification
	brief          bool // of LookBrief: the packet was not decoded in full
	judged, copied bool // of Judge
}

// Look tells what Add needs to know of a packet before it touches a flow. It
// changes nothing and may run beside Add in another goroutine: that is half
// of the work.
func (t *Table) Look(p *wire.Packet, s Seen, l *Looked) {
	l.seen, l.ip, l.plain, l.brief, l.judged = s, p.Kind == wire.KindIP, false, false, false
	if !l.ip {
		l.ok, l.key.srcPort, l.key.dstPort = false, 0, 0
		return
	}
	l.ok = keyOf(p, &l.key)
	l.mixed = l.key.mix(t.seed)
	l.content, l.link, l.hops = contentHash(l.mixed, p), linkHash(p), p.TTL
	l.flags, l.seq, l.ack, l.payload = p.Flags, p.Seq, p.Ack, p.PayloadLen
	l.tcp, l.shut, l.whole = p.HasTCP, p.Window == 0, uint32(len(p.Payload)) >= p.PayloadLen
	l.numbered = p.Version == 4 && p.ID != 0
	l.plain = l.ok && p.Problem == wire.NoProblem && !p.IsFragment && p.CarrierVersion == 0 && !p.HasQuote && p.IPLen <= ethernetMTU &&
		(p.Proto == protoTCP && l.tcp || p.Proto == protoUDP)
}

// LookBrief is Look for a packet of which only the brief form is known. Add
// asks for the whole one (Packets) when it begins a flow, and the like. False:
// the packet must be looked at in full.
func (t *Table) LookBrief(b *wire.Brief, s Seen, l *Looked) bool {
	if b.IPLen > ethernetMTU || b.Flags&(flagSYN|flagFIN|flagRST) != 0 {
		return false
	}
	l.seen, l.judged = s, false
	l.key.src, l.key.dst = mapped(b.Src), mapped(b.Dst)
	l.key.srcPort, l.key.dstPort, l.key.proto, l.key.bits = b.SrcPort, b.DstPort, b.Proto, 0
	l.mixed = mix4(b.Src, b.Dst, b.SrcPort, b.DstPort, b.Proto, t.seed)
	l.content, l.link, l.hops = briefHash(l.mixed, b), uint16(macHash(b.MACs[8:], b.MACs[2:])>>16), b.TTL
	l.flags, l.seq, l.ack, l.payload = b.Flags, b.Seq, b.Ack, b.PayloadLen
	l.tcp, l.shut, l.whole = b.Proto == protoTCP, b.Window == 0, uint32(len(b.Payload)) >= b.PayloadLen
	l.numbered, l.ip, l.ok, l.plain, l.brief = b.ID != 0, true, true, true, true
	return true
}

func mapped(addr uint32) (a [16]byte) {
	a[10], a[11] = 0xff, 0xff
	binary.BigEndian.PutUint32(a[12:], addr)
	return a
}

// Judge tells beforehand whether a packet that was looked at is a copy of an
// earlier one, so that Add need not. It may run beside Add, but then for all
// packets, in their order and in one goroutine.
func (t *Table) Judge(l *Looked) {
	if l.ip {
		l.judged, l.copied = true, t.copies.seen(l)
	}
}

// Brief tells that LookBrief took the packet.
func (l *Looked) Brief() bool { return l.brief }

// Packets gives the packet at an index, decoded in full.
type Packets interface{ Packet(i int) *wire.Packet }

// decoded are packets that are decoded already.
type decoded []wire.Packet

func (d *decoded) Packet(i int) *wire.Packet { return &(*d)[i] }

// single is one packet.
type single struct{ p *wire.Packet }

func (s *single) Packet(int) *wire.Packet { return s.p }

// When is when the packet was taken.
func (l *Looked) When() int64 { return l.seen.When }

// Ports are the packet's, or what its flow has for them.
func (l *Looked) Ports() (src, dst uint16) { return l.key.srcPort, l.key.dstPort }

// aheadOf are how many packets are looked up before the first of them is
// counted: what they touch has to stay in the first cache meanwhile.
const aheadOf = 64

// AddBatch is Add for several packets, and faster.
func (t *Table) AddBatch(packets []wire.Packet, seen []Seen) {
	for len(packets) > 0 {
		n := min(len(packets), aheadOf)
		for i := range packets[:n] {
			t.Look(&packets[i], seen[i], &t.ahead[i])
		}
		t.given = packets[:n]
		t.addLooked(&t.given, 0, t.ahead[:n])
		packets, seen = packets[n:], seen[n:]
	}
	t.given = nil
}

// AddLooked is Add for several packets of which Look has told. With many flows
// nearly all time goes into waiting for memory, and here the processor waits
// for several flows at once.
func (t *Table) AddLooked(packets Packets, looked []Looked) {
	for first := 0; first < len(looked); first += aheadOf {
		t.addLooked(packets, first, looked[first:min(first+aheadOf, len(looked))])
	}
}

// addLooked is AddLooked for few, of which the first is packet first.
func (t *Table) addLooked(packets Packets, first int, looked []Looked) {
	t.lookAhead(looked)
	for i := range looked {
		t.add(packets, first+i, &looked[i])
	}
}

// lookAhead reads what add will read, and uses none of it: loads that do not
// depend on one another overlap. First all slots, then all records.
func (t *Table) lookAhead(looked []Looked) {
	sum := t.touched
	for i := range looked {
		l := &looked[i]
		sum += t.index.slots[t.index.home(hashOf(l.mixed))]
		if !l.judged {
			sum += t.copies.at(l.content).hash
		}
	}
	for i := range looked {
		sum += t.glance(hashOf(looked[i].mixed))
	}
	t.touched = sum
}

// glance reads the record that a look-up would compare first, both its lines.
func (t *Table) glance(hash uint32) uint32 {
	x, want := &t.index, tag(hash)
	for i := x.home(hash); x.slots[i] != 0; i = x.next(i) {
		if x.slots[i]&^numberMask == want {
			r := t.record(x.slots[i]&numberMask - 1)
			return r.hash + uint32(r.last)
		}
	}
	return 0
}
