package file

import (
	"bytes"
	"errors"
	"io"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/portreeve/portreeve/internal/traffic/capture"
	"github.com/portreeve/portreeve/internal/traffic/wire"
)

func drawPacket(t *rapid.T, links []wire.LinkType) capture.Packet {
	p := capture.Packet{
		Data:      rapid.SliceOfN(rapid.Byte(), 0, 80).Draw(t, "data"),
		Time:      rapid.Int64Range(0, 4294967295_999_999_999).Draw(t, "time"),
		Link:      rapid.SampledFrom(links).Draw(t, "link"),
		Interface: rapid.Uint32Range(0, 3).Draw(t, "interface"),
		Direction: rapid.SampledFrom([]capture.Direction{capture.DirUnknown, capture.Inbound, capture.Outbound}).Draw(t, "direction"),
	}
	p.Wire = uint32(len(p.Data)) + rapid.Uint32Range(0, 3000).Draw(t, "cut")
	return p
}

// What was written is what is read, in each format; a pcap has no interfaces
// and directions.
func TestWriteRead(t *testing.T) {
	for name, format := range map[string]Format{"microseconds": Microseconds, "nanoseconds": Nanoseconds, "pcapng": PCAPNG} {
		t.Run(name, rapid.MakeCheck(func(t *rapid.T) {
			links := []wire.LinkType{1, 101, 113, 127, 65535}
			if format != PCAPNG {
				links = links[:1]
			}
			var out bytes.Buffer
			w := NewWriter(&out, Options{Format: format})
			want := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) capture.Packet { return drawPacket(t, links) }), 0, 30).Draw(t, "packets")
			for i := range want {
				if err := w.Write(&want[i]); err != nil {
					t.Fatal(err)
				}
				switch format {
				case Microseconds:
					want[i].Time -= want[i].Time % 1000
					want[i].Direction = 0
				case Nanoseconds:
					want[i].Direction = 0
				}
			}
			if err := w.Flush(); err != nil {
				t.Fatal(err)
			}
			got, _, err := readAll(&out)
			if err != io.EOF || len(got) != len(want) {
				t.Fatalf("%d of %d packets, %v", len(got), len(want), err)
			}
			for i := range got {
				got[i].Interface, want[i].Interface = 0, 0
				got[i].Data, want[i].Data = slices.Clip(append([]byte{}, got[i].Data...)), append([]byte{}, want[i].Data...)
			}
			if d := cmp.Diff(want, got); len(want) > 0 && d != "" {
				t.Fatal(d)
			}
		}))
	}
}

type known []capture.Interface

func (k known) Interfaces() []capture.Interface { return k }

