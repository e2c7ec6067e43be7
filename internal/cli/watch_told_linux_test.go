package cli

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/portreeve/portreeve/internal/exposure"
	"github.com/portreeve/portreeve/internal/nettest"
)

// TestWatchTells is what the sinks get, by the built program.
func TestWatchTells(t *testing.T) {
	nettest.Need(t, "python3")
	program := buildProgram(t)
	for name, fn := range map[string]func(*testing.T, *nettest.NS, string){
		"maintenance": watchInMaintenance, "flapping": watchFlapping, "schedule": watchSchedule,
	} {
		t.Run(name, func(t *testing.T) { t.Parallel(); fn(t, nettest.New(t), program) })
	}
}

// toldLine is a notice as the sink jsonl writes it.
type toldLine struct {
	Kind, Endpoint, Maintenance string
	Repeats                     int
	Finding                     *struct{ Rule string }
}

// toldTo reads the notices so far about a port.
func toldTo(t *testing.T, file string, port int) []toldLine {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		t.Fatal(err)
	}
	var out []toldLine
	for sc := bufio.NewScanner(bytes.NewReader(b)); sc.Scan(); {
		var l toldLine
		if json.Unmarshal(sc.Bytes(), &l) != nil {
			continue // half written
		}
		if strings.HasSuffix(l.Endpoint, fmt.Sprintf(":%d", port)) {
			out = append(out, l)
		}
	}
	return out
}

func isFinding(l toldLine) bool { return l.Finding != nil }

// In a window changes are marked and nobody is paged; what still holds when it
// is taken away is told then.
func watchInMaintenance(t *testing.T, ns *nettest.NS, program string) {
	pol, told := write(t, "policy.yaml", strictPolicy), filepath.Join(t.TempDir(), "told.jsonl")
	now := time.Now().UTC()
	without := fmt.Sprintf("version: 1\nhold: 100ms\nsinks:\n  - kind: jsonl\n    path: %s\n", told)
	conf := write(t, "watch.yaml", without+fmt.Sprintf("maintenance:\n  - name: the move\n    from: %s\n    to: %s\n    ports: [8080/tcp]\n",
		now.Add(-time.Hour).Format(time.RFC3339), now.Add(time.Hour).Format(time.RFC3339)))
	w := watchIn(t, ns, program, t.TempDir(), "--policy", pol, "--config", conf)
	t.Cleanup(server(ns, "0.0.0.0", 8080))
	w.expect(8080, "opened tcp/0.0.0.0:8080")
	t.Cleanup(server(ns, "0.0.0.0", 9090))
	w.until("the finding outside the window", func() bool { return slices.ContainsFunc(toldTo(t, told, 9090), isFinding) })
	time.Sleep(300 * time.Millisecond)
	if got := toldTo(t, told, 8080); len(got) != 1 || got[0].Maintenance != "the move" || isFinding(got[0]) {
		t.Errorf("in the window: %+v", got)
	}
	for _, l := range append(toldTo(t, told, 9090), toldLine{}) {
		if l.Maintenance != "" {
			t.Errorf("another port is marked: %+v", l)
		}
	}
	w.mu.Lock()
	if w.out[0].Maintenance != "the move" {
		t.Errorf("printed: %+v", w.out[0])
	}
	w.mu.Unlock()
	must(t, os.WriteFile(conf, []byte(without), 0o600))
	must(t, w.cmd.Process.Signal(unix.SIGHUP))
	w.until("the finding after the window", func() bool { return slices.ContainsFunc(toldTo(t, told, 8080), isFinding) })
	w.stop(os.Interrupt)
}

