package file

import (
	"io"
	"testing"

	"github.com/portreeve/portreeve/internal/traffic/capture"
)

// In the steady state nothing is allocated, neither for packets nor for
// batches or buffers, also while a batch is held.
func TestNoAllocations(t *testing.T) {
	for name, format := range map[string]Format{"pcap": Nanoseconds, "pcapng": PCAPNG} {
		s, err := Open(&endless{all: made(t, format, 5000), header: headers(format)})
		if err != nil {
			t.Fatal(err)
		}
		var held, b capture.Batch
		round := func() {
			for _, batch := range []*capture.Batch{&b, &held} {
				if err := s.Next(batch); err != nil {
					t.Fatal(err)
				}
			}
		}
		for range 100 {
			round()
		}
		if n := testing.AllocsPerRun(200, round); n != 0 {
			t.Errorf("%s: %v allocations in two batches", name, n)
		}
	}
}

// Writing allocates nothing either once an interface is described.
func TestNoAllocationsWriting(t *testing.T) {
	for name, format := range map[string]Format{"pcap": Nanoseconds, "pcapng": PCAPNG} {
		w := NewWriter(io.Discard, Options{Format: format})
		p := capture.Packet{Data: make([]byte, 99), Wire: 99, Link: 1, HasVLAN: true, Direction: capture.Inbound}
		write := func() {
			if err := w.Write(&p); err != nil {
				t.Fatal(err)
			}
		}
		write()
		if n := testing.AllocsPerRun(200, write); n != 0 {
			t.Errorf("%s: %v allocations a packet", name, n)
		}
	}
}
