package file

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"math"
	"math/big"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/portreeve/portreeve/internal/traffic/capture"
)

// blocks builds a pcapng in one byte order.
type blocks struct {
	binary.AppendByteOrder
	b []byte
}

func (s *blocks) add(kind uint32, body ...[]byte) *blocks {
	all := bytes.Join(body, nil)
	for len(all)%4 != 0 {
		all = append(all, 0)
	}
	size := uint32(len(all) + 12)
	s.b = s.AppendUint32(s.AppendUint32(s.b, kind), size)
	s.b = s.AppendUint32(append(s.b, all...), size)
	return s
}

func (s *blocks) words(n ...uint32) (b []byte) {
	for _, v := range n {
		b = s.AppendUint32(b, v)
	}
	return b
}

func (s *blocks) option(code uint16, value ...byte) []byte {
	b := s.AppendUint16(s.AppendUint16(nil, code), uint16(len(value)))
	b = append(b, value...)
	for len(b)%4 != 0 {
		b = append(b, 0)
	}
	return b
}

func (s *blocks) section(major uint16) *blocks {
	return s.add(0x0a0d0d0a, s.words(0x1a2b3c4d), s.AppendUint16(s.AppendUint16(nil, major), 0), s.words(0xffffffff, 0xffffffff))
}

func (s *blocks) iface(link uint16, snap uint32, options ...[]byte) *blocks {
	return s.add(1, s.AppendUint16(nil, link), []byte{0, 0}, s.words(snap), bytes.Join(options, nil))
}

func (s *blocks) enhanced(iface uint32, ticks uint64, length uint32, data string, options ...[]byte) *blocks {
	padded := data + strings.Repeat("\x00", -len(data)&3)
	return s.add(6, s.words(iface, uint32(ticks>>32), uint32(ticks), uint32(len(data)), length), []byte(padded), bytes.Join(options, nil))
}

func little() *blocks   { return &blocks{AppendByteOrder: binary.LittleEndian} }
func reversed() *blocks { return &blocks{AppendByteOrder: binary.BigEndian} }

// texts are the packets' data.
func texts(packets []capture.Packet) (all []string) {
	for _, p := range packets {
		all = append(all, string(p.Data))
	}
	return all
}

// All kinds of packet blocks in sections of both orders; other blocks between.
func TestBlocks(t *testing.T) {
	var file []byte
	for _, s := range []*blocks{little(), reversed()} {
		s.section(1).add(0x80000001, []byte("private")).iface(1, 4, s.option(2, []byte("eth0")...)).iface(101, 0)
		s.enhanced(1, 7, 9, "five!", s.option(1, []byte("a comment")...), s.option(2, s.words(2)...), s.option(0))
		s.add(3, s.words(6), []byte("simp")).add(2, s.AppendUint16(nil, 0), s.AppendUint16(nil, 3), s.words(0, 8, 2, 2), []byte("ol\x00\x00"))
		s.add(4, s.option(1, []byte("\x01\x02\x03\x04name\x00")...), s.option(0)).add(10, s.words(0x544c534b, 7), []byte("secrets")).add(9, []byte("MESSAGE=x\n")).add(0xbad, s.words(32473), []byte("custom"))
		file = append(file, s.b...)
	}
	got, s, err := readAll(bytes.NewReader(file))
	if err != io.EOF {
		t.Fatal(err)
	}
	one := []capture.Packet{
		{Data: []byte("five!"), Wire: 9, Time: 7000, Link: 101, Interface: 1, Direction: capture.Outbound},
		{Data: []byte("simp"), Wire: 6, Link: 1},
		{Data: []byte("ol"), Wire: 2, Time: 8000, Link: 1},
	}
	if d := cmp.Diff(append(one, one...), got); d != "" {
		t.Error(d)
	}
	// The second section describes the same interfaces.
	if d := cmp.Diff([]capture.Interface{{Name: "eth0", Link: 1, SnapLen: 4}, {Link: 101}}, s.Interfaces()); d != "" {
		t.Error(d)
	}
	if d := cmp.Diff(capture.Stats{Dropped: 6, Known: true}, s.Stats()); d != "" {
		t.Error(d)
	}
}

// Interfaces described alike are two in one section and the same two in the
// next one; the filter's text is kept, compiled ones are not.
func TestInterfaces(t *testing.T) {
	var file []byte
	for range 2 {
		s := little().section(1)
		s.iface(1, 0).iface(1, 0).iface(1, 96, s.option(11, []byte("\x00tcp port 80")...), s.option(2, []byte("lo\x00")...)).iface(1, 0, s.option(11, 1, 2, 3))
		file = append(file, s.enhanced(1, 1, 1, "x").b...)
	}
	got, s, err := readAll(bytes.NewReader(file))
	if err != io.EOF || len(got) != 2 || got[0].Interface != 1 || got[1].Interface != 1 {
		t.Errorf("%v, %v", got, err)
	}
	if d := cmp.Diff([]capture.Interface{{Link: 1}, {Link: 1}, {Name: "lo", Link: 1, SnapLen: 96, Filter: "tcp port 80"}, {Link: 1}}, s.Interfaces()); d != "" {
		t.Error(d)
	}
}

