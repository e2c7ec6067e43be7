package closing

import (
	"errors"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/portreeve/portreeve/internal/nettest"
	"github.com/portreeve/portreeve/internal/remedy"
)

// A process that nothing manages is ended, and comes back with the same
// arguments, folder, environment and user.
func TestStrayProcess(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	bin := l.anyones()
	l.run([]string{bin, "0.0.0.0:7001", hostAddr + ":7002", "udp:0.0.0.0:7001"}, []string{"setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"})
	before := l.listening()
	a := l.must(order{What: "close", Ports: []Port{{"", 7001}}})
	if l.listening() != "" {
		t.Errorf("still there: %s", l.listening())
	}
	if want := []string{"tcp/192.0.2.1:7002"}; !slices.Equal(a.Plan.Also, want) {
		t.Errorf("also closes %v, want %v", a.Plan.Also, want)
	}
	if l.reaches(hostAddr + ":7001") {
		t.Error("the neighbour still reaches it")
	}
	l.must(order{What: "undo"})
	l.await(before)
	pid := strings.Fields(l.pids(7001))[0]
	env, _ := os.ReadFile("/proc/" + pid + "/environ")
	if !strings.Contains(string(env), "MARK=kept") {
		t.Errorf("environment: %q", env)
	}
	status, _ := os.ReadFile("/proc/" + pid + "/status")
	if !strings.Contains(string(status), "Uid:\t65534\t65534\t65534\t65534") {
		t.Error("another user")
	}
	if a := l.do(order{What: "undo"}); a.Reason != remedy.Nothing || !strings.Contains(a.Err, "undone already") {
		t.Errorf("undone twice: %+v", a)
	}
}

// anyones is this program where every user may run it, in a folder that every
// user may be in.
func (l *lab) anyones() string {
	l.t.Helper()
	dir, err := os.MkdirTemp("", "closing")
	if err != nil {
		l.t.Fatal(err)
	}
	l.t.Cleanup(func() { _ = os.RemoveAll(dir) })
	l.folder = dir
	data, err := os.ReadFile(self())
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, "server"), data, 0o755)
	}
	if err := errors.Join(err, os.Chmod(dir, 0o755)); err != nil {
		l.t.Fatal(err)
	}
	return filepath.Join(dir, "server")
}

// pids are those that hold a port, by ss.
func (l *lab) pids(port int) string {
	l.t.Helper()
	out := l.ns.Run("ss", "-Htlnp", "sport = :"+strconv.Itoa(port))
	var pids []string
	for part := range strings.SplitSeq(out, "pid=") {
		if n, _, ok := strings.Cut(part, ","); ok {
			if _, err := strconv.Atoi(n); err == nil {
				pids = append(pids, n)
			}
		}
	}
	return strings.Join(pids, " ")
}

// What a supervisor starts again is found, and all is taken back.
func TestSupervised(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	cmd := l.ns.Command("/usr/bin/env", helperEnv+"=serve", "sh", "-c", "while :; do "+self()+" 0.0.0.0:7010; done")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		l.sweep()
	})
	l.await("tcp/*:7010")
	a := l.do(order{What: "close", Ports: tcp(7010), Patience: time.Second})
	if a.Reason != remedy.Unverified || !strings.Contains(a.Err, "still open, or open again") || !strings.Contains(a.Err, "taken back") {
		t.Errorf("%+v", a)
	}
	l.await("tcp/*:7010")
	if got := l.outcomes(); !slices.Equal(got, []Outcome{Failed}) {
		t.Errorf("journal: %v", got)
	}
}

