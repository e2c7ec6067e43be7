package history

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/portreeve/portreeve/internal/exposure"
)

func copyFile(t *testing.T, from, to string) {
	t.Helper()
	in, err := os.Open(from)
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	out, err := os.OpenFile(to, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(out, in); err != nil {
		t.Fatal(err)
	}
	if err := out.Close(); err != nil {
		t.Fatal(err)
	}
}

// Every version that was ever released is read, and goes on.
func TestMigrations(t *testing.T) {
	files, err := filepath.Glob("testdata/v*.db")
	if err != nil || len(files) != len(migrations())-1 {
		t.Fatalf("%d fixtures for %d versions before this one, %v", len(files), len(migrations())-1, err)
	}
	for _, readOnly := range []bool{false, true} {
		for _, file := range files {
			path := filepath.Join(t.TempDir(), FileName)
			copyFile(t, file, path)
			s := openAt(t, path, Options{ReadOnly: readOnly})
			if v, err := s.version(t.Context()); err != nil || v != len(migrations()) {
				t.Errorf("%s is version %d now, %v", file, v, err)
			}
			a, b := listener("0.0.0.0", 80, 10, "/usr/sbin/nginx"), listener("::1", 22, 11, "/usr/sbin/sshd")
			_, got, err := s.Snapshot(t.Context(), "second")
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff([]exposure.Socket{a, b}, got.Sockets, same); d != "" {
				t.Errorf("%s: %s", file, d)
			}
			if info, _, err := s.Snapshot(t.Context(), ""); err != nil || info.Name != "first" {
				t.Errorf("%s: default %q, %v", file, info.Name, err)
			}
			st, err := s.Port(t.Context(), exposure.TCP, 22, time.Time{}, noon.Add(24*time.Hour))
			if err != nil || len(st.Lives) != 1 || st.Lives[0].Ended != "closed" || st.ClientCount != 1 || len(st.Findings) != 1 || st.Usage.Watched != time.Hour {
				t.Errorf("%s: %+v, %v", file, st, err)
			}
		}
	}
}

func TestNewerIsRefused(t *testing.T) {
	s := open(t, Options{})
	if _, err := s.db.Exec(fmt.Sprintf("PRAGMA user_version = %d", len(migrations())+1)); err != nil {
		t.Fatal(err)
	}
	path := s.Path()
	_ = s.Close()
	for _, readOnly := range []bool{false, true} {
		if _, err := Open(t.Context(), path, Options{ReadOnly: readOnly}); !errors.Is(err, ErrNewer) || !strings.Contains(err.Error(), path) {
			t.Errorf("a newer history: %v", err)
		}
	}
}

// filled is a history of several pages, closed.
func filled(t *testing.T) string {
	t.Helper()
	s := open(t, Options{})
	for k := range 5 {
		var socks []exposure.Socket
		for i := range 40 {
			socks = append(socks, listener("0.0.0.0", uint16(1000+i), 100*k+i+2, "/usr/sbin/d"))
		}
		save(t, s, fmt.Sprint("s", k), snapshotOf(noon.Add(time.Duration(k)*time.Hour), socks...), SaveOptions{Baseline: true})
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	return s.Path()
}

// readAll reads everything that a command might.
func readAll(t *testing.T, path string) error {
	s, err := Open(t.Context(), path, Options{ReadOnly: true})
	if err != nil {
		return err
	}
	defer s.Close()
	list, err := s.Snapshots(t.Context())
	if err != nil {
		return err
	}
	for _, x := range list {
		if _, _, err := s.Snapshot(t.Context(), x.Name); err != nil {
			return err
		}
	}
	_, err = s.Port(t.Context(), exposure.TCP, 1000, time.Time{}, noon)
	return err
}

func TestNoHistory(t *testing.T) {
	for name, text := range map[string]string{"text": "this is no database, whatever its name says; not at all", "zeros": strings.Repeat("\x00", 8192)} {
		path := filepath.Join(t.TempDir(), name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		for _, readOnly := range []bool{false, true} {
			_, err := Open(t.Context(), path, Options{ReadOnly: readOnly})
			if !errors.Is(err, ErrCorrupt) {
				t.Errorf("%s: %v", name, err)
			}
		}
		if got, err := os.ReadFile(path); err != nil || string(got) != text {
			t.Errorf("%s was changed", name)
		}
	}
	s := open(t, Options{})
	if _, err := s.db.Exec("PRAGMA application_id = 7"); err != nil {
		t.Fatal(err)
	}
	path := s.Path()
	_ = s.Close()
	if _, err := Open(t.Context(), path, Options{}); !errors.Is(err, ErrCorrupt) {
		t.Errorf("somebody else's database: %v", err)
	}
	if _, err := Open(t.Context(), filepath.Join(t.TempDir(), "none"), Options{ReadOnly: true}); !errors.Is(err, ErrNone) {
		t.Errorf("no file: %v", err)
	}
}

// A damaged file gives an error of ErrCorrupt or what was written, and never
// something else.
func TestBitFlips(t *testing.T) {
	path := filled(t)
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	bad := filepath.Join(t.TempDir(), "bad.db")
	found := 0
	for at := 0; at < len(whole); at += 1 + len(whole)/150 {
		b := append([]byte(nil), whole...)
		b[at] ^= 0x24
		if err := os.WriteFile(bad, b, 0o600); err != nil {
			t.Fatal(err)
		}
		switch err := readAll(t, bad); {
		case err == nil:
		case errors.Is(err, ErrCorrupt), errors.Is(err, ErrNewer), errors.Is(err, ErrNoSnapshot), strings.Contains(err.Error(), "SQL logic"):
			found++
		default:
			t.Errorf("byte %d: %v", at, err)
		}
	}
	if found < 50 {
		t.Errorf("only %d of 150 flips were found", found)
	}
}

func TestTruncated(t *testing.T) {
	path := filled(t)
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	short := filepath.Join(t.TempDir(), "short.db")
	for _, size := range []int{1, 50, 100, 4095, 4096, 8192, len(whole) / 2, len(whole) - 4096} {
		if err := os.WriteFile(short, whole[:size], 0o600); err != nil {
			t.Fatal(err)
		}
		if err := readAll(t, short); !errors.Is(err, ErrCorrupt) {
			t.Errorf("cut to %d of %d: %v", size, len(whole), err)
		}
	}
}

// Without its log the file is what was last checkpointed: less, and sound.
func TestLogLost(t *testing.T) {
	s := open(t, Options{})
	save(t, s, "a", snapshotOf(noon, listener("0.0.0.0", 80, 10, "/d")), SaveOptions{})
	if _, err := s.db.Exec("PRAGMA wal_checkpoint(TRUNCATE)"); err != nil {
		t.Fatal(err)
	}
	save(t, s, "b", snapshotOf(noon.Add(time.Hour)), SaveOptions{})
	lost := filepath.Join(t.TempDir(), "lost.db")
	b, err := os.ReadFile(s.Path() + "-wal")
	if err != nil || len(b) == 0 {
		t.Fatalf("no log to lose: %v", err)
	}
	copied, err := os.ReadFile(s.Path())
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(lost, copied, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := readAll(t, lost); err != nil {
		t.Fatal(err)
	}
	l := openAt(t, lost, Options{})
	list, err := l.Snapshots(t.Context())
	if err != nil || len(list) != 1 || list[0].Name != "a" {
		t.Errorf("%v, %v", list, err)
	}
}
