package flow

import (
	"encoding/binary"
	"testing"

	"pgregory.net/rapid"

	"github.com/portreeve/portreeve/internal/traffic/wire"
)

// TestLookBrief: what is known of a packet that was looked at in brief is what
// is known of it decoded in full.
func TestLookBrief(t *testing.T) {
	table, brief := NewTable(Options{}), 0
	rapid.Check(t, func(t *rapid.T) {
		frame := briefFrame(t)
		var b wire.Brief
		var got, want Looked
		seen := Seen{When: 5, Wire: uint32(len(frame)), Stored: uint32(len(frame))}
		if !b.Read(frame, seen.Wire) || !table.LookBrief(&b, seen, &got) {
			return
		}
		brief++
		var d wire.Decoder
		var p wire.Packet
		d.Decode(wire.LinkEthernet, frame, seen.Wire, &p)
		table.Look(&p, seen, &want)
		if got.brief = false; got != want {
			t.Fatalf("in brief %+v, in full %+v", got, want)
		}
	})
	if brief == 0 {
		t.Error("no packet was brief")
	}
}

// briefFrame is Ethernet, IPv4 and TCP or UDP, mostly as they should be.
func briefFrame(t *rapid.T) []byte {
	frame := rapid.SliceOfN(rapid.Byte(), 54, 140).Draw(t, "frame")
	copy(frame[12:], []byte{8, 0, 0x45})
	binary.BigEndian.PutUint16(frame[16:], uint16(len(frame)-14))
	copy(frame[20:], []byte{0, 0, 64, 6})
	frame[46] = 0x50
	if rapid.Bool().Draw(t, "udp") {
		frame[23] = 17
		binary.BigEndian.PutUint16(frame[38:], uint16(len(frame)-34))
	}
	if rapid.IntRange(0, 3).Draw(t, "spoilt") == 0 {
		frame[rapid.IntRange(0, len(frame)-1).Draw(t, "at")] ^= 1 << rapid.IntRange(0, 7).Draw(t, "bit")
		frame = frame[:rapid.IntRange(0, len(frame)).Draw(t, "stored")]
	}
	return frame
}

// TestJudgedBefore: copies are the same whoever looks for them.
func TestJudgedBefore(t *testing.T) {
	now, before := NewTable(Options{}), NewTable(Options{})
	before.seed = now.seed
	p := wire.Packet{Kind: wire.KindIP, Version: 4, Proto: protoUDP, HasPorts: true, SrcPort: 53, DstPort: 1000, IPLen: 28, TTL: 9}
	for i := range 300 {
		p.ID, p.DstPort = uint32(i/3), uint16(1000+i%2)
		var l Looked
		s := Seen{When: int64(i+1) * 1e6, Wire: 42, Stored: 42}
		now.Add(&p, s.When, s.Wire, s.Stored)
		before.Look(&p, s, &l)
		before.Judge(&l)
		before.AddLooked(&single{&p}, []Looked{l})
	}
	if a, b := now.Quality(), before.Quality(); a != b || a.Duplicates == 0 {
		t.Errorf("%+v, judged before %+v", a, b)
	}
}