// A process that does not end is killed only when that is asked for.
func TestStubborn(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	python := nettestPython(t)
	cmd := l.ns.Command(python, "-c", "import socket,signal,time\nsignal.signal(15,signal.SIG_IGN)\ns=socket.socket();s.bind(('0.0.0.0',7020));s.listen()\ntime.sleep(600)")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() { _ = cmd.Wait() }()
	t.Cleanup(l.sweep)
	l.await("tcp/0.0.0.0:7020")
	a := l.do(order{What: "close", Ports: tcp(7020), Patience: 400 * time.Millisecond})
	if a.Reason != remedy.Failed || !strings.Contains(a.Hint, "--force") {
		t.Errorf("%+v", a)
	}
	l.await("tcp/0.0.0.0:7020")
	l.must(order{What: "close", Ports: tcp(7020), Patience: time.Second, Force: true})
	l.await("")
	l.must(order{What: "undo"})
	l.await("tcp/0.0.0.0:7020")
}

func nettestPython(t *testing.T) string {
	t.Helper()
	path, err := exec.LookPath("/usr/bin/python3")
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// The firewall keeps strangers out and lets loopback in, beside the rules that
// were applied; undoing takes away only its own.
func TestFirewall(t *testing.T) {
	for _, tool := range []string{"nft", "iptables"} {
		t.Run(tool, func(t *testing.T) {
			t.Parallel()
			l := newLab(t)
			if tool == "iptables" {
				l.withoutNft()
			}
			l.start("server", "0.0.0.0:7030")
			l.start("other", "0.0.0.0:7031")
			l.ns.Script("nft 'add table inet portreeve; add chain inet portreeve input { type filter hook input priority 0; policy accept; }; add rule inet portreeve input tcp dport 7031 accept'")
			before := l.ns.Run("nft", "list", "ruleset")
			l.must(order{What: "close", Ports: tcp(7030), How: Firewall})
			first := l.ns.Run("nft", "list", "ruleset")
			l.must(order{What: "close", Ports: tcp(7031), How: Firewall, Believe: true})
			if l.reaches(hostAddr+":7030") || l.reaches(hostAddr+":7031") {
				t.Error("the neighbour still gets in")
			}
			var err error
			l.ns.Do(func() {
				var c net.Conn
				if c, err = net.DialTimeout("tcp", "127.0.0.1:7030", time.Second); err == nil {
					_ = c.Close()
				}
			})
			if err != nil {
				t.Errorf("loopback: %v", err)
			}
			l.must(order{What: "undo"})
			if got := withoutCounts(l.ns.Run("nft", "list", "ruleset")); got != withoutCounts(first) {
				t.Errorf("not as after the first closing:\n%s", got)
			}
			l.must(order{What: "undo"})
			if got := withoutCounts(l.ns.Run("nft", "list", "ruleset")); tool == "nft" && got != withoutCounts(before) {
				t.Errorf("not as before:\n%s", got)
			}
			if !l.reaches(hostAddr+":7030") || !l.reaches(hostAddr+":7031") {
				t.Error("not open again")
			}
		})
	}
}

// withoutCounts drops the counters that iptables' rules have.
func withoutCounts(s string) string {
	var out []string
	for w := range strings.FieldsSeq(s) {
		out = append(out, w)
	}
	for i := range out {
		if i > 0 && (out[i-1] == "packets" || out[i-1] == "bytes") {
			out[i] = "N"
		}
	}
	return strings.Join(out, " ")
}

// withoutNft makes the closing process find no nft.
func (l *lab) withoutNft() {
	l.t.Helper()
	l.env = append(l.env, "CLOSING_NO_NFT=1")
}

// A connection that this host itself makes from the closed port goes on: its
// answers are no strangers.
func TestFirewallLetsAnswersIn(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	l.start("server", hostAddr+":7040")
	l.must(order{What: "close", Ports: tcp(7040), How: Firewall, Believe: true})
	ln := l.peer.Listen("tcp", peerAddr+":9")
	go func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			_, _ = c.Write([]byte("answer"))
		}
	}()
	l.sweep() // the port is free for a client now
	l.await("")
	var got string
	l.ns.Do(func() {
		d := net.Dialer{Timeout: 2 * time.Second, LocalAddr: &net.TCPAddr{IP: net.ParseIP(hostAddr), Port: 7040}}
		c, err := d.Dial("tcp", peerAddr+":9")
		if err != nil {
			got = err.Error()
			return
		}
		defer c.Close()
		buf := make([]byte, 16)
		_ = c.SetReadDeadline(time.Now().Add(2 * time.Second))
		n, _ := c.Read(buf)
		got = string(buf[:n])
	})
	if got != "answer" {
		t.Errorf("got %q", got)
	}
}

