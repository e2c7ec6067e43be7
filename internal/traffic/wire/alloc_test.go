package wire_test

import (
	"testing"

	"pgregory.net/rapid"

	"github.com/portreeve/portreeve/internal/traffic/wire"
	"github.com/portreeve/portreeve/internal/traffic/wire/wiretest"
)

// Nothing that is decoded allocates, of every kind, whole or cut.
func TestAllocatesNothing(t *testing.T) {
	frames := captured(t)
	built := rapid.Custom(wiretest.Any)
	for i := range 300 {
		c := built.Example(i)
		whole := uint32(len(c.Frame))
		frames = append(frames, frame{"built", i, c.Link, c.Frame, whole},
			frame{"cut", i, c.Link, c.Frame[:len(c.Frame)*2/3], whole})
	}
	var d wire.Decoder
	var p wire.Packet
	each := func() {
		for _, f := range frames {
			d.Decode(f.link, f.data, f.wire, &p)
		}
	}
	if n := testing.AllocsPerRun(3, each); n != 0 {
		t.Errorf("%v allocations for %d frames", n, len(frames))
	}
}

func benchmark(b *testing.B, layers ...wiretest.Layer) {
	frame := wiretest.Frame(layers...)
	link := wiretest.LinkOf(layers...)
	var d wire.Decoder
	var p wire.Packet
	b.ReportAllocs()
	for b.Loop() {
		d.Decode(link, frame, uint32(len(frame)), &p)
	}
	if p.Kind != wire.KindIP || p.Problem != wire.NoProblem {
		b.Fatal(brief(&p))
	}
}

var hundred = wiretest.Bytes(make([]byte, 100))

func BenchmarkDecodeTCP4(b *testing.B) {
	benchmark(b, wiretest.Ethernet{}, i4, wiretest.TCP{DstPort: 443, Options: make([]byte, 12)}, hundred)
}

func BenchmarkDecodeUDP4(b *testing.B) {
	benchmark(b, wiretest.Ethernet{}, i4, udpTo(53), hundred)
}

func BenchmarkDecodeTCP6(b *testing.B) {
	benchmark(b, wiretest.Ethernet{}, i6, tcp, hundred)
}

func BenchmarkDecodeVLAN(b *testing.B) {
	benchmark(b, wiretest.Ethernet{}, wiretest.VLAN{ID: 7}, i4, tcp, hundred)
}

func BenchmarkDecodeVXLAN(b *testing.B) {
	benchmark(b, wiretest.Ethernet{}, o4, udpTo(4789), wiretest.VXLAN{}, wiretest.Ethernet{}, i4, tcp, hundred)
}

func BenchmarkDecodeSLL(b *testing.B) {
	benchmark(b, wiretest.SLL{}, i4, tcp, hundred)
}
