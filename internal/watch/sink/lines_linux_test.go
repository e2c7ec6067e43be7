package sink

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// whole reads a file of JSON Lines: every line must be a whole object.
func whole(t *testing.T, path string) (ids []string) {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if len(b) > 0 && b[len(b)-1] != '\n' {
		t.Fatalf("%s ends in half a line", path)
	}
	for line := range bytes.Lines(b) {
		var doc struct{ ID string }
		if err := json.Unmarshal(line, &doc); err != nil {
			t.Fatalf("%v in %q", err, line)
		}
		ids = append(ids, doc.ID)
	}
	return ids
}

func lineSink(t *testing.T, path string) *lines {
	l := openLines(path)
	t.Cleanup(func() { _ = l.Close(t.Context()) })
	return l
}

func put(t *testing.T, l *lines, id string) {
	t.Helper()
	if err := l.Send(t.Context(), notice(id)); err != nil {
		t.Fatal(err)
	}
}

// TestLinesAfterCrash: what a crash left of a line is no part of the next.
func TestLinesAfterCrash(t *testing.T) {
	line, err := notice("a").Line()
	if err != nil {
		t.Fatal(err)
	}
	for _, cut := range []int{1, 2, 20, len(line) - 2, len(line) - 1, len(line)} {
		path := filepath.Join(t.TempDir(), "x.jsonl")
		if err := os.WriteFile(path, append(bytes.Clone(line), line[:cut]...), 0o600); err != nil {
			t.Fatal(err)
		}
		put(t, lineSink(t, path), "b")
		want := "[a b]"
		if cut >= len(line)-1 { // the object was whole
			want = "[a a b]"
		}
		if got := fmt.Sprint(whole(t, path)); got != want {
			t.Errorf("cut at %d: %s, want %s", cut, got, want)
		}
	}
	// What is not ours is left as it is.
	path := filepath.Join(t.TempDir(), "other.txt")
	if err := os.WriteFile(path, []byte("something else"), 0o600); err != nil {
		t.Fatal(err)
	}
	put(t, lineSink(t, path), "b")
	if b, _ := os.ReadFile(path); !bytes.HasPrefix(b, []byte("something else\n{\"id\":\"b\"")) {
		t.Errorf("%q", b)
	}
}

func TestLinesRotation(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "x.jsonl")
	l := lineSink(t, path)
	put(t, l, "a")
	if err := os.Rename(path, path+".1"); err != nil {
		t.Fatal(err)
	}
	l.Reopen()
	put(t, l, "b")
	if err := os.Remove(path); err != nil { // without a word: seen by the name
		t.Fatal(err)
	}
	l.looked = l.looked.Add(-lookEvery)
	put(t, l, "c")
	if got := fmt.Sprint(whole(t, path+".1"), whole(t, path)); got != "[a] [c]" {
		t.Fatal(got)
	}
	if err := os.Truncate(path, 0); err != nil { // copytruncate
		t.Fatal(err)
	}
	put(t, l, "d")
	if got := fmt.Sprint(whole(t, path)); got != "[d]" {
		t.Fatal(got)
	}
}

// TestLinesDiskFull: the error says so, nothing half is left, and it goes on
// when there is room.
func TestLinesDiskFull(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root to mount a small filesystem")
	}
	dir := t.TempDir()
	if err := unix.Mount("small", dir, "tmpfs", 0, "size=64k"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = unix.Unmount(dir, unix.MNT_DETACH) })
	path := filepath.Join(dir, "x.jsonl")
	l := lineSink(t, path)
	var err error
	n := 0
	for ; err == nil && n < 1000; n++ {
		err = l.Send(t.Context(), notice(fmt.Sprint(n)))
	}
	if !errors.Is(err, unix.ENOSPC) || n < 10 {
		t.Fatal(n, err)
	}
	if got := whole(t, path); len(got) != n-1 {
		t.Fatal(len(got), n)
	}
	if err := os.WriteFile(path+".tail", nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := unix.Mount("small", dir, "tmpfs", unix.MS_REMOUNT, "size=256k"); err != nil {
		t.Fatal(err)
	}
	put(t, l, "after")
	if got := whole(t, path); len(got) != n || got[n-1] != "after" {
		t.Fatal(len(got), n)
	}
	// The spool too: a full disk is an error, then it goes on.
	if err := unix.Mount("small", dir, "tmpfs", unix.MS_REMOUNT, "size=300k"); err != nil {
		t.Fatal(err)
	}
	s, _ := mustSpool(t, filepath.Join(dir, "spool"), 64<<20)
	defer s.close()
	for n, err = 0, nil; err == nil && n < 10000; n++ {
		err = s.append(fmt.Sprint("s", n), make([]byte, 1000))
	}
	if !errors.Is(err, unix.ENOSPC) || isPermanent(err) {
		t.Fatal(n, err)
	}
	if err := unix.Mount("small", dir, "tmpfs", unix.MS_REMOUNT, "size=1m"); err != nil {
		t.Fatal(err)
	}
	if err := s.append("after", nil); err != nil {
		t.Fatal(err)
	}
	if got := take(t, s, 50); len(got) != n || got[n-1] != "after" {
		t.Fatal(len(got), n)
	}
}

// TestLinesPipe: a pipe that nobody reads is an error, not a hang.
func TestLinesPipe(t *testing.T) {
	path := filepath.Join(t.TempDir(), "pipe")
	if err := unix.Mkfifo(path, 0o600); err != nil {
		t.Fatal(err)
	}
	r, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	put(t, lineSink(t, path), "a")
	b := make([]byte, 1<<16)
	if n, err := r.Read(b); err != nil || !json.Valid(b[:n]) {
		t.Fatal(err)
	}
}

func TestLineIsSafe(t *testing.T) {
	line, err := hostileNotice("n1").Line()
	if err != nil || !json.Valid(line) || bytes.Count(line, []byte("\n")) != 1 || strings.ContainsAny(string(line), "\x1b\u202e\r") {
		t.Fatalf("%v %q", err, line)
	}
	if text := Text(hostileNotice("n1")); strings.ContainsAny(text, "\n\r\x1b\u202e\x00") {
		t.Fatalf("%q", text)
	}
}
