package flow

import (
	"math/rand/v2"

	"github.com/portreeve/portreeve/internal/traffic/wire"
)

// Options are what a Table needs to know of the world. All may be left out.
type Options struct {
	// MaxFlows bounds the flows that are kept; 0: 2^20. At most 2^22-2.
	MaxFlows int
	// Listener tells whether a port is listened on by the LISTEN table. known
	// is false for an address of which the table says nothing.
	Listener func(proto uint8, addr [16]byte, port uint16) (listens, known bool)
	// Registry tells whether a port is registered for a service.
	Registry func(proto uint8, port uint16) bool
	// Label names a flow whose ports were agreed in another one; called when
	// the flow is read.
	Label func(*Flow) string
	// Emit takes flows that leave the table before the end, because others
	// need the room. The value is used again afterwards. Without it they are
	// counted in Quality.Evicted and otherwise lost.
	Emit func(*Flow)
}

const (
	defaultFlows = 1 << 20
	maxFlows     = 1<<numberBits - 2
	none         = ^uint32(0)
	slabBits     = 10
	slabSize     = 1 << slabBits
)

// Table joins packets to flows. Use NewTable.
type Table struct {
	opt   Options
	max   uint32
	seed  uint64
	index index
	slabs []*slab
	made  uint32 // records that were ever used
	// head and tail are the ends of the list of records by first packet.
	head, tail uint32
	last       uint32 // the record of the last packet, or none
	hand       uint32 // where the search for room goes on

	long    map[uint32][]byte
	words   map[string]string
	scratch []byte
	flow    Flow
	ahead   [aheadOf]Looked
	one     single  // Add's packet, meanwhile
	given   decoded // AddBatch's packets, meanwhile
	touched uint32  // keeps the compiler from leaving out what AddBatch reads

	fragments fragments
	copies    copies
	quality   Quality
}

// NewTable makes an empty table.
func NewTable(opt Options) *Table {
	n := opt.MaxFlows
	if n <= 0 {
		n = defaultFlows
	}
	return &Table{
		opt: opt, max: uint32(min(n, maxFlows)), seed: rand.Uint64(), index: newIndex(),
		head: none, tail: none, last: none,
		long: map[uint32][]byte{}, words: map[string]string{},
	}
}

// slab is where flows are kept; they never move.
type slab struct {
	records [slabSize]record
	rests   [slabSize]rest
}

func (t *Table) record(number uint32) *record {
	return &t.slabs[number>>slabBits].records[number&(slabSize-1)]
}

func (t *Table) rest(number uint32) *rest {
	return &t.slabs[number>>slabBits].rests[number&(slabSize-1)]
}

// Add takes one packet that the filter selected: when in Unix nanoseconds, its
// length on the wire and what was stored of it. It keeps nothing of p.
func (t *Table) Add(p *wire.Packet, when int64, wireLen, stored uint32) {
	l := &t.ahead[0]
	t.Look(p, Seen{When: when, Wire: wireLen, Stored: stored}, l)
	t.one.p = p
	t.add(&t.one, 0, l)
	t.one.p = nil
}

// add counts packet i, of which l tells.
func (t *Table) add(ps Packets, i int, l *Looked) {
	q, s := &t.quality, &l.seen
	q.Packets++
	q.Bytes += uint64(s.Wire)
	if s.Stored < s.Wire {
		q.Truncated++
	}
	if l.plain {
		t.addPlain(ps, i, l)
		return
	}
	p := ps.Packet(i)
	if p.Problem != wire.NoProblem {
		q.Problems[p.Problem]++
	}
	switch p.Kind {
	case wire.KindOther:
		q.Other++
	case wire.KindIP:
		q.noteSize(p)
		t.noteCopy(l)
		t.addIP(ps, i, p, l)
	default:
		q.Undecoded++
	}
}

func (t *Table) addIP(ps Packets, i int, p *wire.Packet, l *Looked) {
	when := l.seen.When
	if p.IsFragment && (p.MoreFragments || p.FragOffset != 0) || p.CarrierVersion != 0 {
		t.quality.Fragments++
		if p.FragOffset != 0 {
			t.laterFragment(p, when, l.seen.Wire)
			return
		}
	}
	if !l.ok {
		t.quality.Undecoded++
		return
	}
	number, side := t.flowOf(ps, i, l)
	t.follow(number, t.record(number), side, ps, i, l)
	if p.HasQuote {
		t.quoted(p, l.key.bits&bitIPv6)
	}
	t.firstFragments(p, &l.key, when)
}

// addPlain is add for the common packet: TCP or UDP, whole, not too large.
func (t *Table) addPlain(ps Packets, i int, l *Looked) {
	t.noteCopy(l)
	number, side := t.flowOf(ps, i, l)
	t.follow(number, t.record(number), side, ps, i, l)
}

func (t *Table) noteCopy(l *Looked) {
	if l.judged && l.copied || !l.judged && t.copies.seen(l) {
		t.quality.Duplicates++
	}
}

// flowOf counts a packet in its flow and gives that, and the sender's side.
func (t *Table) flowOf(ps Packets, i int, l *Looked) (number uint32, side int) {
	hash, when := hashOf(l.mixed), l.seen.When
	number, side = t.lookUp(&l.key, hash)
	if number != none {
		r := t.record(number)
		if t.over(number, r, side, when) || l.tcp && l.flags&flagSYN != 0 && t.reused(number, r, ps.Packet(i)) {
			t.supersede(number, r)
			number = none
		}
	}
	if number == none {
		number, side = t.create(&l.key, hash, ps.Packet(i), when), 0
	}
	t.count(t.record(number), side, when, 1, uint64(l.seen.Wire))
	t.last = number
	return number, side
}

