package cli

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// someCapture is a pcap of n UDP packets that are a second apart.
func someCapture(link uint32, n int) []byte {
	le := binary.LittleEndian
	b := le.AppendUint32(nil, 0xa1b2c3d4)
	b = append(b, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 4, 0)
	b = le.AppendUint32(b, link)
	frame := []byte("\x45\x00\x00\x1c\x00\x01\x00\x00\x40\x11\x00\x00\x0a\x00\x00\x01\x0a\x00\x00\x02\xc0\x00\x00\x35\x00\x08\x00\x00")
	for i := range n {
		for _, v := range []uint32{1700000000 + uint32(i), 0, uint32(len(frame)), uint32(len(frame))} {
			b = le.AppendUint32(b, v)
		}
		b = append(b, frame...)
	}
	return b
}

const (
	ethernetLink = 1
	rawIPLink    = 101
)

// A compressed capture that is damaged behind its packets: those are told.
func TestTrafficTellsWhatIsBeforeDamage(t *testing.T) {
	var z bytes.Buffer
	w := gzip.NewWriter(&z)
	_, _ = w.Write(someCapture(rawIPLink, 3))
	must(t, w.Close())
	out, errs, code := call(t, "", "traffic", "-r", write(t, "x.pcap.gz", z.String()+"no gzip any more"), "--json")
	if code != exitPartial || !strings.Contains(out, `"quality":{"packets":3,`) || !strings.Contains(errs, "cannot be read further") {
		t.Errorf("%d\n%s\n%s", code, out, errs)
	}
}

// -w changes nothing when the run is refused, and never empties what is read.
func TestTrafficWriteKeepsFiles(t *testing.T) {
	capture := string(someCapture(rawIPLink, 1))
	in := write(t, "in.pcap", capture)
	old := write(t, "old.pcap", "what was there")
	fresh := filepath.Join(t.TempDir(), "new.pcap")
	for _, args := range [][]string{
		{"-w", in}, {"-w", filepath.Join(filepath.Dir(in), ".", "..", filepath.Base(filepath.Dir(in)), "in.pcap")},
		{"-w", old, "ether host 1:2:3:4:5:6"}, {"-w", fresh, "ether host 1:2:3:4:5:6"},
	} {
		out, errs, code := call(t, "", append([]string{"traffic", "-r", in}, args...)...)
		if code != exitUsage || out != "" || errs == "" {
			t.Errorf("%v: %d %q %q", args, code, out, errs)
		}
	}
	for name, want := range map[string]string{in: capture, old: "what was there"} {
		if b, err := os.ReadFile(name); err != nil || string(b) != want {
			t.Errorf("%s is now %q, %v", name, b, err)
		}
	}
	if _, err := os.Stat(fresh); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a refused run left a file: %v", err)
	}
}

// What was longer before is as long as what was written.
func TestTrafficWriteReplaces(t *testing.T) {
	in := write(t, "in.pcap", string(someCapture(ethernetLink, 2)))
	old := write(t, "old.pcap", strings.Repeat("x", 1000))
	if _, errs, code := call(t, "", "traffic", "-r", in, "-w", old); code != exitDone {
		t.Fatal(code, errs)
	}
	if out, errs, code := call(t, "", "traffic", "-r", old, "--json"); code != exitDone || !strings.Contains(out, `"quality":{"packets":2,`) {
		t.Errorf("%d %s %s", code, out, errs)
	}
}

// Ctrl-C ends a run that waits for a capture's first byte.
func TestTrafficWaitIsInterrupted(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	silent, writer := io.Pipe()
	defer func() { _ = writer.Close() }()
	time.AfterFunc(10*time.Millisecond, cancel)
	_, err := (&trafficFlags{read: "-"}).open(ctx, &streams{in: silent}, nil)
	if !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

// What cannot be written is said once.
func TestWriteErrorIsSaidOnce(t *testing.T) {
	err := writeError(writeError(syscall.ENOSPC))
	if strings.Count(err.Error(), "write the result") != 1 {
		t.Error(err)
	}
}
