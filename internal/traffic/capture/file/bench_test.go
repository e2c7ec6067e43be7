package file

import (
	"bytes"
	"encoding/binary"
	"io"
	"math/rand/v2"
	"testing"

	"github.com/gopacket/gopacket/pcapgo"

	"github.com/portreeve/portreeve/internal/traffic/capture"
)

// made writes n packets of 60 to 320 bytes, 190 on average.
func made(tb testing.TB, format Format, n int) []byte {
	tb.Helper()
	var out bytes.Buffer
	w := NewWriter(&out, Options{Format: format})
	random := rand.New(rand.NewPCG(1, 2))
	data := make([]byte, 320)
	for i := range n {
		size := 60 + random.IntN(261)
		binary.LittleEndian.PutUint64(data, uint64(i))
		if err := w.Write(&capture.Packet{Data: data[:size], Wire: uint32(size), Time: int64(i) * 1000, Link: 1}); err != nil {
			tb.Fatal(err)
		}
	}
	if err := w.Flush(); err != nil {
		tb.Fatal(err)
	}
	return out.Bytes()
}

// endless repeats what follows a capture's header.
type endless struct {
	all    []byte
	at     int
	header int
}

func (e *endless) Read(b []byte) (int, error) {
	if e.at == len(e.all) {
		e.at = e.header
	}
	n := copy(b, e.all[e.at:])
	e.at += n
	return n, nil
}

// headers are how long a capture's beginning is that occurs once.
func headers(format Format) int {
	if format == PCAPNG {
		return 28 + 32
	}
	return fileHeader
}

func BenchmarkRead(b *testing.B) {
	for _, f := range []struct {
		name   string
		format Format
	}{{"pcap", Nanoseconds}, {"pcapng", PCAPNG}} {
		data := made(b, f.format, 50_000)
		perPacket := int64(len(data) / 50_000)
		b.Run(f.name+"/own", func(b *testing.B) {
			s, err := Open(&endless{all: data, header: headers(f.format)})
			if err != nil {
				b.Fatal(err)
			}
			b.SetBytes(perPacket)
			b.ReportAllocs()
			var batch capture.Batch
			for n := 0; n < b.N; n += len(batch.Packets) {
				if err := s.Next(&batch); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run(f.name+"/gopacket", func(b *testing.B) {
			next := gopacketReader(b, f.format, &endless{all: data, header: headers(f.format)})
			b.SetBytes(perPacket)
			b.ReportAllocs()
			for range b.N {
				if err := next(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// gopacketReader reads packets without copying, its fastest way.
func gopacketReader(b *testing.B, format Format, r io.Reader) func() error {
	b.Helper()
	if format == PCAPNG {
		g, err := pcapgo.NewNgReader(r, pcapgo.DefaultNgReaderOptions)
		if err != nil {
			b.Fatal(err)
		}
		return func() error { _, _, err := g.ZeroCopyReadPacketData(); return err }
	}
	g, err := pcapgo.NewReader(r)
	if err != nil {
		b.Fatal(err)
	}
	return func() error { _, _, err := g.ZeroCopyReadPacketData(); return err }
}

// BenchmarkFrame is framing alone, of bytes that are there.
func BenchmarkFrame(b *testing.B) {
	for _, f := range []struct {
		name   string
		format Format
	}{{"pcap", Nanoseconds}, {"pcapng", PCAPNG}} {
		data := made(b, f.format, 100)
		b.Run(f.name, func(b *testing.B) {
			s, err := Open(bytes.NewReader(data))
			if err != nil {
				b.Fatal(err)
			}
			batch := capture.Batch{Packets: make([]capture.Packet, 0, batchPackets)}
			at := s.start
			for n := 0; n < b.N; n += len(batch.Packets) {
				batch.Packets = batch.Packets[:0]
				done, _, wrong := s.frames.frame(&batch, data[at:], 0)
				if wrong != "" {
					b.Fatal(wrong)
				}
				if at += done; done == 0 || at == len(data) {
					at = s.start
				}
			}
		})
	}
}