// Statistics are totals, the last of an interface counts; packets' own counts
// of losses are not added to them, and sections are.
func TestStatistics(t *testing.T) {
	var file []byte
	for range 2 {
		s := little().section(1).iface(1, 0).iface(1, 0)
		u64 := func(n uint64) []byte { return s.AppendUint64(nil, n) }
		stats := func(i uint32, received, ifDropped, osDropped uint64) {
			s.add(5, s.words(i, 0, 0), s.option(4, u64(received)...), s.option(5, u64(ifDropped)...), s.option(7, u64(osDropped)...))
		}
		stats(0, 10, 1, 2)
		s.enhanced(0, 1, 1, "a", s.option(4, u64(2)...))
		stats(0, 100, 2, 20)
		stats(1, 1000, 0, 0)
		s.enhanced(1, 1, 1, "b", s.option(4, u64(5)...)).enhanced(1, 1, 1, "c", s.option(4, u64(6)...))
		file = append(file, s.b...)
	}
	_, s, err := readAll(bytes.NewReader(file))
	if err != io.EOF {
		t.Error(err)
	}
	if d := cmp.Diff(capture.Stats{Received: 2200, IfDropped: 4, Dropped: 62, Known: true}, s.Stats()); d != "" {
		t.Error(d)
	}
}

// Blocks that are wrong inside are stepped over; the first is named at the
// end, the others counted.
func TestSteppedOver(t *testing.T) {
	s := little().section(1).iface(1, 0)
	s.enhanced(0, 1, 1, "before")
	at := int64(len(s.b))
	s.enhanced(5, 1, 1, "no such interface")
	s.add(6, s.words(0, 0, 1, 400, 400), []byte("longer than its block"))
	s.add(6, []byte("short")).add(2, []byte("short")).add(3).add(5, []byte("short")).add(5, s.words(9, 0, 0))
	s.enhanced(0, 1, 1, "option too long", append(s.AppendUint16(s.AppendUint16(nil, 2), 500), 1, 2, 3, 4))
	s.add(1, []byte("bad")).iface(113, 0).enhanced(1, 1, 1, "of the bad one").enhanced(2, 1, 1, "after")
	got, _, err := readAll(bytes.NewReader(s.b))
	if d := cmp.Diff([]string{"before", "option too long", "after"}, texts(got)); d != "" {
		t.Error(d)
	}
	if len(got) == 3 && (got[2].Link != 113 || got[2].Interface != 2) {
		t.Errorf("%+v", got[2])
	}
	var d *capture.DamageError
	if !errors.As(err, &d) || !errors.Is(err, capture.ErrDamaged) || d.Offset != at || d.Packet != 2 || d.Others != 9 || !strings.Contains(d.Detail, "interface 5") {
		t.Errorf("%v", err)
	}
	// A cut after it is what ended it; both are in the error.
	_, _, err = readAll(bytes.NewReader(s.b[:len(s.b)-1]))
	if !errors.Is(err, capture.ErrCutOff) || !errors.Is(err, capture.ErrDamaged) {
		t.Errorf("%v", err)
	}
}

// A section of another version is left out, the ones around it are read.
// What is wrong in blocks without packets is told, and costs no packet.
func TestDamageBeside(t *testing.T) {
	s := little()
	for name, block := range map[string]*blocks{
		"option of a section":  little().add(0x0a0d0d0a, s.words(0x1a2b3c4d, 1, 0xffffffff, 0xffffffff), s.words(0x01000003)),
		"version":              little().add(0x0a0d0d0a, s.words(0x1a2b3c4d, 0x4d0001, 0xffffffff, 0xffffffff)),
		"name without an end":  little().add(4, s.option(1, []byte("\x01\x02\x03\x04name")...), s.option(0)),
		"name without address": little().add(4, s.option(2, []byte("\x01\x02\x03\x04")...), s.option(0)),
		"name record":          little().add(4, s.words(0x01000001)),
		"end of names":         little().add(4, s.words(0x10000)),
		"end of options":       little().add(0x0a0d0d0a, s.words(0x1a2b3c4d, 1, 0xffffffff, 0xffffffff), s.words(0x10000)),
		"option of names":      little().add(4, s.option(0), s.words(0x01000003)),
		"secrets":              little().add(10, s.words(0x544c534b, 100), []byte("x")),
		"no secrets":           little().add(10, s.words(0x544c534b)),
		"option of secrets":    little().add(10, s.words(0x544c534b, 1), s.words(0x20), s.words(0x01000003)),
		"simple packet":        little().section(1).iface(1, 8).add(3, s.words(20), []byte("twelve bytes")),
	} {
		file := append(little().section(1).b, block.b...)
		file = append(file, little().iface(1, 0).enhanced(0, 1, 1, "x").b...)
		got, _, err := readAll(bytes.NewReader(file))
		if !errors.Is(err, capture.ErrDamaged) || len(got) == 0 || string(got[len(got)-1].Data) != "x" {
			t.Errorf("%s: %v, %v", name, texts(got), err)
		}
		if want := twinRead(file); !want.damaged || len(want.packets) != len(got) {
			t.Errorf("%s: the twin says %v, %d packets", name, want.damaged, len(want.packets))
		}
	}
}

