package meter

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"sort"
	"testing"

	"github.com/cilium/ebpf"
	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"
)

// bench runs the program over frames that are on no network
// (BPF_PROG_TEST_RUN).
type bench struct {
	t    testing.TB
	m    *Meter
	prog *ebpf.Program
}

func newBench(t testing.TB, o Options, v variant) *bench {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("needs root to load a program")
	}
	m := &Meter{clock: bootTime()}
	t.Cleanup(func() { _ = m.Close() })
	p, err := m.load(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.close)
	prog, err := p.get(v)
	if err != nil {
		t.Fatalf("%+v", err)
	}
	return &bench{t, m, prog}
}

// pass shows the program a frame. False: the kernel does not take such a
// frame for a test.
func (b *bench) pass(frame []byte) bool {
	b.t.Helper()
	verdict, out, err := b.prog.Test(frame)
	if errors.Is(err, unix.EINVAL) {
		return false
	}
	if err != nil {
		b.t.Fatal(err)
	}
	if int32(verdict) != -1 {
		b.t.Errorf("verdict %d for %x", int32(verdict), frame)
	}
	if string(out) != string(frame) {
		b.t.Errorf("the frame was changed:\n%x\n%x", frame, out)
	}
	return true
}

func (b *bench) stats() Stats {
	b.t.Helper()
	s, err := b.m.Stats()
	if err != nil {
		b.t.Fatal(err)
	}
	return s
}

func records(t testing.TB, m *Meter) []Record {
	t.Helper()
	var out []Record
	if err := m.Read(func(r *Record) bool { out = append(out, *r); return true }); err != nil {
		t.Fatal(err)
	}
	return out
}

// check compares with the twin.
func (b *bench) check(w *twin) {
	b.t.Helper()
	if diff := cmp.Diff(w.stats, b.stats()); diff != "" {
		b.t.Errorf("stats, -twin +program:\n%s", diff)
	}
	counted := records(b.t, b.m)
	compareRecords(b.t, w, counted)
	s := b.stats()
	sum := s.Undecoded + s.Other + s.Portless + s.Orphans + s.Dropped
	for _, r := range counted {
		sum += r.PacketsAB + r.PacketsBA
	}
	if sum != s.Packets {
		b.t.Errorf("%d of %d packets told", sum, s.Packets)
	}
}

func compareRecords(t testing.TB, w *twin, counted []Record) {
	t.Helper()
	var want, got []Record
	for _, r := range w.flows {
		want = append(want, *r)
	}
	for _, r := range counted {
		if r.First == 0 || r.Last < r.First {
			t.Errorf("from %d to %d", r.First, r.Last)
		}
		got = append(got, byFirst(r))
	}
	sortRecords(want)
	sortRecords(got)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("conversations, -twin +program:\n%s", diff)
	}
}

func sortRecords(rs []Record) {
	sort.Slice(rs, func(i, j int) bool { return fmt.Sprint(rs[i]) < fmt.Sprint(rs[j]) })
}

// empty forgets all that was counted.
func (b *bench) empty() {
	b.t.Helper()
	b.m.idle = 1
	records(b.t, b.m)
	b.m.idle = 0
	if left := records(b.t, b.m); len(left) > 0 {
		b.t.Fatalf("%+v stay", left)
	}
	var key, value []byte
	for it := b.m.pieces.Iterate(); it.Next(&key, &value); it = b.m.pieces.Iterate() {
		if err := b.m.pieces.Delete(key); err != nil {
			b.t.Fatal(err)
		}
	}
	cpus, err := ebpf.PossibleCPU()
	if err != nil {
		b.t.Fatal(err)
	}
	if err := b.m.stats.Put(uint32(0), make([]totals, cpus)); err != nil {
		b.t.Fatal(err)
	}
}

// split takes a fuzzer's bytes as frames, each behind its length.
func split(data []byte) [][]byte {
	var frames [][]byte
	for len(data) >= 2 && len(frames) < 16 {
		n := min(int(binary.BigEndian.Uint16(data)&0x7ff), len(data)-2)
		frames = append(frames, data[2:2+n])
		data = data[2+n:]
	}
	return frames
}

func FuzzProgram(f *testing.F) {
	b := newBench(f, Options{MaxFlows: 64}, variant{})
	for _, name := range sampleNames() {
		frame := samples[name]()
		f.Add(append(binary.BigEndian.AppendUint16(nil, uint16(len(frame))), frame...))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		b.t = t
		b.empty()
		w := newTwin()
		for _, frame := range split(data) {
			if b.pass(frame) {
				w.frame(frame)
			}
		}
		b.check(w)
	})
}
