package flow

import "github.com/portreeve/portreeve/internal/traffic/wire"

// Seen is what a packet's source says of it: when it was taken (Unix
// nanoseconds), its length on the wire and how much of it was stored.
type Seen struct {
	When         int64
	Wire, Stored uint32
}

// aheadOf are how many packets are looked up before the first of them is
// counted.
const aheadOf = 32

// lookedAt is a packet's key, as far as it could be known.
type lookedAt struct {
	key   key
	ok    bool
	ip    bool
	mixed uint64
}

// AddBatch is Add for several packets, and faster: with many flows nearly all
// time goes into waiting for memory, and here the processor waits for several
// flows at once.
func (t *Table) AddBatch(packets []wire.Packet, seen []Seen) {
	for len(packets) > 0 {
		n := min(len(packets), aheadOf)
		t.lookAhead(packets[:n])
		for i := range packets[:n] {
			a := &t.ahead[i]
			t.key = a.key
			t.add(&packets[i], a.ok, a.mixed, seen[i])
		}
		packets, seen = packets[n:], seen[n:]
	}
}

// lookAhead reads what add will read, and uses none of it: loads that do not
// depend on one another overlap. First all slots, then all records.
func (t *Table) lookAhead(packets []wire.Packet) {
	sum := t.touched
	for i := range packets {
		a, p := &t.ahead[i], &packets[i]
		a.ip = p.Kind == wire.KindIP
		if !a.ip {
			a.ok = false
			continue
		}
		a.ok = keyOf(p, &a.key)
		a.mixed = a.key.mix(t.seed)
		sum += t.index.slots[t.index.home(hashOf(a.mixed))] + t.copies.at(contentHash(a.mixed, p)).hash
	}
	for i := range packets {
		if a := &t.ahead[i]; a.ip {
			sum += t.glance(hashOf(a.mixed))
		}
	}
	t.touched = sum
}

// glance reads the record that a look-up would compare first.
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
