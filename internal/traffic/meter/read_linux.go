package meter

import (
	"errors"
	"fmt"
	"slices"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"
)

// conversation4 and conversation6 are the keys of the maps, those of
// bpf/meter.c.
type (
	conversation4 struct {
		A, B         [4]byte
		PortA, PortB uint16
		Proto        uint8
		_            [3]uint8
	}
	conversation6 struct {
		A, B         [16]byte
		PortA, PortB uint16
		Proto        uint8
		_            [3]uint8
	}
)

func (c *conversation4) name(r *Record) {
	r.A[10], r.A[11], r.B[10], r.B[11] = 0xff, 0xff, 0xff, 0xff
	copy(r.A[12:], c.A[:])
	copy(r.B[12:], c.B[:])
	r.PortA, r.PortB, r.Proto = c.PortA, c.PortB, c.Proto
}

func (c *conversation6) name(r *Record) {
	r.A, r.B, r.PortA, r.PortB, r.Proto, r.IPv6 = c.A, c.B, c.PortA, c.PortB, c.Proto, true
}

// count is the value of both, struct count of bpf/meter.c.
type count struct {
	Packets, Bytes [2]uint64 // from A, from B
	First, Last    uint64    // CLOCK_BOOTTIME
	Marks          uint32
	VLAN           uint16
	FirstFlags     uint8
	FirstFromB     uint8
	_              uint64
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
	keys4  []conversation4
	keys6  []conversation6
	counts []count
}

// Read calls yield with every conversation, in no order, until it returns
// false. The Record is good until yield returns. Conversations that were idle
// are forgotten after yield had them; one that comes or goes while Read runs
// may or may not be told. yield must not use the Meter.
func (m *Meter) Read(yield func(*Record) bool) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.closed {
		return ErrClosed
	}
	b := &m.batch
	if b.counts == nil {
		*b = batch{make([]conversation4, batchSize), make([]conversation6, batchSize), make([]count, batchSize)}
	}
	more, err := read(m, m.flows4, b.keys4, (*conversation4).name, yield)
	if err == nil && more {
		_, err = read(m, m.flows6, b.keys6, (*conversation6).name, yield)
	}
	return err
}

// read lists one map.
func read[K any](m *Meter, flows *ebpf.Map, keys []K, name func(*K, *Record), yield func(*Record) bool) (more bool, err error) {
	var cursor ebpf.MapBatchCursor
	for {
		n, err := flows.BatchLookup(&cursor, keys, m.batch.counts, nil)
		end := errors.Is(err, ebpf.ErrKeyNotExist)
		if err != nil && !end {
			return false, fmt.Errorf("read the conversations: %w", err)
		}
		more, err := tell(m, flows, keys[:n], name, yield)
		if err != nil || !more || end {
			return more, err
		}
	}
}

// tell hands out a batch.
func tell[K any](m *Meter, flows *ebpf.Map, keys []K, name func(*K, *Record), yield func(*Record) bool) (more bool, err error) {
	limit := m.silentSince()
	var r Record
	for i := range keys {
		c := &m.batch.counts[i]
		r = Record{Evicted: c.Last < limit}
		if r.Evicted {
			// What was counted since the batch was read comes with it.
			err := flows.LookupAndDelete(&keys[i], c)
			if errors.Is(err, ebpf.ErrKeyNotExist) {
				continue
			}
			if err != nil {
				return false, fmt.Errorf("forget an idle conversation: %w", err)
			}
		}
		name(&keys[i], &r)
		c.tell(&r, m.clock)
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

// tell fills in what was counted.
func (c *count) tell(r *Record, clock int64) {
	r.PacketsAB, r.PacketsBA = c.Packets[0], c.Packets[1]
	r.BytesAB, r.BytesBA = c.Bytes[0], c.Bytes[1]
	r.First, r.Last = clock+int64(c.First), clock+int64(max(c.First, c.Last))
	r.FlagsAB, r.FlagsBA = uint8(c.Marks), uint8(c.Marks>>8)
	r.FirstFlags, r.FirstFromA = c.FirstFlags, c.FirstFromB == 0
	r.SYNFromA, r.SYNFromB = c.Marks&markSYNA != 0, c.Marks&markSYNB != 0
	r.SYNACKFromA, r.SYNACKFromB = c.Marks&markSYNACKA != 0, c.Marks&markSYNACKB != 0
	r.HasVLAN, r.VLAN = c.VLAN&vlanKnown != 0, c.VLAN&^vlanKnown
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
	_, _                  uint64 // the program's clock
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