// Interfaces keep name, link type, snap length and filter.
func TestWriteInterfaces(t *testing.T) {
	described := known{{Name: "eth0", Link: 1, SnapLen: 96, Filter: "port 53"}, {Name: "any", Link: 276}}
	var out bytes.Buffer
	w := NewWriter(&out, Options{From: described})
	for _, n := range []uint32{1, 0, 1} {
		if err := w.Write(&capture.Packet{Data: []byte{1}, Link: described[n].Link, Interface: n}); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Flush(); err != nil {
		t.Fatal(err)
	}
	got, s, err := readAll(&out)
	if err != io.EOF || len(got) != 3 {
		t.Fatal(len(got), err)
	}
	if d := cmp.Diff([]capture.Interface{described[1], described[0]}, s.Interfaces()); d != "" {
		t.Error(d)
	}
}

// Auto takes pcap for one interface, and writes a header and an
// interface without packets too: libpcap reads no pcapng that has none.
func TestWriteNothing(t *testing.T) {
	for _, c := range []struct {
		from   known
		format string
		links  []capture.Interface
	}{
		{known{{Name: "lo", Link: 113}}, "pcap", []capture.Interface{{Link: 113, SnapLen: maxStored}}},
		{nil, "pcapng", []capture.Interface{{Link: 1}}},
	} {
		var out bytes.Buffer
		if err := NewWriter(&out, Options{From: c.from}).Flush(); err != nil {
			t.Fatal(err)
		}
		got, s, err := readAll(&out)
		if err != io.EOF || len(got) != 0 || s.frames.name() != c.format {
			t.Errorf("%s: %v, %v", c.format, got, err)
		}
		if d := cmp.Diff(c.links, s.Interfaces()); d != "" {
			t.Error(d)
		}
	}
}

func TestWriteRefuses(t *testing.T) {
	w := NewWriter(io.Discard, Options{Format: Microseconds})
	for _, c := range []struct {
		p    capture.Packet
		want error
	}{
		{capture.Packet{Link: 1}, nil},
		{capture.Packet{Link: 101}, ErrLink},
		{capture.Packet{Link: 1, Data: make([]byte, maxStored+1)}, ErrTooLong},
	} {
		if err := w.Write(&c.p); !errors.Is(err, c.want) {
			t.Errorf("%v, want %v", err, c.want)
		}
	}
	if err := NewWriter(io.Discard, Options{Format: PCAPNG}).Write(&capture.Packet{Link: 1 << 16}); !errors.Is(err, ErrLink) {
		t.Error(err)
	}
	full := errors.New("no space left")
	w = NewWriter(writerFunc(func([]byte) (int, error) { return 0, full }), Options{Format: PCAPNG})
	if err := w.Flush(); !errors.Is(err, full) {
		t.Error(err)
	}
	if err := w.Write(&capture.Packet{Link: 1}); !errors.Is(err, full) {
		t.Error(err)
	}
}

type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(b []byte) (int, error) { return f(b) }

// Times that a format cannot hold become "not told", not another time.
func TestWriteTimes(t *testing.T) {
	for _, c := range []struct {
		format    Format
		in, there int64
	}{
		{Nanoseconds, -1, 0}, {Microseconds, -5e9, 0}, {PCAPNG, -1, 0},
		{Nanoseconds, 4294967296e9, 0}, {PCAPNG, 4294967296e9, 4294967296e9},
		{Nanoseconds, 4294967295_999999999, 4294967295_999999999},
	} {
		var out bytes.Buffer
		w := NewWriter(&out, Options{Format: c.format})
		if err := errors.Join(w.Write(&capture.Packet{Time: c.in, Link: 1}), w.Flush()); err != nil {
			t.Fatal(err)
		}
		if got, _, _ := readAll(&out); len(got) != 1 || got[0].Time != c.there {
			t.Errorf("format %d, %d: %v", c.format, c.in, got)
		}
	}
}

// A tag from metadata stands where it was on the wire.
func TestWriteTag(t *testing.T) {
	for _, c := range []struct {
		link     wire.LinkType
		proto    uint16
		in, want string
	}{
		{1, 0x88a8, "ddddddssssss\x08\x00rest", "ddddddssssss\x88\xa8\x20\x05\x08\x00rest"},
		{1, 0, "ddddddssssss\x08\x00rest", "ddddddssssss\x81\x00\x20\x05\x08\x00rest"},
		{1, 0x8100, "too short", "too short"},
		{113, 0x8100, "pphhllaaaaaaaa\x08\x00rest", "pphhllaaaaaaaa\x81\x00\x20\x05\x08\x00rest"},
		{276, 0x8100, "\x08\x00mmiiiihhtlaaaaaaaarest", "\x81\x00mmiiiihhtlaaaaaaaa\x20\x05\x08\x00rest"},
		{101, 0x8100, "\x45raw", "\x45raw"},
	} {
		var out bytes.Buffer
		w := NewWriter(&out, Options{Format: PCAPNG})
		p := capture.Packet{Data: []byte(c.in), Wire: 100, Link: c.link, HasVLAN: true, VLANTCI: 0x2005, VLANProto: c.proto}
		if err := errors.Join(w.Write(&p), w.Flush()); err != nil {
			t.Fatal(err)
		}
		got, _, _ := readAll(&out)
		if len(got) != 1 || string(got[0].Data) != c.want || int(got[0].Wire) != 100+len(c.want)-len(c.in) {
			t.Errorf("link %d: %q", c.link, texts(got))
		}
	}
}
