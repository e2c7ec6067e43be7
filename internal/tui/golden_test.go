package tui

import (
	"context"
	"flag"
	"os"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/portreeve/portreeve/internal/traffic/capture"
	"github.com/portreeve/portreeve/internal/traffic/flow"
)

var update = flag.Bool("update", false, "write the golden screens anew")

// played is a stage after 75 seconds of someTraffic.
func played(t *testing.T, width, height int) (*stage, *fixture) {
	feed := someTraffic()
	s := newStage(t, feed, Options{Title: "portreeve traffic", Filter: "not port 25", Service: someService,
		Owner: func(_ context.Context, f *flow.Flow) string {
			return map[uint16]string{443: "nginx[812]", 5432: "postgres[77] \x1b]0;owned\a", 22: "sshd[1]"}[f.ServerPort]
		}})
	s.size(width, height)
	for n := range 75 {
		s.tick(feed.pass(n))
	}
	return s, feed
}

func TestScreens(t *testing.T) {
	for _, tc := range []struct {
		name string
		keys []string
	}{
		{"ports", nil},
		{"pairs", []string{"2"}},
		{"flows", []string{"3"}},
		{"totals", []string{"3", "t", "s", "s"}},
		{"drill", []string{"j", "s", "s", "s", "enter"}},
		{"pane", []string{"3", "/", "text:4444", "enter", "enter"}},
		{"filter", []string{"/", "text:10.0.0.7 t"}},
		{"paused", []string{"space", "2"}},
		{"help", []string{"?"}},
		{"evidence", []string{"e"}},
	} {
		for _, size := range [][2]int{{80, 24}, {120, 40}, {40, 10}} {
			s, feed := played(t, size[0], size[1])
			if tc.name == "evidence" {
				feed.lossy()
			}
			s.keys(tc.keys...)
			s.tick(feed.pass(75))
			golden(t, tc.name, size, s.screen())
		}
	}
}

// lossy makes the source one that drops.
func (f *fixture) lossy() {
	f.status.Dropped = 12_345
	f.status.Grade = flow.Judge(flow.Quality{Packets: f.status.Packets, Conversations: 10, OneSidedFlows: 5},
		capture.Stats{Dropped: f.status.Dropped, Known: true})
}

func golden(t *testing.T, name string, size [2]int, got string) {
	t.Helper()
	file := filepath.Join("testdata", name+"-"+dimensions(size)+".txt")
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(string(want), got); d != "" {
		t.Errorf("%s (-want +got):\n%s", file, d)
	}
}

func dimensions(size [2]int) string { return strconv.Itoa(size[0]) + "x" + strconv.Itoa(size[1]) }
