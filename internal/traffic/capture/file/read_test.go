package file

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"

	"github.com/portreeve/portreeve/internal/traffic/capture"
)

const fixtures = "../../../../../shared/fixtures/captures"

// captures are all captures among the fixtures.
func captures(t testing.TB) map[string][]byte {
	t.Helper()
	all := map[string][]byte{}
	err := filepath.WalkDir(fixtures, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.Contains(d.Name(), ".pcap") {
			return err
		}
		all[path], err = os.ReadFile(path)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(all) < 100 {
		t.Fatalf("only %d captures in %s", len(all), fixtures)
	}
	return all
}

// readAll reads a capture to its end, each packet copied.
func readAll(r io.Reader) ([]capture.Packet, *Source, error) {
	s, err := Open(r)
	if err != nil {
		return nil, nil, err
	}
	var all []capture.Packet
	var b capture.Batch
	for {
		err := s.Next(&b)
		if err == nil && len(b.Packets) == 0 {
			return all, s, errors.New("an empty batch from a file")
		}
		if err != nil {
			if len(b.Packets) > 0 {
				err = errors.New("packets and an error at once")
			}
			return all, s, err
		}
		for _, p := range b.Packets {
			p.Data = bytes.Clone(p.Data)
			all = append(all, p)
		}
	}
}

// same compares packets, but for the interface, which the twin does not count.
func same(t testing.TB, name string, got, want []capture.Packet) {
	t.Helper()
	if len(got) != len(want) {
		t.Errorf("%s: %d packets, want %d", name, len(got), len(want))
		return
	}
	for i := range got {
		got[i].Interface, want[i].Interface = 0, 0
		if !bytes.Equal(got[i].Data, want[i].Data) {
			t.Errorf("%s: packet %d: other data", name, i+1)
			return
		}
		g, w := got[i], want[i]
		g.Data, w.Data = nil, nil
		if d := cmp.Diff(w, g); d != "" {
			t.Errorf("%s: packet %d (-want +got):\n%s", name, i+1, d)
			return
		}
	}
}

// The twin and the reader agree on every fixture, however the bytes come.
func TestTwinOnFixtures(t *testing.T) {
	for name, data := range captures(t) {
		want := twinRead(data)
		if want.cut || want.damaged {
			t.Errorf("%s: the twin says cut %v, damaged %v", name, want.cut, want.damaged)
		}
		readers := map[string]io.Reader{"whole": bytes.NewReader(data), "errors with data": iotest.DataErrReader(bytes.NewReader(data))}
		if len(data) < 50_000 {
			readers["byte by byte"] = iotest.OneByteReader(bytes.NewReader(data))
			readers["half"] = iotest.HalfReader(bytes.NewReader(data))
		}
		for how, r := range readers {
			got, _, err := readAll(r)
			if err != io.EOF {
				t.Errorf("%s, %s: %v", name, how, err)
			}
			same(t, name+", "+how, got, want.packets)
		}
	}
}

// hexFile puts a capture together from text.
func hexFile(t testing.TB, text string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.Join(strings.Fields(text), ""))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// small is a pcap of three packets, of 3, 0 and 5 bytes.
func small(t testing.TB) []byte {
	return hexFile(t, `d4c3b2a1 0200 0400 00000000 00000000 00000400 01000000
		01000000 02000000 03000000 40000000 aabbcc
		01000000 03000000 00000000 40000000
		02000000 00000000 05000000 05000000 0102030405`)
}

// Every prefix gives exactly the packets before the cut, and says that it is
// cut off wherever that can be told.
func TestPrefixes(t *testing.T) {
	ng, err := os.ReadFile(fixtures + "/pcapng-test-generator/output_le/difficult/test202.pcapng")
	if err != nil {
		t.Fatal(err)
	}
	var mixed bytes.Buffer
	w := NewWriter(&mixed, Options{Format: PCAPNG})
	for i := range 4 {
		p := capture.Packet{Data: make([]byte, 7*i), Wire: 100, Time: 5, Link: 1, Interface: uint32(i % 2), Direction: capture.Inbound}
		if err := w.Write(&p); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Flush(); err != nil {
		t.Fatal(err)
	}
	for name, data := range map[string][]byte{"pcap": small(t), "pcapng": mixed.Bytes(), "sections": ng} {
		for n := range len(data) + 1 {
			prefix := data[:n]
			want := twinRead(prefix)
			got, _, err := readAll(bytes.NewReader(prefix))
			switch {
			case n == 0:
				if !errors.Is(err, capture.ErrNotCapture) {
					t.Errorf("%s, nothing: %v", name, err)
				}
				continue
			case want.cut != errors.Is(err, capture.ErrCutOff) || !want.cut && err != io.EOF:
				t.Fatalf("%s cut at %d: %v, cut %v", name, n, err, want.cut)
			}
			same(t, fmt.Sprintf("%s cut at %d", name, n), got, want.packets)
		}
	}
}

func TestCutIsNamed(t *testing.T) {
	data := small(t)
	_, _, err := readAll(bytes.NewReader(data[:len(data)-1]))
	var d *capture.DamageError
	if !errors.As(err, &d) {
		t.Fatal(err)
	}
	want := &capture.DamageError{Kind: capture.ErrCutOff, Format: "pcap", Offset: 24 + 19 + 16, Packet: 3, Detail: "it ends there after 20 bytes"}
	if diff := cmp.Diff(want.Error(), d.Error()); diff != "" {
		t.Error(diff)
	}
}

// A decompressor that ends too early is a cut; another error is damage, and
// comes after the packets. In the header it is the reader's own.
func TestReaderErrors(t *testing.T) {
	broken := errors.New("the disk is on fire")
	for _, c := range []struct {
		err  error
		is   error
		isNo error
	}{{io.ErrUnexpectedEOF, capture.ErrCutOff, capture.ErrDamaged}, {broken, broken, capture.ErrCutOff}} {
		data := small(t)
		got, _, err := readAll(io.MultiReader(bytes.NewReader(data[:len(data)-2]), iotest.ErrReader(c.err)))
		var damage *capture.DamageError
		if len(got) != 2 || !errors.Is(err, c.is) || errors.Is(err, c.isNo) || !errors.As(err, &damage) {
			t.Errorf("%v: %d packets, %v", c.err, len(got), err)
		}
		for _, n := range []int{0, 10} { // and in the header
			_, _, err := readAll(io.MultiReader(bytes.NewReader(data[:n]), iotest.ErrReader(c.err)))
			if !errors.Is(err, c.is) {
				t.Errorf("%v after %d bytes: %v", c.err, n, err)
			}
		}
	}
}

// Nothing that never ends is waited for: a reader that gives nothing forever
// is an error.
func TestNoProgress(t *testing.T) {
	_, err := Open(readerFunc(func([]byte) (int, error) { return 0, nil }))
	if !errors.Is(err, io.ErrNoProgress) {
		t.Error(err)
	}
	_, err = Open(readerFunc(func(b []byte) (int, error) { return len(b) + 1, nil }))
	if err == nil {
		t.Error("an impossible count is taken")
	}
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(b []byte) (int, error) { return f(b) }

func TestNotCapture(t *testing.T) {
	for in, says := range map[string]string{
		"":                          "empty",
		"\x1f\x8b\x08\x00abc":       "gzip",
		"\x28\xb5\x2f\xfd....":      "zstd",
		"snoop\x00\x00\x00":         "snoop",
		"GET / HTTP":                "text",
		"\x00\x01\x02\x03\x04":      "unknown",
		"\n\r\r\nthis is only text": "0a 0d 0d 0a",
		"\xd4\xc3\xb2\xa1\x03\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00": "version 3.0",
	} {
		_, err := Open(strings.NewReader(in))
		var f *capture.FormatError
		if !errors.As(err, &f) || !errors.Is(err, capture.ErrNotCapture) || !strings.Contains(err.Error(), says) || !strings.Contains(err.Error(), "pcapng") {
			t.Errorf("%q: %v", in, err)
		}
	}
}

// A packet that is complete in a pipe is handed over while the pipe waits.
func TestPipeDoesNotWait(t *testing.T) {
	data := small(t)
	r, w := io.Pipe()
	go func() {
		_, _ = w.Write(data[:24+16+3+5]) // the first packet and a piece of the next
		<-t.Context().Done()
		_ = w.Close()
	}()
	s, err := Open(r)
	if err != nil {
		t.Fatal(err)
	}
	var b capture.Batch
	if err := s.Next(&b); err != nil || len(b.Packets) != 1 || string(b.Packets[0].Data) != "\xaa\xbb\xcc" {
		t.Fatalf("%v, %v", b.Packets, err)
	}
}

// Batches stay as they were while others are read, and their buffers come
// back to the pool.
func TestBatchesOutAtOnce(t *testing.T) {
	data := made(t, PCAPNG, 20_000)
	want := twinRead(data).packets
	s, err := Open(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	var out []capture.Batch
	for {
		var b capture.Batch
		if err := s.Next(&b); err != nil {
			break
		}
		out = append(out, b)
	}
	var got []capture.Packet
	for i := range out {
		got = append(got, out[i].Packets...)
	}
	same(t, "held", got, want)
	for i := range out {
		out[i].Release()
	}
	if n := len(s.pool.free); n == 0 || n > keptBuffers {
		t.Errorf("%d buffers in the pool", n)
	}
}

// Kinds of pcap besides the usual one.
func TestPcapKinds(t *testing.T) {
	const record = "01000000 02000000 03000000 40000000"
	micro := int64(1e9 + 2000)
	for name, c := range map[string]struct {
		file   string
		packet capture.Packet
	}{
		"nanoseconds": {"4d3cb2a1 0200 0400 0000000000000000 00000400 01000000" + record + "aabbcc", capture.Packet{Time: 1e9 + 2, Wire: 64, Link: 1}},
		"big-endian":  {"a1b2c3d4 0002 0004 0000000000000000 00040000 00000071 00000001 00000002 00000003 00000040 aabbcc", capture.Packet{Time: micro, Wire: 64, Link: 113}},
		"check sequence of four bytes, no snap length": {"d4c3b2a1 0200 0400 0000000000000000 00000000 01000024" + record + "aabbcc", capture.Packet{Time: micro, Wire: 64, Link: 1}},
		"reserved bits":                {"d4c3b2a1 0200 0400 0000000000000000 00000400 01000100" + record + "aabbcc", capture.Packet{Time: micro, Wire: 64, Link: 0x10001}},
		"version 2.2":                  {"d4c3b2a1 0200 0200 0000000000000000 00000400 01000000 01000000 02000000 40000000 03000000 aabbcc", capture.Packet{Time: micro, Wire: 64, Link: 1}},
		"version 2.3":                  {"d4c3b2a1 0200 0300 0000000000000000 00000400 01000000 01000000 02000000 40000000 03000000 aabbcc", capture.Packet{Time: micro, Wire: 64, Link: 1}},
		"DG/UX":                        {"d4c3b2a1 1f02 0000 0000000000000000 00000400 01000000 01000000 02000000 40000000 03000000 aabbcc", capture.Packet{Time: micro, Wire: 64, Link: 1}},
		"AIX":                          {"a1b2c3d4 0002 0002 0000000000000000 00040000 00000006 00000001 00000002 00000040 00000003 aabbcc", capture.Packet{Time: 1e9 + 2, Wire: 64, Link: 1}},
		"Ixia software":                {"ab01001c 0200 0400 0000000000000000 00000400 01000000 13000000" + record + "aabbcc", capture.Packet{Time: micro, Wire: 64, Link: 1}},
		"Ixia hardware":                {"ac01001c 0200 0400 0000000000000000 00000400 01000000 13000000" + record + "aabbcc", capture.Packet{Time: 1e9 + 2, Wire: 64, Link: 1}},
		"modified":                     {"34cdb2a1 0200 0400 0000000000000000 00000400 01000000" + record + "02000000 0008 04 00 aabbcc", capture.Packet{Time: micro, Wire: 64, Link: 1, Direction: capture.Outbound}},
		"wire too short":               {"d4c3b2a1 0200 0400 0000000000000000 00000400 01000000 01000000 02000000 03000000 02000000 aabbcc", capture.Packet{Time: micro, Wire: 3, Link: 1}},
		"after 2038":                   {"d4c3b2a1 0200 0400 0000000000000000 00000400 01000000 ffffffff 02000000 03000000 40000000 aabbcc", capture.Packet{Time: 4294967295e9 + 2000, Wire: 64, Link: 1}},
		"microseconds beyond a second": {"d4c3b2a1 0200 0400 0000000000000000 00000400 01000000 01000000 ffffffff 03000000 40000000 aabbcc", capture.Packet{Time: 1e9 + 4294967295e3, Wire: 64, Link: 1}},
	} {
		got, s, err := readAll(bytes.NewReader(hexFile(t, c.file)))
		if err != io.EOF {
			t.Errorf("%s: %v", name, err)
			continue
		}
		c.packet.Data = []byte{0xaa, 0xbb, 0xcc}
		same(t, name, got, []capture.Packet{c.packet})
		if i := s.Interfaces(); len(i) != 1 || i[0].Link != c.packet.Link {
			t.Errorf("%s: interfaces %v", name, i)
		}
	}
}

// Both record headers under the modified magic are told apart.
func TestModifiedRecords(t *testing.T) {
	for _, extra := range []int{8, 12} {
		b := hexFile(t, "34cdb2a1 0200 0400 0000000000000000 00000400 01000000")
		for i := range 5 {
			b = binary.LittleEndian.AppendUint32(b, 946684800+uint32(i))
			b = append(b, 0, 0, 0, 0, 60, 0, 0, 0, 60, 0, 0, 0)
			b = append(b, append([]byte{2, 0, 0, 0, 0, 8, byte(i)}, make([]byte, extra-7)...)...)
			b = append(b, bytes.Repeat([]byte{byte(0x40 + i)}, 60)...)
		}
		for how, r := range map[string]io.Reader{"whole": bytes.NewReader(b), "byte by byte": iotest.OneByteReader(bytes.NewReader(b))} {
			got, _, err := readAll(r)
			if err != io.EOF || len(got) != 5 {
				t.Fatalf("%d extra bytes, %s: %d packets, %v", extra, how, len(got), err)
			}
			for i, p := range got {
				if len(p.Data) != 60 || p.Data[0] != byte(0x40+i) || p.Direction == capture.DirUnknown || p.Time != (946684800+int64(i))*1e9 {
					t.Errorf("%d extra bytes: packet %d: %+v", extra, i, p)
				}
			}
		}
	}
}

// A length beyond all captures is damage at its record, after the packets
// before it, and nothing is allocated for it.
func TestPcapDamage(t *testing.T) {
	data := small(t)
	binary.LittleEndian.PutUint32(data[24+19+8:], 0x7fffffff)
	got, _, err := readAll(bytes.NewReader(data))
	var d *capture.DamageError
	if len(got) != 1 || !errors.As(err, &d) || !errors.Is(err, capture.ErrDamaged) || d.Offset != 24+19 || d.Packet != 2 {
		t.Errorf("%d packets, %v", len(got), err)
	}
	// Within bounds but longer than the rest: cut off there.
	binary.LittleEndian.PutUint32(data[24+19+8:], 200_000)
	got, s, err := readAll(bytes.NewReader(data))
	if len(got) != 1 || !errors.Is(err, capture.ErrCutOff) || len(s.buffer.bytes) != bufferSize {
		t.Errorf("%d packets, %v, %d bytes of buffer", len(got), err, len(s.buffer.bytes))
	}
}

// Packets longer than a buffer are read, also several of them, and the
// buffers become small again.
func TestLongPackets(t *testing.T) {
	var out bytes.Buffer
	w := NewWriter(&out, Options{Format: Nanoseconds})
	var want []capture.Packet
	for i, size := range []int{10, 262140, 100, 262140, 200_000, 131_056, 131_072, 1, 60, 60} {
		p := capture.Packet{Data: bytes.Repeat([]byte{byte(i + 1)}, size), Wire: 300_000, Time: int64(i), Link: 1}
		want = append(want, p)
		if err := w.Write(&p); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Flush(); err != nil {
		t.Fatal(err)
	}
	for how, r := range map[string]io.Reader{"whole": bytes.NewReader(out.Bytes()), "half": iotest.HalfReader(bytes.NewReader(out.Bytes()))} {
		got, s, err := readAll(r)
		if err != io.EOF {
			t.Error(err)
		}
		same(t, how, got, want)
		if len(s.buffer.bytes) > 1<<20 {
			t.Errorf("%s: a buffer of %d bytes", how, len(s.buffer.bytes))
		}
	}
}
