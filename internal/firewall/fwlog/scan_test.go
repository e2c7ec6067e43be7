package fwlog

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"runtime"
	"strings"
	"testing"
	"testing/iotest"

	"pgregory.net/rapid"
)

// small are limits that let a short log show what a long one does.
func small() limits { return limits{line: 4 << 10, part: 10 << 10} }

// everything is the lines of all corpora, as one log.
func everything(t testing.TB) [][]byte {
	var all [][]byte
	for _, f := range corpusFiles(t) {
		all = append(all, corpusLines(t, f)...)
	}
	return all
}

// transcript is all that Scan says of a log.
func transcript(t testing.TB, r io.Reader, o Options) (string, Stats) {
	var out bytes.Buffer
	stats, err := scanLines(r, o, small(), func(n int64, k Kind, e *Event) bool {
		writeKind(&out, n, k, e)
		return true
	})
	if err != nil {
		t.Fatal(err)
	}
	return out.String(), stats
}

func writeKind(out *bytes.Buffer, n int64, k Kind, e *Event) {
	if k == IsEvent {
		writeEvent(out, int(n), e)
		return
	}
	writeOther(out, int(n), k == Known, e)
}

// inParallel is transcript by Parallel.
func inParallel(t testing.TB, r io.Reader, o Options, workers int) (string, Stats) {
	var out bytes.Buffer
	stats, err := parallel(context.Background(), r, o, workers, small(), Work[*bytes.Buffer]{
		New:  func() *bytes.Buffer { return new(bytes.Buffer) },
		Take: func(b *bytes.Buffer, n int64, k Kind, e *Event) { writeKind(b, n, k, e) },
		Done: func(b *bytes.Buffer) error { out.Write(b.Bytes()); return nil },
	})
	if err != nil {
		t.Fatal(err)
	}
	return out.String(), stats
}

// TestScanIsRead: the scanner gives what Read gives, however the bytes come.
func TestScanIsRead(t *testing.T) {
	all := everything(t)
	log := bytes.Join(all, []byte("\n"))
	want, _ := transcript(t, bytes.NewReader(log), Options{Now: readAt})
	var direct bytes.Buffer
	p := New(Options{Now: readAt})
	var e Event
	for i, l := range all {
		if !p.Read(l, &e) {
			if p.Known() || len(bytes.TrimSpace(l)) > 0 {
				writeOther(&direct, i+1, p.Known(), &e)
			}
			continue
		}
		writeEvent(&direct, i+1, &e)
		for p.More(&e) {
			writeEvent(&direct, i+1, &e)
		}
	}
	if direct.String() != want {
		t.Error("Scan and Read differ")
	}
	for name, r := range map[string]io.Reader{
		"one byte": iotest.OneByteReader(bytes.NewReader(log)),
		"data+EOF": iotest.DataErrReader(bytes.NewReader(log)),
		"CRLF":     bytes.NewReader(bytes.ReplaceAll(log, []byte("\n"), []byte("\r\n"))),
		"newline":  bytes.NewReader(append(bytes.Clone(log), '\n')),
	} {
		if got, _ := transcript(t, r, Options{Now: readAt}); got != want {
			t.Errorf("%s: another result", name)
		}
	}
}

// TestParallelIsScan: with lines of all dialects, headers among them, in an
// order that a seed draws, over several parts.
func TestParallelIsScan(t *testing.T) {
	all := everything(t)
	rapid.Check(t, func(t *rapid.T) {
		var log bytes.Buffer
		size := rapid.IntRange(0, 6*small().part).Draw(t, "size")
		run := rapid.IntRange(1, 40).Draw(t, "run")
		for log.Len() < size {
			at := rapid.IntRange(0, len(all)-1).Draw(t, "at")
			for range run {
				log.Write(all[at])
				log.WriteByte('\n')
				at = (at + 1) % len(all)
			}
		}
		if rapid.Bool().Draw(t, "cut") && log.Len() > 0 {
			log.Truncate(log.Len() - 1)
		}
		want, counts := transcript2(t, log.Bytes())
		got, same := inParallel2(t, log.Bytes(), rapid.IntRange(1, 3).Draw(t, "workers"))
		if got != want || counts != same {
			t.Fatalf("Parallel and Scan differ: %+v, %+v", same, counts)
		}
	})
}

func transcript2(t *rapid.T, log []byte) (string, Stats) {
	var out bytes.Buffer
	stats, err := scanLines(bytes.NewReader(log), Options{Now: readAt}, small(), func(n int64, k Kind, e *Event) bool {
		fmt.Fprint(&out, n, k, e.Format, e.Src, e.SrcPort, e.Dst, e.DstPort, e.Time, e.Action, "\n")
		return true
	})
	if err != nil {
		t.Fatal(err)
	}
	return out.String(), stats
}

func inParallel2(t *rapid.T, log []byte, workers int) (string, Stats) {
	var out bytes.Buffer
	stats, err := parallel(context.Background(), bytes.NewReader(log), Options{Now: readAt}, workers, small(), Work[*bytes.Buffer]{
		New: func() *bytes.Buffer { return new(bytes.Buffer) },
		Take: func(b *bytes.Buffer, n int64, k Kind, e *Event) {
			fmt.Fprint(b, n, k, e.Format, e.Src, e.SrcPort, e.Dst, e.DstPort, e.Time, e.Action, "\n")
		},
		Done: func(b *bytes.Buffer) error { out.Write(b.Bytes()); return nil },
	})
	if err != nil {
		t.Fatal(err)
	}
	return out.String(), stats
}