func TestForeignSection(t *testing.T) {
	s := little().section(1).iface(1, 0).enhanced(0, 1, 1, "one")
	s.section(7).iface(1, 0).enhanced(0, 1, 1, "not this")
	s.section(1).iface(1, 0).enhanced(0, 1, 1, "two")
	got, _, err := readAll(bytes.NewReader(s.b))
	if d := cmp.Diff([]string{"one", "two"}, texts(got)); d != "" {
		t.Error(d)
	}
	if !errors.Is(err, capture.ErrDamaged) || !strings.Contains(err.Error(), "version 7.0") {
		t.Error(err)
	}
}

// Where blocks end cannot be told any more: that is the end, with what was
// before.
func TestFramingDamage(t *testing.T) {
	for name, spoil := range map[string]func(block []byte){
		"head and tail differ": func(b []byte) { b[len(b)-4] += 4 },
		"no multiple of four":  func(b []byte) { b[4]++ },
		"too short":            func(b []byte) { b[4] = 8 },
		"too long":             func(b []byte) { b[7] = 0x7f },
		"byte order":           func(b []byte) { copy(b, "\n\r\r\n") },
	} {
		s := little().section(1).iface(1, 0).enhanced(0, 1, 1, "one").enhanced(0, 1, 1, "two")
		at := len(s.b)
		s.enhanced(0, 1, 1, "three")
		spoil(s.b[at:])
		got, _, err := readAll(bytes.NewReader(s.b))
		var d *capture.DamageError
		if len(got) != 2 || !errors.As(err, &d) || d.Kind != capture.ErrDamaged || d.Offset != int64(at) || d.Packet != 3 {
			t.Errorf("%s: %d packets, %v", name, len(got), err)
		}
	}
}

// What a file may make of interfaces is bounded.
func TestManyInterfaces(t *testing.T) {
	s := little().section(1)
	name := bytes.Repeat([]byte("n"), 60_000)
	for range 100 {
		s.iface(1, 0, s.option(2, name...))
	}
	for range maxInterfaces {
		s.iface(1, 0)
	}
	_, source, err := readAll(bytes.NewReader(s.b))
	if !errors.Is(err, capture.ErrDamaged) || !strings.Contains(err.Error(), "interfaces") {
		t.Error(err)
	}
	total := 0
	for _, i := range source.Interfaces() {
		total += len(i.Name)
	}
	if len(source.Interfaces()) != maxInterfaces || total == 0 || total > maxText {
		t.Errorf("%d interfaces, %d bytes of names", len(source.Interfaces()), total)
	}
}

// Times in any resolution and with any offset agree with big numbers, but for
// the last second of what an int64 holds.
func TestClock(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		ticks := rapid.OneOf(rapid.Uint64(), rapid.Uint64Range(0, 1<<40), rapid.Just[uint64](math.MaxUint64)).Draw(t, "ticks")
		res := rapid.Byte().Draw(t, "resolution")
		offset := rapid.OneOf(rapid.Int64(), rapid.Int64Range(-1<<40, 1<<40), rapid.SampledFrom([]int64{0, math.MinInt64, math.MaxInt64})).Draw(t, "offset")
		c := newClock(res, offset)
		got := c.nanoseconds(ticks)
		want := twinTime(new(big.Int).SetUint64(ticks), twinInterface{res: res, offset: offset})
		clamped := got == math.MaxInt64 && want >= math.MaxInt64-2e9 || got == math.MinInt64 && want <= math.MinInt64+2e9
		if got != want && !clamped {
			t.Fatalf("%d ticks of 0x%02x, offset %d: %d, want %d", ticks, res, offset, got, want)
		}
	})
}
