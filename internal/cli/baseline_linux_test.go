package cli

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/portreeve/portreeve/internal/nettest"
)

// timeLab is a namespace, the built program, and a state folder.
type timeLab struct {
	t       *testing.T
	ns      *nettest.NS
	program string
	state   string
}

func (l *timeLab) run(stdin string, args ...string) (code int, out, errs string) {
	l.t.Helper()
	cmd := l.ns.Command(l.program, args...)
	cmd.Env = append(os.Environ(), "XDG_STATE_HOME="+l.state, "COLUMNS=80")
	cmd.Stdin = strings.NewReader(stdin)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	var exit *exec.ExitError
	if err := cmd.Run(); err != nil && !errors.As(err, &exit) {
		l.t.Fatal(err)
	}
	return cmd.ProcessState.ExitCode(), stdout.String(), stderr.String()
}

// serve starts a listener in a process of its own and gives how to end it.
func (l *timeLab) serve(addr string, port int) func() {
	l.t.Helper()
	cmd := l.ns.Start("python3", "-m", "http.server", fmt.Sprint(port), "--bind", addr)
	deadline := time.Now().Add(10 * time.Second)
	for !strings.Contains(l.ns.Run("ss", "-Hltn", fmt.Sprintf("src %s:%d", addr, port)), fmt.Sprint(port)) {
		if time.Now().After(deadline) {
			l.t.Fatalf("nothing listens on %s:%d", addr, port)
		}
		time.Sleep(20 * time.Millisecond)
	}
	return func() {
		_ = cmd.Process.Kill()
		_, _ = cmd.Process.Wait()
	}
}

// changes are those of `baseline diff ARGS --json`.
func (l *timeLab) changes(stdin string, args ...string) []string {
	l.t.Helper()
	code, out, errs := l.run(stdin, append([]string{"baseline", "diff", "--json"}, args...)...)
	var d struct {
		Schema     string
		Changes    []struct{ Kind, Endpoint string }
		Incomplete []any
	}
	if err := json.Unmarshal([]byte(out), &d); err != nil || code != 0 || d.Schema != "portreeve.diff/1" || len(d.Incomplete) > 0 {
		l.t.Fatalf("diff %v: exit %d, %v\n%s%s", args, code, err, out, errs)
	}
	list := []string{}
	for _, c := range d.Changes {
		list = append(list, c.Kind+" "+c.Endpoint)
	}
	return list
}

// A day with baselines, by the built program and real listeners.
func TestBaselineAndHistory(t *testing.T) {
	nettest.Need(t, "python3")
	nettest.Need(t, "ss")
	l := &timeLab{t, nettest.New(t), buildProgram(t), t.TempDir()}
	expect := func(got []string, want ...string) {
		t.Helper()
		if !slices.Equal(got, want) {
			t.Errorf("%v, want %v", got, want)
		}
	}
	if code, out, _ := l.run("", "history", "8080"); code != exitPartial || !strings.Contains(out, "baseline save") {
		t.Errorf("without a history: exit %d, %s", code, out)
	}
	if code, _, errs := l.run("", "baseline", "diff"); code != exitUsage || !strings.Contains(errs, "no history yet") {
		t.Errorf("without a baseline: exit %d, %s", code, errs)
	}
	end := l.serve("0.0.0.0", 8080)
	if code, out, errs := l.run("", "baseline", "save", "--netns", "self", "--name", "first"); code != 0 || !strings.Contains(out, "1 listener") {
		t.Fatalf("save: exit %d, %s%s", code, out, errs)
	}
	_, document, _ := l.run("", "host", "--netns", "self", "--json")
	expect(l.changes(""))
	end()
	expect(l.changes(""), "closed tcp/0.0.0.0:8080")
	end = l.serve("0.0.0.0", 8080)
	expect(l.changes("first"), "replaced tcp/0.0.0.0:8080")
	end()
	end = l.serve("127.0.0.1", 8080)
	defer l.serve("0.0.0.0", 9090)()
	want := []string{"scope-changed tcp/127.0.0.1:8080", "opened tcp/0.0.0.0:9090"}
	expect(l.changes("", "first", "now"), want...)
	expect(l.changes(document, "-", "now", "--netns", "self"), want...)
	if code, _, _ := l.run("", "baseline", "diff", "--fail-on-change"); code != exitFindings {
		t.Errorf("--fail-on-change: exit %d", code)
	}
	end()
	if code, _, errs := l.run("", "baseline", "save", "--netns", "self", "--name", "first"); code != exitUsage || !strings.Contains(errs, "--replace") {
		t.Errorf("a name twice: exit %d, %s", code, errs)
	}
	l.run("", "baseline", "save", "--netns", "self", "--name", "second")
	expect(l.changes("", "first", "second"), "closed tcp/0.0.0.0:8080", "opened tcp/0.0.0.0:9090")
	code, out, errs := l.run("", "history", "8080/tcp")
	if code != 0 || !strings.Contains(out, "closed since") || !strings.Contains(out, "python3") || !strings.Contains(out, "Nobody watched") {
		t.Errorf("history: exit %d, %s%s", code, out, errs)
	}
	for line := range strings.Lines(out) {
		if len([]rune(line)) > 81 {
			t.Errorf("wider than the page: %s", line)
		}
	}
	var story struct {
		Schema string
		Ports  []struct {
			Changes []struct{ Kind, Source string }
		}
	}
	if _, out, _ := l.run("", "history", "8080", "--json"); json.Unmarshal([]byte(out), &story) != nil || story.Schema != "portreeve.history/1" || len(story.Ports) != 1 || len(story.Ports[0].Changes) != 1 {
		t.Errorf("history --json: %s", out)
	}
	for _, args := range [][]string{{"baseline", "diff", "nothing"}, {"baseline", "show", "nothing"}, {"baseline", "delete", "nothing"}, {"baseline", "save", "--name", "now"},
		{"baseline", "diff", "-", "-"}, {"history", "70000"}, {"history", "80", "--since", "yesterdayish"}, {"audit", "--since", "nothing"}, {"baseline", "nothing"}} {
		if code, out, errs := l.run("", args...); code != exitUsage || out != "" || errs == "" {
			t.Errorf("%v: exit %d, %q, %q", args, code, out, errs)
		}
	}
}