const plain = "Jun  8 14:34:33 gw kernel: DROP IN=eth0 OUT= MAC= SRC=198.51.100.7 DST=192.0.2.10 LEN=60 TOS=0x00 PREC=0x00 TTL=49 ID=54321 DF PROTO=TCP SPT=43210 DPT=22 WINDOW=64240 RES=0x00 SYN URGP=0 \n"

// TestLongLines: they are counted, not stored, and do not shift the numbers.
func TestLongLines(t *testing.T) {
	long := func(n int) string { return strings.Repeat("x", n) }
	maxLine, partSize := small().line, small().part
	for name, log := range map[string]string{
		"just not":   plain + plain[:len(plain)-1] + long(maxLine-len(plain)+1) + "\n" + plain,
		"just":       plain + long(maxLine+1) + "\n" + plain,
		"parts":      plain + long(3*partSize) + "\n" + plain,
		"first":      long(2*partSize) + "\n" + plain,
		"last":       plain + long(2*partSize),
		"last short": plain + long(maxLine+5),
		"two":        long(partSize) + "\n" + long(partSize+7) + "\n" + plain,
		"edge":       long(partSize-1) + "\n" + plain,
		"edge+1":     long(partSize) + "\n" + plain,
	} {
		want, counts := transcript(t, strings.NewReader(log), Options{Now: readAt})
		got, same := inParallel(t, strings.NewReader(log), Options{Now: readAt}, 2)
		if want != got || counts != same {
			t.Errorf("%s:\n%+v %s\n%+v %s", name, counts, want, same, got)
		}
		tooLong := int64(strings.Count(log, "\n")) - int64(strings.Count(log, plain))
		if name == "just not" {
			tooLong = 0
		} else if strings.HasPrefix(name, "last") {
			tooLong++
		}
		if counts.TooLong != tooLong || counts.Events != int64(strings.Count(log, plain))+map[bool]int64{true: 1}[name == "just not"] {
			t.Errorf("%s: %+v", name, counts)
		}
	}
}

// TestEndlessLine: memory does not grow with it.
func TestEndlessLine(t *testing.T) {
	for name, read := range map[string]func(io.Reader) (Stats, error){
		"Scan": func(r io.Reader) (Stats, error) {
			return Scan(r, Options{}, func(int64, Kind, *Event) bool { return true })
		},
		"Parallel": func(r io.Reader) (Stats, error) {
			return Parallel(context.Background(), r, Options{}, 2, Work[int]{
				New: func() int { return 0 }, Take: func(int, int64, Kind, *Event) {}, Done: func(int) error { return nil }})
		},
	} {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		stats, err := read(io.LimitReader(zeros{}, 256<<20))
		runtime.ReadMemStats(&after)
		if err != nil || stats.TooLong != 1 || stats.Lines != 1 {
			t.Errorf("%s: %+v, %v", name, stats, err)
		}
		if grown := after.TotalAlloc - before.TotalAlloc; grown > 48<<20 {
			t.Errorf("%s took %d bytes for 256 MiB without a newline", name, grown)
		}
	}
}

type zeros struct{}

func (zeros) Read(b []byte) (int, error) { clear(b); return len(b), nil }

func TestScanStopsAndFails(t *testing.T) {
	log := strings.Repeat(plain, 10)
	stats, err := Scan(strings.NewReader(log), Options{}, func(n int64, _ Kind, _ *Event) bool { return n < 3 })
	if err != nil || stats.Events != 3 {
		t.Errorf("stopped: %+v, %v", stats, err)
	}
	broken := io.MultiReader(strings.NewReader(log), iotest.ErrReader(io.ErrUnexpectedEOF))
	stats, err = Scan(broken, Options{}, func(int64, Kind, *Event) bool { return true })
	if !errors.Is(err, io.ErrUnexpectedEOF) || stats.Events != 10 {
		t.Errorf("failed: %+v, %v", stats, err)
	}
	_, err = Scan(idle{}, Options{}, func(int64, Kind, *Event) bool { return true })
	if !errors.Is(err, errNoProgress) {
		t.Errorf("idle: %v", err)
	}
}

type idle struct{}

func (idle) Read([]byte) (int, error) { return 0, nil }

func TestParallelFails(t *testing.T) {
	log := strings.Repeat(plain, 60000)
	full := errors.New("full")
	work := Work[*int]{New: func() *int { return new(int) }, Take: func(n *int, _ int64, _ Kind, _ *Event) { *n++ }, Done: func(*int) error { return full }}
	if _, err := Parallel(context.Background(), strings.NewReader(log), Options{}, 2, work); !errors.Is(err, full) {
		t.Errorf("Done failed: %v", err)
	}
	sum := 0
	work.Done = func(n *int) error { sum += *n; return nil }
	broken := io.MultiReader(strings.NewReader(log), iotest.ErrReader(io.ErrUnexpectedEOF))
	stats, err := Parallel(context.Background(), broken, Options{}, 2, work)
	if !errors.Is(err, io.ErrUnexpectedEOF) || sum != 60000 || stats.Events != 60000 {
		t.Errorf("Read failed: %d, %+v, %v", sum, stats, err)
	}
	ctx, stop := context.WithCancel(context.Background())
	work.Done = func(*int) error { stop(); return nil }
	if _, err := Parallel(ctx, strings.NewReader(log), Options{}, 2, work); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
}
