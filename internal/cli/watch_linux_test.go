package cli

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/portreeve/portreeve/internal/nettest"
)

// watchRun is a running watch in a namespace.
type watchRun struct {
	t    *testing.T
	cmd  *exec.Cmd
	mu   sync.Mutex
	out  []watchLine
	errs strings.Builder
	read sync.WaitGroup
}

type watchLine struct {
	Kind, Endpoint, Source, Maintenance string
	At                                  time.Time
	Before, After                       *struct {
		Processes []struct {
			PID  int
			Name string
			Exe  string
		}
	}
	read time.Time
}

// watchIn starts a watch and waits until it says that it watches.
func watchIn(t *testing.T, ns *nettest.NS, program, state string, args ...string) *watchRun {
	t.Helper()
	w := &watchRun{t: t, cmd: ns.Command(program, append([]string{"watch", "--json", "--netns", "self"}, args...)...)}
	w.cmd.Env = append(os.Environ(), "XDG_STATE_HOME="+state)
	out, err := w.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	errs, err := w.cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := w.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = w.cmd.Process.Kill() })
	w.read.Go(func() { w.lines(out) })
	w.read.Go(func() { w.says(errs) })
	w.until("it watches", func() bool { return strings.Contains(w.said(), "watching ") })
	return w
}

func (w *watchRun) lines(r io.Reader) {
	for sc := bufio.NewScanner(r); sc.Scan(); {
		l := watchLine{read: time.Now()}
		if err := json.Unmarshal(sc.Bytes(), &l); err != nil {
			w.t.Errorf("%v: %s", err, sc.Bytes())
		}
		w.mu.Lock()
		w.out = append(w.out, l)
		w.mu.Unlock()
	}
}

func (w *watchRun) says(r io.Reader) {
	for sc := bufio.NewScanner(r); sc.Scan(); {
		w.mu.Lock()
		w.errs.WriteString(sc.Text() + "\n")
		w.mu.Unlock()
	}
}

func (w *watchRun) said() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.errs.String()
}

// kinds are the lines so far of a port, as "kind endpoint".
func (w *watchRun) kinds(port int) []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	var out []string
	for _, l := range w.out {
		if strings.HasSuffix(l.Endpoint, fmt.Sprintf(":%d", port)) {
			out = append(out, l.Kind+" "+l.Endpoint)
		}
	}
	return out
}

func (w *watchRun) until(what string, ok func() bool) {
	w.t.Helper()
	for end := time.Now().Add(20 * time.Second); !ok(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			w.t.Fatalf("never: %s\n%v\n%s", what, w.out, w.said())
		}
	}
}

func (w *watchRun) expect(port int, want ...string) {
	w.t.Helper()
	w.until(fmt.Sprint(want), func() bool { return len(w.kinds(port)) >= len(want) })
	if got := w.kinds(port); strings.Join(got, ", ") != strings.Join(want, ", ") {
		w.t.Errorf("port %d: %q, want %q", port, got, want)
	}
}

// stop sends a signal and gives the exit code.
func (w *watchRun) stop(sig os.Signal) int {
	w.t.Helper()
	_ = w.cmd.Process.Signal(sig)
	w.read.Wait()
	_ = w.cmd.Wait()
	return w.cmd.ProcessState.ExitCode()
}

// server listens as a program of its own until it is ended.
func server(ns *nettest.NS, addr string, port int) func() {
	cmd := ns.Start("python3", "-c", fmt.Sprintf(
		"import socket,signal;s=socket.socket();s.setsockopt(1,2,1);s.bind(('%s',%d));s.listen();signal.pause()", addr, port))
	return func() { _ = cmd.Process.Kill(); _, _ = cmd.Process.Wait() }
}

func TestWatchProgram(t *testing.T) {
	nettest.Need(t, "python3")
	program := buildProgram(t)
	for name, fn := range map[string]func(*testing.T, *nettest.NS, string){
		"changes": watchTellsChanges, "short": watchTellsShort, "killed": watchResumes, "reload": watchReloads,
		"privileges": watchDropsPrivileges, "manager": watchEndsForTheManager, "full disk": watchOnFullDisk,
		"no root": watchWithoutRoot, "burst": watchBurst, "metrics": watchServesMetrics, "use": watchCountsUse,
	} {
		t.Run(name, func(t *testing.T) { t.Parallel(); fn(t, nettest.New(t), program) })
	}
}

