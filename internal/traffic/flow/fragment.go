package flow

import (
	"time"

	"github.com/portreeve/portreeve/internal/traffic/wire"
)

// How long the fragments of a packet are waited for (RFC 791 lets the receiver
// choose, most take 30 s; RFC 8200 4.5 says 60 s).
const (
	fragmentWait  = int64(30 * time.Second)
	fragmentWait6 = int64(60 * time.Second)
)

// fragments remembers packets that came in fragments: a table of sets, in each
// of which the oldest makes room.
type fragments struct {
	sets []fragmentSet
}

const (
	fragmentWays = 8
	fragmentSets = 1 << 10
)

type fragmentSet [fragmentWays]fragment

// fragment is one packet in fragments. Before its first fragment came (known),
// packets and bytes are what is waiting for it.
type fragment struct {
	of          datagram
	key         key // of the flow, when known
	known, used bool
	since, last int64
	packets     uint64
	bytes       uint64
}

func (f *fragment) wait() int64 {
	if f.of.key.bits&bitIPv6 != 0 {
		return fragmentWait6
	}
	return fragmentWait
}

func (f *fragment) late(when int64) bool { return when-f.since >= f.wait() || f.since-when >= f.wait() }

// datagram is what tells packets in fragments apart: addresses, version and, in
// IPv4, the protocol. In IPv6 a later fragment may not know that.
type datagram struct {
	key key
	id  uint32
}

func datagramOf(src, dst [16]byte, version, proto uint8, id uint32) datagram {
	d := datagram{key: key{src: src, dst: dst, proto: proto}, id: id}
	if version == 6 {
		d.key.proto, d.key.bits = 0, bitIPv6
	}
	return d
}

func datagramOfPacket(p *wire.Packet) datagram {
	return datagramOf(p.Src, p.Dst, p.Version, p.Proto, p.ID)
}

// find gives the entry of a packet, a fresh one if it is not known or too old.
func (fs *fragments) find(seed uint64, of *datagram, when int64, q *Quality) *fragment {
	if fs.sets == nil {
		fs.sets = make([]fragmentSet, fragmentSets)
	}
	set := &fs.sets[mix(of.key.mix(seed), uint64(of.id)^seed)%fragmentSets]
	oldest := &set[0]
	for i := range set {
		f := &set[i]
		if f.used && f.of == *of && !f.late(when) {
			return f
		}
		if !f.used || oldest.used && f.since < oldest.since {
			oldest = f
		}
	}
	oldest.drop(q)
	*oldest = fragment{of: *of, used: true, since: when}
	return oldest
}

// drop forgets an entry; what waits in it belongs to no flow.
func (f *fragment) drop(q *Quality) {
	if f.used && !f.known {
		q.Orphans += f.packets
	}
	f.used = false
}

// drain forgets all entries.
func (fs *fragments) drain(q *Quality) {
	for i := range fs.sets {
		for j := range fs.sets[i] {
			fs.sets[i][j].drop(q)
		}
	}
}

// laterFragment counts a fragment that has no ports.
func (t *Table) laterFragment(p *wire.Packet, when int64, wireLen uint32) {
	of := datagramOfPacket(p)
	f := t.fragments.find(t.seed, &of, when, &t.quality)
	if f.known {
		t.join(f, p, when, 1, uint64(wireLen))
		return
	}
	f.packets++
	f.bytes += uint64(wireLen)
	f.last = when
}

// firstFragments tells later fragments which flow is theirs: those of the
// packet, and those of a packet around it.
func (t *Table) firstFragments(p *wire.Packet, k *key, when int64) {
	own := *k
	if p.IsFragment && p.MoreFragments {
		of := datagramOfPacket(p)
		t.firstFragment(&of, p, &own, when)
	}
	if p.CarrierVersion != 0 {
		of := datagramOf(p.OuterSrc, p.OuterDst, p.CarrierVersion, p.CarrierProto, p.CarrierID)
		t.firstFragment(&of, p, &own, when)
	}
}

func (t *Table) firstFragment(of *datagram, p *wire.Packet, k *key, when int64) {
	f := t.fragments.find(t.seed, of, when, &t.quality)
	packets, bytes, since, last := f.packets, f.bytes, f.since, f.last
	if f.known {
		packets = 0
	}
	*f = fragment{of: *of, key: *k, known: true, used: true, since: when}
	if packets == 0 {
		return
	}
	t.join(f, p, since, packets, bytes)
	t.join(f, p, last, 0, 0)
}

// join counts fragments in their flow, wherever it is by now.
func (t *Table) join(f *fragment, p *wire.Packet, when int64, packets, bytes uint64) {
	hash := hashOf(f.key.mix(t.seed))
	number, side := t.lookUp(&f.key, hash)
	if number == none {
		number, side = t.create(&f.key, hash, p, when), 0
	}
	t.count(t.record(number), side, when, packets, bytes)
	t.last = number
}
