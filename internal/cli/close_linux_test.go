package cli

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/portreeve/portreeve/internal/nettest"
)

// closeLab is a host with servers that nothing manages, and the real program.
type closeLab struct{ lab }

// TestClose builds the program once, which takes longer than all the rest.
func TestClose(t *testing.T) {
	program := buildProgram(t)
	for name, part := range map[string]func(*closeLab){"command": closeCommand, "interrupted": closeInterrupted, "audit fix": auditFix} {
		t.Run(name, func(t *testing.T) { part(newCloseLab(t, program)) })
	}
}

func newCloseLab(t *testing.T, program string) *closeLab {
	l := &closeLab{lab{t: t, ns: nettest.New(t), program: program}}
	t.Setenv("XDG_STATE_HOME", t.TempDir())
	t.Setenv("SSH_CONNECTION", "")
	l.ns.Script("ip link add eth0 type veth peer name peer0; ip addr add 10.7.0.1/24 dev eth0; ip link set eth0 up; ip link set peer0 up")
	t.Cleanup(func() { // what undo started is nobody's child
		out, _ := exec.Command("ip", "netns", "pids", l.ns.Name).Output()
		_ = exec.Command("kill", append([]string{"-9"}, strings.Fields(string(out))...)...).Run()
	})
	return l
}

// python serves with a program of a few words until the lab ends.
func (l *closeLab) python(program, want string) {
	l.t.Helper()
	cmd := l.ns.Command(nettest.Need(l.t, "python3"), "-c", program)
	cmd.Dir = l.t.TempDir()
	if err := cmd.Start(); err != nil {
		l.t.Fatal(err)
	}
	go func() { _ = cmd.Wait() }()
	l.await(want, true)
}

// await waits until ss lists an address, or does no more.
func (l *closeLab) await(addr string, there bool) {
	l.t.Helper()
	var out string
	for range 100 {
		if out = l.ns.Run("ss", "-Htuln"); strings.Contains(out, addr) == there {
			return
		}
		time.Sleep(50 * time.Millisecond)
	}
	l.t.Fatalf("%s listens: want %v\n%s", addr, there, out)
}

// want runs the program and looks at its exit code and words.
func (l *closeLab) want(code int, words string, args ...string) string {
	l.t.Helper()
	out, errs, got := l.run(args...)
	if got != code || !strings.Contains(out+errs, words) {
		l.t.Errorf("%q: exit %d, want %d with %q\n%s%s", args, got, code, words, out, errs)
	}
	return out
}

const listener = "import socket,time\ns=socket.socket();s.bind(('0.0.0.0',%))\ns.listen()\ntime.sleep(600)"

func (l *closeLab) listen(port string) {
	l.t.Helper()
	l.python(strings.Replace(listener, "%", port, 1), "0.0.0.0:"+port)
}

// The command as its user meets it: plan, close, status, undo, and each exit
// code.
func closeCommand(l *closeLab) {
	t := l.t
	l.listen("7301")
	l.listen("657")
	l.want(0, "What is done", "close", "7301")
	l.await("0.0.0.0:7301", true)
	l.want(2, "nothing listens on port 7399", "close", "7301", "7399", "--apply")
	l.want(2, "is no port", "close", "70000")
	l.want(2, "--how", "close", "7301", "--how", "magic")
	l.want(2, "overrides nothing", "close", "7301", "--override", "last-way-in")
	l.want(2, "nothing to undo", "close", "undo")
	l.want(4, "--override protected:657/tcp", "close", "7301", "657/tcp", "--apply")
	l.await("0.0.0.0:7301", true)

	out := l.want(0, "", "close", "7301", "--apply", "--json")
	var doc struct {
		Schema  string
		Steps   []struct{ Kind string }
		Refused []any
		Applied struct{ ID, Journal string }
	}
	if err := json.Unmarshal([]byte(out), &doc); err != nil || doc.Schema != "portreeve.close/1" || len(doc.Steps) != 1 || doc.Steps[0].Kind != "process" || doc.Refused == nil || doc.Applied.ID == "" {
		t.Errorf("%v: %+v", err, doc)
	}
	l.await("0.0.0.0:7301", false)
	l.want(0, "port 7301: closed", "close", "status")
	l.want(2, "is no closing", "close", "undo", "nosuch")
	l.want(0, "undone: port 7301", "close", "undo", doc.Applied.ID)
	l.await("0.0.0.0:7301", true)
	l.want(2, "is undone already", "close", "undo")
}

// Interrupted in the middle, everything is taken back, and that is said.
func closeInterrupted(l *closeLab) {
	t := l.t
	l.listen("7302")
	l.python("import socket,time,signal\nsignal.signal(15,signal.SIG_IGN)\ns=socket.socket();s.bind(('0.0.0.0',7303))\ns.listen()\ntime.sleep(600)", "0.0.0.0:7303")
	cmd := l.ns.Command(l.program, "close", "7302", "7303", "--apply")
	var errs strings.Builder
	cmd.Stderr = &errs
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	l.await("0.0.0.0:7302", false)
	_ = cmd.Process.Signal(syscall.SIGINT)
	_ = cmd.Wait()
	if code := cmd.ProcessState.ExitCode(); code != 130 || !strings.Contains(errs.String(), "everything was taken back") || strings.Contains(errs.String(), "still runs") {
		t.Errorf("exit %d: %s", code, errs.String())
	}
	l.await("0.0.0.0:7302", true)
	l.want(0, "failed, and was taken back", "close", "status")
}

// The walk asks only what it was not told before: a file of answers closes
// what it names, and nothing else.
func auditFix(l *closeLab) {
	t := l.t
	l.listen("7304")
	l.listen("7305")
	l.want(2, "no terminal", "audit", "--fix")
	l.want(2, "add --fix", "audit", "--yes-file", "x")
	l.want(2, "leave --json", "audit", "--fix", "--json")
	answers := "unused-listener tcp/0.0.0.0:7399\n"
	for _, rule := range closable { // whatever the audit finds about it
		answers += rule + " tcp/0.0.0.0:7304 # ours\n"
	}
	yes := filepath.Join(t.TempDir(), "yes")
	if err := os.WriteFile(yes, []byte(answers), 0o600); err != nil {
		t.Fatal(err)
	}
	l.want(0, "no finding unused-listener tcp/0.0.0.0:7399 now", "audit", "--fix", "--yes-file", yes)
	l.await("0.0.0.0:7304", false)
	l.await("0.0.0.0:7305", true)
	l.want(0, "undone", "close", "undo")
	l.await("0.0.0.0:7304", true)
}