// Open, restart, rebind, take over, close: each is told as what it was.
func watchTellsChanges(t *testing.T, ns *nettest.NS, program string) {
	w := watchIn(t, ns, program, t.TempDir())
	end := server(ns, "0.0.0.0", 8080)
	w.expect(8080, "opened tcp/0.0.0.0:8080")
	time.Sleep(700 * time.Millisecond)
	end()
	end = server(ns, "0.0.0.0", 8080)
	w.expect(8080, "opened tcp/0.0.0.0:8080", "replaced tcp/0.0.0.0:8080")
	time.Sleep(700 * time.Millisecond)
	end()
	end = server(ns, "127.0.0.1", 8080)
	w.expect(8080, "opened tcp/0.0.0.0:8080", "replaced tcp/0.0.0.0:8080", "scope-changed tcp/127.0.0.1:8080")
	time.Sleep(700 * time.Millisecond)
	end()
	closed := time.Now()
	w.expect(8080, "opened tcp/0.0.0.0:8080", "replaced tcp/0.0.0.0:8080", "scope-changed tcp/127.0.0.1:8080", "closed tcp/127.0.0.1:8080")
	last := w.out[len(w.out)-1]
	if late := last.At.Sub(closed).Abs(); late > time.Second {
		t.Errorf("the closing is dated %s, it was %s", last.At, closed)
	}
	if p := w.out[0].After.Processes; len(p) != 1 || !strings.HasPrefix(p[0].Name, "python3") {
		t.Errorf("owner: %+v", p)
	}
	if code := w.stop(os.Interrupt); code != exitInterrupted {
		t.Errorf("exit %d: %s", code, w.said())
	}
}

// What lives for a moment is told, with its process, as it happens.
func watchTellsShort(t *testing.T, ns *nettest.NS, program string) {
	w := watchIn(t, ns, program, t.TempDir())
	for i := range 5 {
		ns.Run("python3", "-c", fmt.Sprintf("import socket,time;s=socket.socket();s.bind(('127.0.0.1',%d));s.listen();time.sleep(0.02)", 9000+i))
		w.expect(9000+i, fmt.Sprintf("opened tcp/127.0.0.1:%d", 9000+i), fmt.Sprintf("closed tcp/127.0.0.1:%d", 9000+i))
	}
	for _, l := range w.out {
		if l.Kind == "opened" && (l.After == nil || len(l.After.Processes) == 0) {
			t.Errorf("no process: %+v", l)
		}
	}
	w.stop(os.Interrupt)
}

const strictPolicy = "version: 1\nexpect:\n  - port: 22/tcp\n    optional: true\n"

// kill -9 and another start: what was told is not told again, and what is over
// meanwhile is.
func watchResumes(t *testing.T, ns *nettest.NS, program string) {
	state, pol := t.TempDir(), write(t, "policy.yaml", strictPolicy)
	conf := write(t, "watch.yaml", "version: 1\nhold: 100ms\nclear: 100ms\nsinks:\n  - kind: stderr\n")
	args := []string{"--policy", pol, "--config", conf}
	end := server(ns, "0.0.0.0", 8080)
	w := watchIn(t, ns, program, state, args...)
	w.until("the finding", func() bool { return strings.Contains(w.said(), "not-in-policy") })
	w.stop(os.Kill)
	w = watchIn(t, ns, program, state, args...)
	time.Sleep(2 * time.Second)
	if strings.Contains(w.said(), "not-in-policy") {
		t.Errorf("told again:\n%s", w.said())
	}
	w.stop(os.Kill)
	end()
	w = watchIn(t, ns, program, state, args...)
	w.until("that it is over", func() bool { return strings.Contains(w.said(), "not-in-policy") })
	w.stop(os.Interrupt)
}

