package fwlog

import (
	"context"
	"os"
	"path/filepath"
	"runtime"
	"testing"
	"time"
)

// follow runs Follow on a new log and gives the line numbers of its events.
func follow(t *testing.T, begin string, beginning bool) (path string, events chan int64, stop func() Stats) {
	path = filepath.Join(t.TempDir(), "log")
	write(t, path, os.O_CREATE, begin)
	ctx, cancel := context.WithCancel(context.Background())
	events = make(chan int64, 100)
	done := make(chan Stats, 1)
	go func() {
		stats, err := Follow(ctx, path, beginning, time.Millisecond, Options{Now: readAt}, func(n int64, k Kind, _ *Event) bool {
			if k == IsEvent {
				events <- n
			}
			return true
		})
		if err != nil {
			t.Error(err)
		}
		done <- stats
	}()
	return path, events, func() Stats { cancel(); return <-done }
}

func write(t *testing.T, path string, flag int, text string) {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_APPEND|flag, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteString(text); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
}

func want(t *testing.T, events chan int64, lines ...int64) {
	t.Helper()
	for _, n := range lines {
		select {
		case got := <-events:
			if got != n {
				t.Fatalf("event of line %d, want %d", got, n)
			}
		case <-time.After(20 * time.Second):
			t.Fatalf("line %d was not read", n)
		}
	}
}

func TestFollowGrows(t *testing.T) {
	path, events, stop := follow(t, plain, true)
	want(t, events, 1)
	write(t, path, 0, plain[:40])
	write(t, path, 0, plain[40:]+plain)
	want(t, events, 2, 3)
	if stats := stop(); stats.Events != 3 || stats.Unknown != 0 {
		t.Errorf("%+v", stats)
	}
}

func TestFollowTruncated(t *testing.T) {
	path, events, stop := follow(t, plain+plain, true)
	want(t, events, 1, 2)
	if err := os.Truncate(path, 0); err != nil {
		t.Fatal(err)
	}
	write(t, path, 0, plain)
	want(t, events, 3)
	stop()
}

func TestFollowRotated(t *testing.T) {
	path, events, stop := follow(t, plain+plain[:50], true)
	want(t, events, 1)
	if err := os.Rename(path, path+".1"); runtime.GOOS == "windows" && err != nil {
		t.Skip("Windows does not rename what is open: ", err)
	} else if err != nil {
		t.Fatal(err)
	}
	write(t, path+".1", 0, plain[50:]+plain+"cut off")
	write(t, path, os.O_CREATE, plain)
	want(t, events, 2, 3, 5)
	if stats := stop(); stats.Unknown != 1 || stats.Events != 4 {
		t.Errorf("%+v", stats)
	}
}

func TestFollowFromEnd(t *testing.T) {
	path, events, stop := follow(t, plain+plain, false)
	deadline := time.Now().Add(20 * time.Second)
	for len(events) == 0 && time.Now().Before(deadline) { // until Follow stands at the end
		write(t, path, 0, plain)
		time.Sleep(5 * time.Millisecond)
	}
	want(t, events, 1)
	stop()
}
