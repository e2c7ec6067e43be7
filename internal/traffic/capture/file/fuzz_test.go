package file

import (
	"bytes"
	"errors"
	"io"
	"os"
	"testing"
	"testing/iotest"

	"github.com/portreeve/portreeve/internal/traffic/capture"
)

// check reads any bytes and compares with the twin, in one piece and bytewise.
func check(t *testing.T, data []byte) {
	want := twinRead(data)
	for _, r := range []io.Reader{bytes.NewReader(data), iotest.OneByteReader(bytes.NewReader(data))} {
		got, _, err := readAll(r)
		if errors.Is(err, capture.ErrNotCapture) {
			t.Skip("not a capture")
		}
		if want.cut != errors.Is(err, capture.ErrCutOff) || want.damaged != errors.Is(err, capture.ErrDamaged) {
			t.Fatalf("%v; want cut %v, damaged %v", err, want.cut, want.damaged)
		}
		if !want.cut && !want.damaged && err != io.EOF {
			t.Fatal(err)
		}
		for i := range min(len(got), len(want.packets)) {
			if a, b := got[i].Time, want.packets[i].Time; a != b && (a == 1<<63-1 || a == -1<<63) {
				got[i].Time = b // the last second of the range, see TestClock
			}
		}
		same(t, "fuzz", got, want.packets)
	}
}

// FuzzPcap gives records of the usual header any content.
func FuzzPcap(f *testing.F) {
	f.Add(small(f)[4:], true, false)
	f.Add(small(f)[4:40], false, true)
	f.Fuzz(func(t *testing.T, data []byte, big, nano bool) {
		magic := []byte{0xa1, 0xb2, 0xc3, 0xd4}
		if nano {
			magic = []byte{0xa1, 0xb2, 0x3c, 0x4d}
		}
		if !big {
			magic[0], magic[1], magic[2], magic[3] = magic[3], magic[2], magic[1], magic[0]
		}
		all := append(magic, data...)
		if len(all) >= 24 && isAIX(all) {
			t.Skip("interface types, which the twin does not know")
		}
		check(t, all)
	})
}

func isAIX(all []byte) bool {
	_, big := findMagic(all)
	h := pcapHeader(all, big)
	_, aix := h.aix()
	switch h.network & 0x3ffffff {
	case 189, 220, 231, 249, 279: // longer ones than the twin takes
		return true
	}
	return aix || h.major == 543
}

// FuzzPcapng gives blocks any content.
func FuzzPcapng(f *testing.F) {
	for _, name := range []string{"output_le/difficult/test202", "output_be/advanced/test102", "output_le/basic/test012"} {
		data, err := os.ReadFile(fixtures + "/pcapng-test-generator/" + name + ".pcapng")
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	s := little().section(1)
	f.Add(s.iface(1, 0, s.option(9, 0x8a), s.option(14, 1, 2, 3, 4, 5, 6, 7, 8)).enhanced(0, 1<<40, 9, "data", s.option(2, 1, 0, 0, 0)).b)
	f.Fuzz(func(t *testing.T, data []byte) {
		if len(data) < 4 || string(data[:4]) != sectionMagic {
			t.Skip("not a pcapng")
		}
		check(t, data)
	})
}

// FuzzOpen takes any bytes at all: it ends, with an error or without.
func FuzzOpen(f *testing.F) {
	f.Add(small(f))
	f.Add([]byte("34cdb2a1"))
	f.Add(hexFile(f, "34cdb2a1 0200 0400 00000000 00000000 00000400 01000000 01000000 02000000 03000000 40000000 02000000 00080400 aabbcc"))
	f.Add(hexFile(f, "ab01001c 0200 0400 00000000 00000000 00000400 01000000 13000000 01000000 02000000 03000000 40000000 aabbcc"))
	f.Fuzz(func(t *testing.T, data []byte) {
		got, _, err := readAll(bytes.NewReader(data))
		again, _, err2 := readAll(iotest.OneByteReader(bytes.NewReader(data)))
		if err == nil || err2 == nil {
			t.Fatal("it does not end")
		}
		if errors.Is(err, capture.ErrNotCapture) != errors.Is(err2, capture.ErrNotCapture) || errors.Is(err, capture.ErrCutOff) != errors.Is(err2, capture.ErrCutOff) {
			t.Fatalf("%v; byte by byte %v", err, err2)
		}
		same(t, "byte by byte", again, got)
	})
}
