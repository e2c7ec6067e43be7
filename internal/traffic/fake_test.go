package traffic

import (
	"encoding/binary"
	"io"
	"sync/atomic"

	"github.com/portreeve/portreeve/internal/traffic/capture"
	"github.com/portreeve/portreeve/internal/traffic/wire"
)

// fake is a source with batches made before. What it gives is spoiled when
// its storage is released, so that a late look at it is noticed.
type fake struct {
	port  uint16 // the packets' source port: which source it was
	sizes []int  // of the batches
	err   error  // at the end; nil: io.EOF
	link  wire.LinkType
	// gate, where set, is waited for before each batch.
	gate <-chan struct{}

	next     int
	sequence uint32
	out      atomic.Int64 // batches that were not released yet
	twice    atomic.Bool  // one was released again
	closed   atomic.Int64
}

func (f *fake) Next(b *capture.Batch) error {
	b.Release()
	if f.gate != nil {
		<-f.gate
	}
	if f.next == len(f.sizes) {
		if f.err != nil {
			return f.err
		}
		return io.EOF
	}
	frames := make([][]byte, f.sizes[f.next])
	f.next++
	for i := range frames {
		frames[i] = datagram(f.port, f.sequence)
		b.Packets = append(b.Packets, capture.Packet{Data: frames[i], Wire: uint32(len(frames[i])), Time: int64(f.sequence) + 1, Link: f.link})
		f.sequence++
	}
	f.lend(b, frames)
	return nil
}

func (f *fake) lend(b *capture.Batch, frames [][]byte) {
	f.out.Add(1)
	var freed atomic.Bool
	b.Free = func() {
		if freed.Swap(true) {
			f.twice.Store(true)
		}
		for _, frame := range frames {
			clear(frame)
		}
		f.out.Add(-1)
	}
}

func (f *fake) Interfaces() []capture.Interface { return nil }
func (f *fake) Stats() capture.Stats            { return capture.Stats{} }
func (f *fake) Close() error                    { f.closed.Add(1); return nil }

// settled checks what must hold of each source behind every run.
func (f *fake) settled(t interface{ Errorf(string, ...any) }) {
	if f.out.Load() != 0 || f.twice.Load() || f.closed.Load() != 1 {
		t.Errorf("source %d: %d batches not released, released twice %v, closed %d times", f.port, f.out.Load(), f.twice.Load(), f.closed.Load())
	}
}

// datagram is a UDP frame of four bytes of payload: its number.
func datagram(port uint16, sequence uint32) []byte {
	f := make([]byte, 14+20+8+4)
	f[12], f[13] = 8, 0
	ip := f[14:]
	ip[0], ip[3], ip[8], ip[9] = 0x45, 32, 64, 17
	copy(ip[12:], []byte{10, 0, 0, 1, 10, 0, 0, 2})
	binary.BigEndian.PutUint16(ip[20:], port)
	binary.BigEndian.PutUint16(ip[22:], 7)
	binary.BigEndian.PutUint16(ip[24:], 12)
	binary.BigEndian.PutUint32(ip[28:], sequence)
	return f
}