// What forbids a plan is refused by name, and overridden by that name alone.
func TestRefusals(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	l.start("sshd", hostAddr+":22", hostAddr+":7050")
	l.start("rmcd", hostAddr+":657")
	names := func(a *answer) (out []string) {
		for _, r := range a.Refused {
			if !r.Overridden {
				out = append(out, r.Name)
			}
		}
		return out
	}
	before := l.listening()
	// Port 7050 is held by sshd too: closing it closes the last way in.
	a := l.do(order{What: "close", Ports: tcp(7050)})
	if a.Reason != remedy.Refused || !slices.Equal(names(a), []string{"last-way-in"}) {
		t.Errorf("%+v", a)
	}
	l.env = append(l.env, "SSH_CONNECTION="+peerAddr+" 50000 "+hostAddr+" 22")
	a = l.do(order{What: "close", Ports: tcp(22)})
	if a.Reason != remedy.Refused || !slices.Equal(names(a), []string{"own-session", "last-way-in"}) || !strings.Contains(a.Hint, "--override own-session --override last-way-in") {
		t.Errorf("%+v", a)
	}
	a = l.do(order{What: "close", Ports: tcp(657)})
	if a.Reason != remedy.Refused || !slices.Equal(names(a), []string{"protected:657/tcp"}) {
		t.Errorf("%+v", a)
	}
	a = l.do(order{What: "close", Ports: tcp(657, 22), Override: []string{"protected:657/tcp", "last-way-in"}})
	if !slices.Equal(names(a), []string{"own-session"}) {
		t.Errorf("%+v", a)
	}
	a = l.do(order{What: "close", Ports: tcp(657), Override: []string{"protected:657/tcp", "own-session"}})
	if a.Reason != remedy.Invalid || !strings.Contains(a.Err, "overrides nothing") {
		t.Errorf("%+v", a)
	}
	for _, how := range []How{Firewall, Kill} {
		if a := l.do(order{What: "close", Ports: tcp(22), How: how}); a.Reason != remedy.Refused {
			t.Errorf("%s: %+v", how, a)
		}
	}
	l.await(before)
	if got := l.outcomes(); len(got) != 0 {
		t.Errorf("journal: %v", got)
	}
	l.must(order{What: "close", Ports: tcp(657), Override: []string{"protected:657/tcp"}})
	l.must(order{What: "undo"})
	l.await(before)
}

// All or none: one port without a listener, and nothing happens.
func TestAllOrNone(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	l.start("server", "0.0.0.0:7060")
	before := l.listening()
	a := l.do(order{What: "close", Ports: tcp(7060, 7061)})
	if a.Reason != remedy.Nothing || !strings.Contains(a.Err, "all or none") {
		t.Errorf("%+v", a)
	}
	l.await(before)
}