// SIGHUP takes a good policy, and keeps the old one when the file is bad.
func watchReloads(t *testing.T, ns *nettest.NS, program string) {
	pol := write(t, "policy.yaml", "version: 1\nexpect:\n  - port: 8080/tcp\n    optional: true\n")
	conf := write(t, "watch.yaml", "version: 1\nhold: 100ms\nsinks:\n  - kind: stderr\n")
	t.Cleanup(server(ns, "0.0.0.0", 8080))
	w := watchIn(t, ns, program, t.TempDir(), "--policy", pol, "--config", conf)
	put := func(text string) {
		if err := os.WriteFile(pol, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		_ = w.cmd.Process.Signal(unix.SIGHUP)
	}
	put("version: 1\nexpects: []\n")
	w.until("the refusal", func() bool { return strings.Contains(w.said(), "not reloaded") })
	if strings.Contains(w.said(), "not-in-policy") {
		t.Error("the old policy is gone")
	}
	put(strictPolicy)
	w.until("the new policy", func() bool { return strings.Contains(w.said(), "not-in-policy") })
	w.stop(os.Interrupt)
}

// Without a schedule, in its own namespace, it keeps what listings need.
func watchDropsPrivileges(t *testing.T, ns *nettest.NS, program string) {
	w := watchIn(t, ns, program, t.TempDir())
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", w.cmd.Process.Pid))
	if err != nil {
		t.Fatal(err)
	}
	// dac_read_search 2, net_admin 12, sys_ptrace 19, perfmon 38, bpf 39
	const most = 1<<2 | 1<<12 | 1<<19 | 1<<38 | 1<<39
	for _, set := range []string{"CapEff", "CapPrm", "CapBnd"} {
		var have uint64
		_, rest, _ := strings.Cut(string(b), set+":\t")
		if _, err := fmt.Sscanf(rest, "%x", &have); err != nil {
			t.Fatal(err)
		}
		if have&^most != 0 {
			t.Errorf("%s has %#x beyond what is needed", set, have&^uint64(most))
		}
	}
	if !strings.Contains(string(b), "NoNewPrivs:\t1") {
		t.Error("programs that it starts may get more")
	}
	w.stop(os.Interrupt)
}

// A stop by the service manager is 0, by others 130.
func watchEndsForTheManager(t *testing.T, ns *nettest.NS, program string) {
	w := watchIn(t, ns, program, t.TempDir())
	if code := w.stop(unix.SIGTERM); code != exitInterrupted {
		t.Errorf("SIGTERM: exit %d", code)
	}
	socket := filepath.Join(t.TempDir(), "notify")
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	if err := unix.Bind(fd, &unix.SockaddrUnix{Name: socket}); err != nil {
		t.Fatal(err)
	}
	w = &watchRun{t: t}
	w.cmd = ns.Command("env", "NOTIFY_SOCKET="+socket, program, "watch", "--json", "--netns", "self", "--no-history")
	if err := w.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	buf := make([]byte, 4096)
	n, _, err := unix.Recvfrom(fd, buf, 0)
	if err != nil || !strings.Contains(string(buf[:n]), "READY=1") {
		t.Errorf("told %q, %v", buf[:n], err)
	}
	if code := w.stop(unix.SIGTERM); code != exitDone {
		t.Errorf("SIGTERM by the manager: exit %d", code)
	}
}

// A full disk is said, and changes are told all the same.
func watchOnFullDisk(t *testing.T, ns *nettest.NS, program string) {
	dir := t.TempDir()
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, "size=256k"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = unix.Unmount(dir, unix.MNT_DETACH) })
	w := watchIn(t, ns, program, dir)
	f, err := os.Create(filepath.Join(dir, "filler"))
	if err != nil {
		t.Fatal(err)
	}
	_, _ = f.Write(make([]byte, 1<<20))
	_ = f.Close()
	ns.Run("python3", "-c", `
import socket
for i in range(30):
    s=socket.socket(); s.bind(("127.0.0.1",7000+i)); s.listen(1); s.close()
`)
	w.expect(7029, "opened tcp/127.0.0.1:7029", "closed tcp/127.0.0.1:7029")
	w.until("that nothing is recorded", func() bool {
		return strings.Contains(w.said(), "history cannot be written") || strings.Contains(w.said(), "nothing is recorded")
	})
	w.stop(os.Interrupt)
}