// Forty changes of one endpoint: all are printed, few notices count them all,
// and no finding is told.
func watchFlapping(t *testing.T, ns *nettest.NS, program string) {
	pol, told := write(t, "policy.yaml", strictPolicy), filepath.Join(t.TempDir(), "told.jsonl")
	conf := write(t, "watch.yaml", fmt.Sprintf("version: 1\nflapping:\n  first: 1s\nsinks:\n  - kind: jsonl\n    path: %s\n", told))
	w := watchIn(t, ns, program, t.TempDir(), "--policy", pol, "--config", conf)
	const changes = 40
	ns.Run("python3", "-c", fmt.Sprintf(`
import socket,time
for i in range(%d):
    s=socket.socket(); s.setsockopt(1,2,1); s.bind(("0.0.0.0",8080)); s.listen(); time.sleep(.02); s.close(); time.sleep(.02)
`, changes/2))
	w.until("all changes", func() bool { return len(w.kinds(8080)) >= changes })
	sum := func() (plain, counted, notices int) {
		for _, l := range toldTo(t, told, 8080) {
			notices++
			if isFinding(l) {
				t.Errorf("paged: %+v", l)
			}
			if l.Repeats == 0 {
				plain++
			} else if counted += l.Repeats; counted == l.Repeats {
				counted -= plain // the first count has those that were sent
			}
		}
		return plain, counted, notices
	}
	w.until("that all are counted", func() bool { plain, counted, _ := sum(); return plain+counted >= changes })
	if plain, counted, notices := sum(); plain+counted != changes || plain != 6 || notices > 9 {
		t.Errorf("%d notices, %d plain, count %d changes; want %d", notices, plain, plain+counted, changes)
	}
	w.stop(os.Interrupt)
	if got := w.kinds(8080); len(got) != changes {
		t.Errorf("%d changes printed", len(got))
	}
}

// jobsMode has the test binary run the configured jobs at once: the least pace
// of a schedule is a minute.
const jobsMode = "PORTREEVE_JOBS"

type jobResult struct {
	Name     string
	Err      string
	Findings []exposure.Finding
}

func runJobs(config string) {
	w := &watcher{s: &streams{in: os.Stdin, out: os.Stdout, err: os.Stderr, color: "never"}, f: &watchFlags{config: config, netns: "self"}}
	ctx := context.Background()
	if err := w.configure(ctx); err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	var list []jobResult
	for _, job := range w.jobs() {
		found, err := job.Run(ctx)
		list = append(list, jobResult{job.Name, fmt.Sprint(err), found})
	}
	_ = json.NewEncoder(os.Stdout).Encode(list)
}

// A scheduled audit judges by the policy, and by what a command says that
// another host saw; one that is old, late or says nothing is an error.
func watchSchedule(t *testing.T, ns *nettest.NS, program string) {
	ip, err := exec.LookPath("ip")
	must(t, err)
	stranger := nettest.New(t)
	nettest.Veth(t, ns, stranger, "10.8.0.1/24", "10.8.0.2/24")
	t.Cleanup(server(ns, "0.0.0.0", 6379))
	conf := write(t, "watch.yaml", fmt.Sprintf(`version: 1
policy: %s
schedule:
  audit:
    - every: 1m
  vantage:
    - name: outside
      command: [%s, netns, exec, %s, %s, scan, -p, "22,6379", --json, 10.8.0.1]
      every: 1m
    - name: silent
      command: [/bin/sh, -c, "echo no route >&2; exit 4"]
      every: 1m
    - name: late
      command: [/bin/sleep, "9"]
      timeout: 200ms
      every: 1m
`, write(t, "policy.yaml", strictPolicy), ip, stranger.Name, program))
	self, err := os.Executable()
	must(t, err)
	cmd := ns.Command(self)
	cmd.Env = append(os.Environ(), jobsMode+"="+conf, "XDG_STATE_HOME="+t.TempDir())
	out, err := cmd.Output()
	var got []jobResult
	if json.Unmarshal(out, &got) != nil || len(got) != 4 {
		t.Fatalf("%v: %s", err, out)
	}
	const seen = "a scan from outside found it open"
	for i, want := range []struct {
		name, err    string
		found, given bool // findings at all, the scan from outside in them
	}{
		{"scheduled audit", "<nil>", true, false}, {"vantage outside", "<nil>", true, true},
		{"vantage silent", "no route", false, false}, {"vantage late", "did not end within 200ms", false, false},
	} {
		j := got[i]
		found := slices.ContainsFunc(j.Findings, func(f exposure.Finding) bool { return f.ID == "not-in-policy:tcp/0.0.0.0:6379" })
		given := slices.ContainsFunc(j.Findings, func(f exposure.Finding) bool {
			return f.ID == "exposed-datastore:tcp/0.0.0.0:6379" && slices.Contains(f.Because, seen)
		})
		if j.Name != want.name || !strings.Contains(j.Err, want.err) || found != want.found || given != want.given {
			t.Errorf("%s: %s, %+v", j.Name, j.Err, j.Findings)
		}
	}
}