// Two at once exclude each other; a full disk begins nothing.
func TestLockAndFullDisk(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	l.start("server", "0.0.0.0:7070")
	l.start("second", "0.0.0.0:7071")
	before := l.listening()
	cmd := l.helper(order{What: "close", Ports: tcp(7070), Hang: "begin 0"})
	out, _ := cmd.StdoutPipe()
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	buf := make([]byte, 16)
	if n, _ := out.Read(buf); string(buf[:n]) != "hangs\n" {
		t.Fatalf("%q", buf[:n])
	}
	if a := l.do(order{What: "close", Ports: tcp(7071)}); a.Reason != remedy.Busy {
		t.Errorf("%+v", a)
	}
	if a := l.do(order{What: "undo"}); a.Reason != remedy.Busy {
		t.Errorf("%+v", a)
	}
	_ = cmd.Process.Kill()
	_ = cmd.Wait()
	l.must(order{What: "recover"})
	l.await(before)
	full := filepath.Join(t.TempDir(), "full")
	nettestMount(t, full)
	l.state = full
	if a := l.do(order{What: "close", Ports: tcp(7071)}); a.Reason != remedy.State || !strings.Contains(a.Err, "nothing was changed") {
		t.Errorf("%+v", a)
	}
	l.await(before)
}

// nettestMount mounts a small full file system.
func nettestMount(t *testing.T, dir string) {
	t.Helper()
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("mount", "-t", "tmpfs", "-o", "size=64k,mode=700", "tmpfs", dir).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	t.Cleanup(func() { _ = exec.Command("umount", dir).Run() })
	_ = os.WriteFile(filepath.Join(dir, "fill"), make([]byte, 64<<10), 0o600)
}

// Twins on one port (SO_REUSEPORT) come back both, also where one of them
// forked a child that goes on.
func TestTwins(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	python := nettestPython(t)
	script := "import os,socket,time\ns=socket.socket();s.setsockopt(1,15,1);s.bind(('0.0.0.0',7080));s.listen()\nif os.fork()==0: s.close()\ntime.sleep(600)"
	for range 2 {
		cmd := l.ns.Command(python, "-c", script)
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		go func() { _ = cmd.Wait() }()
	}
	t.Cleanup(l.sweep)
	both := "tcp/0.0.0.0:7080 tcp/0.0.0.0:7080"
	l.await(both)
	l.must(order{What: "close", Ports: tcp(7080)})
	l.await("")
	l.must(order{What: "undo"})
	l.await(both)
}

// What has overwritten its command line cannot be started again: strangers are
// kept out instead, unless somebody wants it ended all the same.
func TestOverwrittenCommandLine(t *testing.T) {
	t.Parallel()
	redis := nettest.Need(t, "redis-server")
	l := newLab(t)
	cmd := l.ns.Command(redis, "--port", "7090", "--bind", "0.0.0.0", "--protected-mode", "no", "--save", "", "--dir", t.TempDir())
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() { _ = cmd.Wait() }()
	t.Cleanup(l.sweep)
	l.await("tcp/0.0.0.0:7090")
	a := l.must(order{What: "close", Ports: tcp(7090), Believe: true})
	if c := a.Plan.Closures[0]; c.How != Firewall || !strings.Contains(c.Why, "overwritten its command line") {
		t.Errorf("%+v", c)
	}
	if l.reaches(hostAddr + ":7090") {
		t.Error("the neighbour still gets in")
	}
	l.must(order{What: "undo"})
	if !l.reaches(hostAddr + ":7090") {
		t.Error("not open again")
	}
	l.must(order{What: "close", Ports: tcp(7090), How: Stop})
	l.await("")
	if a := l.do(order{What: "undo"}); a.Reason != remedy.NotRestored || !strings.Contains(a.Hint, "Start it by hand") {
		t.Errorf("%+v", a)
	}
}

// A port that somebody else has taken since is named, and the undo can be
// tried again.
func TestTakenSince(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	l.start("server", "0.0.0.0:7095")
	l.must(order{What: "close", Ports: tcp(7095)})
	other := l.start("usurper", "0.0.0.0:7095")
	a := l.do(order{What: "undo"})
	if a.Reason != remedy.NotRestored || !strings.Contains(a.Hint, "held now by") {
		t.Errorf("%+v", a)
	}
	_ = other.Process.Kill()
	l.await("")
	l.must(order{What: "undo"})
	l.await("tcp/*:7095")
}