// Without root it watches what it can, says what not, and ends with 3.
func watchWithoutRoot(t *testing.T, ns *nettest.NS, program string) {
	setpriv := nettest.Need(t, "setpriv")
	dir := programDir(t, 0o777)
	copied := filepath.Join(dir, "portreeve")
	b, err := os.ReadFile(program)
	if err == nil {
		err = os.WriteFile(copied, b, 0o755)
	}
	if err != nil {
		t.Fatal(err)
	}
	cmd := ns.Command(setpriv, "--reuid=65534", "--regid=65534", "--clear-groups", copied, "watch", "--json", "--netns", "self", "--duration", "4s")
	cmd.Env = append(os.Environ(), "XDG_STATE_HOME="+filepath.Join(dir, "state"))
	var out, errs strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	time.Sleep(1500 * time.Millisecond)
	end := server(ns, "0.0.0.0", 8080)
	_ = cmd.Wait()
	end()
	if code := cmd.ProcessState.ExitCode(); code != exitPartial || !strings.Contains(out.String(), `"opened"`) || !strings.Contains(errs.String(), "incomplete") {
		t.Errorf("exit %d\n%s\n%s", code, out.String(), errs.String())
	}
}

// 2,000 listeners in two seconds: every one is told.
func watchBurst(t *testing.T, ns *nettest.NS, program string) {
	w := watchIn(t, ns, program, t.TempDir())
	const n = 2000
	ns.Run("python3", "-c", fmt.Sprintf(`
import socket,time
t=time.time()
for i in range(%d):
    s=socket.socket(); s.bind(("127.0.0.1",20000+i)); s.listen(1); s.close()
    time.sleep(max(0,t+i/1000-time.time()))
`, n))
	w.until("all", func() bool { w.mu.Lock(); defer w.mu.Unlock(); return len(w.out) >= 2*n })
	w.stop(os.Interrupt)
	if len(w.out) != 2*n {
		t.Errorf("%d lines, want %d", len(w.out), 2*n)
	}
}

// dialInside connects from within a namespace.
func dialInside(ns *nettest.NS) func(context.Context, string, string) (net.Conn, error) {
	return func(ctx context.Context, network, addr string) (c net.Conn, err error) {
		ns.Do(func() { c, err = new(net.Dialer).DialContext(ctx, network, addr) })
		return c, err
	}
}

// Metrics are served on loopback.
func watchServesMetrics(t *testing.T, ns *nettest.NS, program string) {
	w := watchIn(t, ns, program, t.TempDir(), "--listen", "9464")
	t.Cleanup(server(ns, "0.0.0.0", 8080))
	w.expect(8080, "opened tcp/0.0.0.0:8080")
	client := &http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{DialContext: dialInside(ns)}}
	res, err := client.Get("http://127.0.0.1:9464/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	b, _ := io.ReadAll(res.Body)
	if !strings.Contains(string(b), `portreeve_changes_total{kind="opened"} 1`) {
		t.Errorf("%s", b)
	}
	if got := w.kinds(9464); len(got) != 0 {
		t.Errorf("it tells of its own port: %q", got)
	}
	w.stop(os.Interrupt)
}

// Who used a port is in the history.
func watchCountsUse(t *testing.T, ns *nettest.NS, program string) {
	state := t.TempDir()
	conf := write(t, "watch.yaml", "version: 1\ntraffic:\n  every: 1s\n")
	t.Cleanup(server(ns, "0.0.0.0", 8080))
	w := watchIn(t, ns, program, state, "--config", conf)
	ns.Run("python3", "-c", "import socket,time;s=socket.create_connection(('127.0.0.1',8080));s.send(b'x');time.sleep(3)")
	w.stop(os.Interrupt)
	cmd := ns.Command(program, "history", "8080", "--json")
	cmd.Env = append(os.Environ(), "XDG_STATE_HOME="+state)
	out, err := cmd.Output()
	if err != nil || !strings.Contains(string(out), "127.0.0.1") {
		t.Errorf("%v: %s", err, out)
	}
}