// lookUp gives the record of a key and the side of the packet's sender.
func (t *Table) lookUp(k *key, hash uint32) (number uint32, side int) {
	if t.last != none {
		if r := t.record(t.last); r.hash == hash && !r.has(bitEnded) {
			if side = r.side(k); side >= 0 {
				return t.last, side
			}
		}
	}
	x := &t.index
	want := tag(hash)
	for i := x.home(hash); x.slots[i] != 0; i = x.next(i) {
		if x.slots[i]&^numberMask != want {
			continue
		}
		number = x.slots[i]&numberMask - 1
		if side = t.record(number).side(k); side >= 0 {
			return number, side
		}
	}
	return none, 0
}

func (t *Table) count(r *record, side int, when int64, packets, bytes uint64) {
	if side == 1 && r.packets[1] == 0 && r.conversation() {
		t.quality.OneSidedFlows--
	}
	r.packets[side] += packets
	r.bytes[side] += bytes
	r.first, r.last = min(r.first, when), max(r.last, when)
}

// conversation tells a flow in which one expects packets both ways.
func (r *record) conversation() bool { return hasPorts(r.proto) && !r.has(bitGroup) }

// follow takes the packet into the flow's state and history.
func (t *Table) follow(number uint32, r *record, side int, ps Packets, i int, l *Looked) {
	switch r.proto {
	case protoTCP:
		if l.tcp && !r.ordinary(side, l) {
			t.tcp(number, r, side, ps.Packet(i), l.seen.When)
		}
	case protoUDP, protoUDPLite:
		t.once(number, r, side, markData, 'D')
	case protoSCTP, protoDCCP:
		t.once(number, r, side, markData, 'D')
		r.greet(side, ps.Packet(i))
	}
}

// greet notes SCTP's INIT and INIT ACK (RFC 9260 3.2) and DCCP's Request and
// Response (RFC 4340 5.1), which say what a SYN and a SYN-ACK say.
func (r *record) greet(side int, p *wire.Packet) {
	ask, answer := uint16(1), uint16(2)
	if r.proto == protoDCCP {
		ask, answer = 0, 1
	}
	if r.proto == protoSCTP && len(p.Payload) == 0 {
		return
	}
	switch p.Flags {
	case ask:
		r.bits |= bitSYN0 << side
	case answer:
		r.bits |= bitSYNACK0 << side
	}
}

// create makes a flow of which p is the first packet.
func (t *Table) create(k *key, hash uint32, p *wire.Packet, when int64) uint32 {
	number := t.place()
	r := t.record(number)
	*r = record{
		addr: [2][16]byte{k.src, k.dst}, port: [2]uint16{k.srcPort, k.dstPort}, proto: k.proto,
		bits: k.bits | bitUsed, hash: hash, first: when, last: when,
		depth: p.Depth,
	}
	more := t.rest(number)
	*more = rest{next: none, prev: t.tail}
	for i := range more.tunnels {
		more.tunnels[i] = uint8(p.Tunnels[i])
	}
	if p.VLANCount > 0 {
		r.bits |= bitVLAN
		r.vlan = p.VLANs[0]
	}
	if toGroup(p) {
		r.bits |= bitGroup
	}
	if r.startsTurned(t, p) {
		r.bits |= bitTurned
	}
	t.link(number)
	t.index.put(hash, number)
	t.index.grow(t.hashAt)
	t.quality.Flows++
	if r.conversation() {
		t.quality.Conversations++
		t.quality.OneSidedFlows++
	}
	return number
}

func (t *Table) hashAt(number uint32) uint32 { return t.record(number).hash }

// startsTurned tells a flow whose first packet is a SYN-ACK that answers a SYN
// nobody saw: its sender is the server. If by the LISTEN table the other one
// is, it is a stealth scan.
func (r *record) startsTurned(t *Table, p *wire.Packet) bool {
	if !p.HasTCP || r.proto != protoTCP || p.Flags&(flagSYN|flagACK|flagFIN|flagRST) != flagSYN|flagACK {
		return false
	}
	return t.listener(r) != 1
}

// toGroup tells a packet to a multicast or broadcast address. A network's own
// broadcast address shows by the frame's.
func toGroup(p *wire.Packet) bool {
	d := &p.Dst
	if p.Version == 4 {
		if d[12]>>4 == 0xe || d[12]&d[13]&d[14]&d[15] == 0xff {
			return true
		}
		return p.HasMAC && p.Depth == 0 && p.DstMAC == [6]byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}
	}
	return d[0] == 0xff
}

// quoted marks the flow of which an ICMP error speaks, if it is known.
func (t *Table) quoted(p *wire.Packet, family traits) {
	q := &p.Quote
	if q.Proto == protoICMP || q.Proto == protoICMP6 || hasPorts(q.Proto) && !q.HasPorts {
		return
	}
	k := key{src: q.Src, dst: q.Dst, proto: q.Proto, bits: family}
	if q.HasPorts {
		k.srcPort, k.dstPort = q.SrcPort, q.DstPort
	}
	if number, _ := t.lookUp(&k, hashOf(k.mix(t.seed))); number != none {
		if more := t.rest(number); more.refused != ^uint32(0) {
			more.refused++
		}
		r := t.record(number)
		r.refusedType, r.refusedCode = p.ICMPType, p.ICMPCode
	}
}
