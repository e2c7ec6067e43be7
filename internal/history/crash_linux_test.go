package history

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/portreeve/portreeve/internal/nettest"
)

// The test binary is its own victim: with this variable it writes to the
// history named there until it is killed, and tells each commit.
const victim = "PORTREEVE_HISTORY_VICTIM"

func TestMain(m *testing.M) {
	if path := os.Getenv(victim); path != "" {
		os.Exit(write(path))
	}
	os.Exit(m.Run())
}

func write(path string) int {
	s, err := Open(context.Background(), path, Options{})
	if err != nil {
		fmt.Println("error", err)
		return 1
	}
	first, _ := strconv.Atoi(os.Getenv(victim + "_FROM"))
	for i := first; i < first+3000; i++ {
		x := listener("0.0.0.0", uint16(i%60000+1), i+2, "/usr/sbin/d")
		if _, err := s.SaveSnapshot(context.Background(), strconv.Itoa(i), snapshotOf(noon.Add(time.Duration(i)*time.Second), x), SaveOptions{Baseline: true}); err != nil {
			fmt.Println("error", errors.Is(err, ErrFull), err)
			return 1
		}
		fmt.Println("kept", i)
	}
	return 0
}

func startVictim(t *testing.T, path string, from int, wrap ...string) (*exec.Cmd, *bufio.Scanner) {
	t.Helper()
	args := append(wrap, os.Args[0])
	cmd := exec.Command(args[0], args[1:]...)
	cmd.Env = append(os.Environ(), victim+"="+path, victim+"_FROM="+strconv.Itoa(from))
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	return cmd, bufio.NewScanner(out)
}

// Killed at any moment: what was committed is there, the next goes on.
func TestKilled(t *testing.T) {
	path := filepath.Join(t.TempDir(), FileName)
	kept := 0
	for round := range 30 {
		cmd, lines := startVictim(t, path, kept)
		timer := time.AfterFunc(time.Duration(rand.IntN(60))*time.Millisecond+20*time.Millisecond, func() { _ = cmd.Process.Kill() })
		for lines.Scan() {
			if text, ok := strings.CutPrefix(lines.Text(), "kept "); ok {
				n, _ := strconv.Atoi(text)
				kept = n + 1
			} else {
				t.Fatalf("round %d: %s", round, lines.Text())
			}
		}
		_ = cmd.Wait()
		timer.Stop()
		s, err := Open(t.Context(), path, Options{})
		if err != nil {
			t.Fatalf("round %d: %v", round, err)
		}
		list, err := s.Snapshots(t.Context())
		if err != nil || len(list) < kept || len(list) > kept+1 {
			t.Fatalf("round %d: %d of %d are there, %v", round, len(list), kept, err)
		}
		kept = len(list)
		if _, _, err := s.Snapshot(t.Context(), strconv.Itoa(max(0, kept-1))); err != nil && kept > 0 {
			t.Fatalf("round %d: %v", round, err)
		}
		var ok string
		if err := s.db.QueryRow("PRAGMA integrity_check").Scan(&ok); err != nil || ok != "ok" {
			t.Fatalf("round %d: %s %v", round, ok, err)
		}
		_ = s.Close()
	}
	if kept == 0 {
		t.Error("nothing was ever kept: the rounds proved nothing")
	}
	t.Logf("%d snapshots outlived 30 kills", kept)
}

// On a full disk the error says so, what was kept stays, and with space it
// goes on.
func TestFullDisk(t *testing.T) {
	nettest.Need(t, "unshare")
	dir := t.TempDir()
	script := fmt.Sprintf(`mount -t tmpfs -o size=600k none %[1]s && { "$0"; ls %[1]s; cp %[1]s/history.db* %[1]s.out/; mount -o remount,size=20m %[1]s; export %[2]s_FROM=100000; timeout -s KILL 1 "$0" | head -3; }`, dir, victim)
	if err := os.Mkdir(dir+".out", 0o700); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir + ".out") })
	cmd := exec.Command("unshare", "-m", "sh", "-c", script, os.Args[0])
	cmd.Env = append(os.Environ(), victim+"="+filepath.Join(dir, FileName), victim+"_FROM=0")
	b, err := cmd.CombinedOutput()
	out := string(b)
	if err != nil && len(out) == 0 {
		t.Fatal(err)
	}
	if !strings.Contains(out, "error true") {
		t.Fatalf("no clear error: %s", out[max(0, len(out)-600):])
	}
	if !strings.Contains(out, "kept 100000\nkept 100001") {
		t.Errorf("with space again it does not go on: %s", out[max(0, len(out)-600):])
	}
	kept := strings.Count(out[:strings.Index(out, "error")], "kept ")
	s := openAt(t, filepath.Join(dir+".out", FileName), Options{})
	list, err := s.Snapshots(t.Context())
	if err != nil || kept == 0 || len(list) != kept {
		t.Errorf("%d of %d are there, %v", len(list), kept, err)
	}
}

// A folder that may not be written: reading works, writing says why.
func TestReadOnlyPlace(t *testing.T) {
	nettest.Need(t, "unshare")
	path := filled(t)
	dir := filepath.Dir(path)
	script := fmt.Sprintf(`mount --bind %[1]s %[1]s && mount -o remount,ro,bind %[1]s && "$0" -test.run 'TestReadOnlyInside$' -test.v`, dir)
	cmd := exec.Command("unshare", "-m", "sh", "-c", script, os.Args[0])
	cmd.Env = append(os.Environ(), "PORTREEVE_HISTORY_RO="+path)
	b, err := cmd.CombinedOutput()
	if err != nil || !strings.Contains(string(b), "--- PASS: TestReadOnlyInside") {
		t.Errorf("%v\n%s", err, b)
	}
}

func TestReadOnlyInside(t *testing.T) {
	path := os.Getenv("PORTREEVE_HISTORY_RO")
	if path == "" {
		return // TestReadOnlyPlace runs it
	}
	if err := readAll(t, path); err != nil {
		t.Errorf("read: %v", err)
	}
	if s, err := Open(t.Context(), path, Options{}); err == nil {
		if _, err = s.SaveSnapshot(t.Context(), "x", snapshotOf(noon), SaveOptions{}); !errors.Is(err, ErrReadOnly) {
			t.Errorf("write: %v", err)
		}
	} else if !errors.Is(err, ErrReadOnly) {
		t.Errorf("open: %v", err)
	}
	if _, err := Open(t.Context(), filepath.Join(filepath.Dir(path), "sub", FileName), Options{}); !errors.Is(err, ErrReadOnly) {
		t.Errorf("create: %v", err)
	}
}
