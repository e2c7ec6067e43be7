package meter

import (
	"errors"
	"fmt"
	"slices"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"
)

// conversation is the key of the map, struct conversation of bpf/meter.c.
type conversation struct {
	A, B         [16]byte
	PortA, PortB uint16
	Proto, IPv6  uint8
	_            uint16
}

// count is its value, struct count of bpf/meter.c.
type count struct {
	Packets, Bytes [2]uint64 // from A, from B
	First, Last    uint64    // CLOCK_BOOTTIME
	Marks          uint32
	VLAN           uint16
	FirstFlags     uint8
	FirstFromB     uint8
}

// Bits of count beside the flags that went from A (0-7) and from B (8-15).
const (
	markSYNA = 1 << (16 + iota)
	markSYNB
	markSYNACKA
	markSYNACKB

	vlanKnown = 0x8000
)

// batchSize is how many conversations are read at once. The kernel refuses
// less than the fullest bucket of its hash table holds.
const batchSize = 4096

// batch is the room for reading, kept between Reads.
type batch struct {
	keys   []conversation
	counts []count
}

// Read calls yield with every conversation, in no order, until it returns
// false. The Record is good until yield returns. Conversations that were idle
// are forgotten after yield had them; one that comes or goes while Read runs
// may or may not be told.
func (m *Meter) Read(yield func(*Record) bool) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.closed {
		return ErrClosed
	}
	if m.batch.keys == nil {
		m.batch = batch{make([]conversation, batchSize), make([]count, batchSize)}
	}
	var cursor ebpf.MapBatchCursor
	for {
		n, err := m.flows.BatchLookup(&cursor, m.batch.keys, m.batch.counts, nil)
		end := errors.Is(err, ebpf.ErrKeyNotExist)
		if err != nil && !end {
			return fmt.Errorf("read the conversations: %w", err)
		}
		more, err := m.tell(n, yield)
		if err != nil || !more || end {
			return err
		}
	}
}

// tell hands out a batch.
func (m *Meter) tell(n int, yield func(*Record) bool) (more bool, err error) {
	limit := m.silentSince()
	var r Record
	for i := range n {
		key, c := &m.batch.keys[i], &m.batch.counts[i]
		evict := c.Last < limit
		if evict {
			// What was counted since the batch was read comes with it.
			err := m.flows.LookupAndDelete(key, c)
			if errors.Is(err, ebpf.ErrKeyNotExist) {
				continue
			}
			if err != nil {
				return false, fmt.Errorf("forget an idle conversation: %w", err)
			}
		}
		r.set(key, c, m.clock)
		r.Evicted = evict
		if !yield(&r) {
			return false, nil
		}
	}
	return true, nil
}

// silentSince is the CLOCK_BOOTTIME before which a conversation's last frame
// makes it idle; 0 where none is.
func (m *Meter) silentSince() uint64 {
	if m.idle <= 0 {
		return 0
	}
	var ts unix.Timespec
	_ = unix.ClockGettime(unix.CLOCK_BOOTTIME, &ts) // cannot fail
	return uint64(max(0, ts.Nano()-int64(m.idle)))
}

func (r *Record) set(key *conversation, c *count, clock int64) {
	*r = Record{
		Proto: key.Proto, IPv6: key.IPv6 != 0,
		A: key.A, B: key.B, PortA: key.PortA, PortB: key.PortB,
		PacketsAB: c.Packets[0], PacketsBA: c.Packets[1],
		BytesAB: c.Bytes[0], BytesBA: c.Bytes[1],
		First: clock + int64(c.First), Last: clock + int64(max(c.First, c.Last)),
		FlagsAB: uint8(c.Marks), FlagsBA: uint8(c.Marks >> 8),
		FirstFlags: c.FirstFlags, FirstFromA: c.FirstFromB == 0,
		SYNFromA: c.Marks&markSYNA != 0, SYNFromB: c.Marks&markSYNB != 0,
		SYNACKFromA: c.Marks&markSYNACKA != 0, SYNACKFromB: c.Marks&markSYNACKB != 0,
		HasVLAN: c.VLAN&vlanKnown != 0, VLAN: c.VLAN &^ vlanKnown,
	}
}

// totals is struct totals of bpf/meter.c.
type totals struct {
	Packets, Bytes        uint64
	Undecoded, Other      uint64
	Wrapped, Portless     uint64
	Fragments, Orphans    uint64
	Dropped, DroppedBytes uint64
	Giants, Segments      uint64
	Tunnels               uint64
}

// Stats tells what was seen in all.
func (m *Meter) Stats() (Stats, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.closed {
		return Stats{}, ErrClosed
	}
	var each []totals // of every processor
	if err := m.stats.Lookup(uint32(0), &each); err != nil {
		return Stats{}, fmt.Errorf("read the totals: %w", err)
	}
	var s Stats
	for _, t := range each {
		s.add(&t)
	}
	m.noteGone()
	s.Gone = slices.Clone(m.gone)
	return s, nil
}

func (s *Stats) add(t *totals) {
	s.Packets += t.Packets
	s.Bytes += t.Bytes
	s.Undecoded += t.Undecoded
	s.Other += t.Other
	s.Wrapped += t.Wrapped
	s.Portless += t.Portless
	s.Fragments += t.Fragments
	s.Orphans += t.Orphans
	s.Dropped += t.Dropped
	s.DroppedBytes += t.DroppedBytes
	s.Giants += t.Giants
	s.Segments += t.Segments
	s.Tunnels += t.Tunnels
}

// noteGone remembers the interfaces whose hook the kernel has taken away.
func (m *Meter) noteGone() {
	for _, h := range m.hooks {
		info, err := h.link.Info()
		if err != nil || info.TCX() == nil || info.TCX().Ifindex != 0 || slices.Contains(m.gone, h.name) {
			continue
		}
		m.gone = append(m.gone, h.name)
	}
}
