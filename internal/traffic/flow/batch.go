package flow

import "github.com/portreeve/portreeve/internal/traffic/wire"

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
}

// Look tells what Add needs to know of a packet before it touches a flow. It
// changes nothing and may run beside Add in another goroutine: that is half
// of the work.
func (t *Table) Look(p *wire.Packet, s Seen, l *Looked) {
	l.seen, l.ip, l.plain = s, p.Kind == wire.KindIP, false
	if !l.ip {
		l.ok, l.key.srcPort, l.key.dstPort = false, 0, 0
		return
	}
	l.ok = keyOf(p, &l.key)
	l.mixed = l.key.mix(t.seed)
	l.content, l.link, l.hops = contentHash(l.mixed, p), linkHash(p), p.TTL
	l.flags, l.seq, l.ack, l.payload = p.Flags, p.Seq, p.Ack, p.PayloadLen
	l.tcp, l.shut, l.whole = p.HasTCP, p.Window == 0, uint32(len(p.Payload)) >= p.PayloadLen
	l.plain = l.ok && p.Problem == wire.NoProblem && !p.IsFragment && p.CarrierVersion == 0 && !p.HasQuote && p.IPLen <= ethernetMTU &&
		(p.Proto == protoTCP && l.tcp || p.Proto == protoUDP)
}

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
		t.AddLooked(packets[:n], t.ahead[:n])
		packets, seen = packets[n:], seen[n:]
	}
}

// AddLooked is Add for several packets of which Look has told. With many flows
// nearly all time goes into waiting for memory, and here the processor waits
// for several flows at once.
func (t *Table) AddLooked(packets []wire.Packet, looked []Looked) {
	for len(packets) > 0 {
		n := min(len(packets), aheadOf)
		t.lookAhead(looked[:n])
		for i := range packets[:n] {
			t.add(&packets[i], &looked[i])
		}
		packets, looked = packets[n:], looked[n:]
	}
}

// lookAhead reads what add will read, and uses none of it: loads that do not
// depend on one another overlap. First all slots, then all records.
func (t *Table) lookAhead(looked []Looked) {
	sum := t.touched
	for i := range looked {
		l := &looked[i]
		sum += t.index.slots[t.index.home(hashOf(l.mixed))] + t.copies.at(l.content).hash
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
