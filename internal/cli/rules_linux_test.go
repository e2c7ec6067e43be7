package cli

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/portreeve/portreeve/internal/nettest"
)

// dmzRules let a client's network in to a web server.
const dmzRules = `schema: portreeve.rules/1
name: dmz
rules:
  - name: web
    action: permit
    proto: tcp
    from: [10.7.0.0/24]
    to: [10.7.0.1]
    ports: [443, 8000-8010]
  - name: names
    action: permit
    proto: udp
    from: ['fd07::/64']
    to: ['fd07::1']
    ports: [53]
`

// rulesProgram is in namespaces, with a journal of its own each.
func rulesProgram(t *testing.T, program string) {
	nettest.Need(t, "nft")
	for name, fn := range map[string]func(*testing.T, *applied){
		"dry run": drySaysAndChangesNothing, "expiry": takesItselfBack, "confirm and undo": confirmsAndUndoes, "iptables": appliesIptables,
		"killed": guardOutlivesApply, "own session": keepsOwnSession, "waits": oneChangeAtATime, "no root": needsRights, "tools": otherToolsTakeIt,
		"walk": asksOnTerminal, "full disk": keepsRulesOnFullDisk,
	} {
		t.Run(name, func(t *testing.T) {
			a := &applied{lab: lab{t: t, ns: nettest.New(t), program: program}, state: t.TempDir(), rules: write(t, "rules.yaml", dmzRules)}
			t.Cleanup(a.ended)
			fn(t, a)
		})
	}
}

// applied is a namespace whose firewall the program changes.
type applied struct {
	lab
	state, rules string
	env          []string
}

func (a *applied) run(args ...string) (stdout, stderr string, code int) {
	a.t.Helper()
	var out, errs strings.Builder
	cmd := a.ns.Command(a.program, append([]string{"rules"}, args...)...)
	cmd.Env = append(append(os.Environ(), "XDG_STATE_HOME="+a.state), a.env...)
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); cmd.ProcessState == nil {
		a.t.Fatal(err)
	}
	return out.String(), errs.String(), cmd.ProcessState.ExitCode()
}

// must is a run that ends with the given code.
func (a *applied) must(code int, args ...string) string {
	a.t.Helper()
	out, errs, got := a.run(args...)
	if got != code {
		a.t.Fatalf("%v: exit %d, want %d\n%s%s", args, got, code, out, errs)
	}
	return out + errs
}

// ended leaves no guard behind.
func (a *applied) ended() {
	for range 20 {
		if out, _, _ := a.run("status"); !strings.Contains(out, "waits to be confirmed") {
			return
		}
		_, _, _ = a.run("undo")
	}
	a.t.Error("a change waits for ever")
}

const othersTable = `nft -f - <<X
table inet other {
	set bad {
		type ipv4_addr
		elements = { 192.0.2.1, 198.51.100.7 }
	}
	chain input {
		type filter hook input priority 0; policy accept;
		ip saddr @bad drop comment "what others wrote"
	}
}
X
`

func (a *applied) loaded() string { return a.ns.Run("nft", "-s", "list", "ruleset") }

// until waits for what happens by itself.
func (a *applied) until(what string, ok func() bool) {
	a.t.Helper()
	for end := time.Now().Add(30 * time.Second); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		if ok() {
			return
		}
	}
	a.t.Fatalf("never: %s\n%s", what, a.loaded())
}

func drySaysAndChangesNothing(t *testing.T, a *applied) {
	a.ns.Script(othersTable)
	before := a.loaded()
	for _, args := range [][]string{{}, {"--backend", "iptables"}} {
		nettest.Need(t, "iptables-save")
		out := a.must(exitDone, append([]string{"apply", a.rules, "--dry-run"}, args...)...)
		if !strings.Contains(out, "  + ") || !strings.Contains(out, "443") || !strings.Contains(out, "No remote session was found") || strings.Contains(out, "Applied") {
			t.Errorf("%v:\n%s", args, out)
		}
		shown(t, "plan", out)
		if now := a.loaded(); now != before {
			t.Errorf("%v changed\n%s", args, now)
		}
	}
	if list, _ := os.ReadDir(filepath.Join(a.state, "portreeve")); len(list) > 1 {
		t.Errorf("a journal of nothing: %v", list)
	}
	if out := a.must(exitDone, "status"); !strings.Contains(out, "No rules were applied here.") {
		t.Error(out)
	}
	for _, cmd := range []string{"confirm", "undo"} {
		if out := a.must(exitUsage, cmd); !strings.Contains(out, "no change to "+cmd) {
			t.Error(out)
		}
	}
	for want, args := range map[string][]string{"--backend": {a.rules, "--backend", "pf"}, "--chains": {a.rules, "--chains", "nat"}, "/nonexistent": {"/nonexistent"}, "correct the file": {a.program}} {
		if out := a.must(exitUsage, append([]string{"apply"}, args...)...); !strings.Contains(out, want) {
			t.Errorf("%v: %s", args, out)
		}
	}
	if a.loaded() != before {
		t.Error("refused, yet changed")
	}
}

func takesItselfBack(t *testing.T, a *applied) {
	a.ns.Script(othersTable)
	before := a.loaded()
	out := a.must(exitDone, "apply", a.rules, "--confirm-within", "2s")
	if !strings.Contains(out, "rules confirm") || !strings.Contains(out, "taken back, unless confirmed") {
		t.Error(out)
	}
	if !strings.Contains(a.loaded(), "table inet portreeve") && !strings.Contains(a.must(exitDone, "status"), "expired") {
		t.Errorf("nothing was loaded:\n%s", a.loaded())
	}
	a.until("it is taken back", func() bool { return a.loaded() == before })
	a.until("the journal says so", func() bool { return strings.Contains(a.must(exitDone, "status"), "expired") })
	a.must(exitUsage, "confirm")
}

func confirmsAndUndoes(t *testing.T, a *applied) {
	a.ns.Script(othersTable)
	before := a.loaded()
	a.must(exitDone, "apply", a.rules, "--confirm-within", "10m")
	first := a.loaded()
	if out := a.must(exitDone, "status"); !strings.Contains(out, "waits to be confirmed until") {
		t.Error(out)
	}
	if out := a.must(exitDone, "confirm"); !strings.HasPrefix(out, "confirmed: ") {
		t.Error(out)
	}
	if out := a.must(exitDone, "status"); !strings.Contains(out, "confirmed, in force") || a.loaded() != first {
		t.Error(out)
	}
	// A second change on top; taken back, the first one is there again.
	more := write(t, "more.yaml", strings.Replace(dmzRules, "443,", "443, 8443,", 1))
	a.must(exitDone, "apply", more, "--confirm-within", "10m")
	if now := a.loaded(); !strings.Contains(now, "8443") {
		t.Error(now)
	}
	a.must(exitDone, "undo")
	if now := a.loaded(); now != first {
		t.Errorf("not as it was:\n%s\nbut\n%s", first, now)
	}
	if out := a.must(exitDone, "undo"); !strings.HasPrefix(out, "undone: ") || a.loaded() != before {
		t.Errorf("%s\n%s", out, a.loaded())
	}
	a.must(exitUsage, "undo")
}

func appliesIptables(t *testing.T, a *applied) {
	for _, tool := range []string{"iptables", "iptables-save", "ip6tables-save"} {
		nettest.Need(t, tool)
	}
	a.ns.Run("iptables", "-A", "INPUT", "-s", "192.0.2.1", "-m", "comment", "--comment", "what others wrote", "-j", "DROP")
	a.ns.Run("ip6tables", "-P", "FORWARD", "DROP")
	saved := func() string {
		var keep []string
		for line := range strings.Lines(a.ns.Run("iptables-save") + a.ns.Run("ip6tables-save")) {
			if !strings.HasPrefix(line, "#") { // the time
				keep = append(keep, line)
			}
		}
		return strings.Join(keep, "")
	}
	before := saved()
	a.must(exitDone, "apply", a.rules, "--backend", "iptables", "--confirm-within", "1s")
	a.until("it is taken back", func() bool { return saved() == before })
	a.must(exitDone, "apply", a.rules, "--backend", "iptables", "--confirm-within", "10m")
	a.must(exitDone, "confirm")
	if now := saved(); !strings.Contains(now, "-A INPUT -j PORTREEVE-INPUT") || strings.Count(now, "PORTREEVE-FORWARD") < 4 {
		t.Error(now)
	}
	a.must(exitDone, "undo")
	if now := saved(); now != before {
		t.Errorf("not as it was:\n%s\nbut\n%s", before, now)
	}
}

// Killed as soon as rules are loaded, or before: the guard takes them back.
func guardOutlivesApply(t *testing.T, a *applied) {
	before := a.loaded()
	for _, delay := range []time.Duration{0, 20 * time.Millisecond, 100 * time.Millisecond} {
		cmd := a.ns.Command(a.program, "rules", "apply", a.rules, "--confirm-within", "1s")
		cmd.Env = append(os.Environ(), "XDG_STATE_HOME="+a.state)
		cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // as a session that is cut: all of it is killed
		must(t, cmd.Start())
		if delay == 0 {
			a.until("something is loaded", func() bool { return a.loaded() != before })
		}
		time.Sleep(delay)
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
		_ = cmd.Wait()
		a.until("it is taken back", func() bool {
			return a.loaded() == before && !strings.Contains(a.must(exitDone, "status"), "waits to be")
		})
	}
}

// A real session from a neighbour: rules that would cut it are refused.
func keepsOwnSession(t *testing.T, a *applied) {
	peer := nettest.New(t)
	nettest.Veth(t, a.ns, peer, "eth0=10.7.0.1/24", "10.7.0.2/24")
	conn := session(t, a.ns, peer)
	port := conn.LocalAddr().(*net.TCPAddr).Port
	a.env = []string{fmt.Sprintf("SSH_CONNECTION=10.7.0.2 %d 10.7.0.1 22", port)}
	before := a.loaded()
	for _, args := range [][]string{{}, {"--dry-run"}, {"--cut-others"}, {"--backend", "iptables"}} {
		out := a.must(exitRefused, append([]string{"apply", a.rules}, args...)...)
		if !strings.Contains(out, "your own session") || !strings.Contains(out, "10.7.0.2") || !strings.Contains(out, "port 22") || a.loaded() != before {
			t.Errorf("%v: %s\n%s", args, out, a.loaded())
		}
	}
	kept := write(t, "kept.yaml", strings.Replace(dmzRules, "443,", "22, 443,", 1))
	if out := a.must(exitDone, "apply", kept, "--confirm-within", "10m"); !strings.Contains(out, "kept: 10.7.0.2") {
		t.Error(out)
	}
	must(t, conn.SetDeadline(time.Now().Add(10*time.Second)))
	_, err := conn.Write([]byte("still there?"))
	must(t, err)
	if _, err := io.ReadFull(conn, make([]byte, 12)); err != nil {
		t.Errorf("the session is cut: %v", err)
	}
	a.must(exitDone, "undo")
}

// session is a connection from peer to port 22 of ns, where it is echoed.
func session(t *testing.T, ns, peer *nettest.NS) (conn net.Conn) {
	t.Helper()
	var ln net.Listener
	var err error
	ns.Do(func() { ln, err = net.Listen("tcp", "10.7.0.1:22") })
	must(t, err)
	t.Cleanup(func() { _ = ln.Close() })
	go func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			go func() { _, _ = io.Copy(c, c) }()
		}
	}()
	peer.Do(func() { conn, err = net.DialTimeout("tcp", "10.7.0.1:22", 5*time.Second) })
	must(t, err)
	t.Cleanup(func() { _ = conn.Close() })
	return conn
}

func oneChangeAtATime(t *testing.T, a *applied) {
	a.must(exitDone, "apply", a.rules, "--confirm-within", "10m")
	now := a.loaded()
	if out := a.must(exitUsage, "apply", a.rules); !strings.Contains(out, "waits to be confirmed") || !strings.Contains(out, "rules undo") {
		t.Error(out)
	}
	if a.loaded() != now {
		t.Error("the second one changed something")
	}
	a.must(exitDone, "undo")
}

func needsRights(t *testing.T, a *applied) {
	setpriv := nettest.Need(t, "setpriv")
	open := filepath.Join(os.TempDir(), "prt-"+filepath.Base(a.ns.Name))
	must(t, os.Mkdir(open, 0o777))
	t.Cleanup(func() { _ = os.RemoveAll(open) })
	must(t, os.Chmod(open, 0o777))
	for name, from := range map[string]string{"portreeve": a.program, "rules.yaml": a.rules} {
		b, err := os.ReadFile(from)
		must(t, err)
		must(t, os.WriteFile(filepath.Join(open, name), b, 0o755))
	}
	cmd := a.ns.Command(setpriv, "--reuid", "65534", "--regid", "65534", "--clear-groups", filepath.Join(open, "portreeve"), "rules", "apply", filepath.Join(open, "rules.yaml"))
	cmd.Env = append(os.Environ(), "XDG_STATE_HOME="+filepath.Join(open, "state"))
	out, _ := cmd.CombinedOutput()
	if code := cmd.ProcessState.ExitCode(); code != exitUsage && code != exitPartial || !strings.Contains(string(out), "CAP_NET_ADMIN") {
		t.Errorf("%d %s", code, out)
	}
	if a.loaded() != "" {
		t.Error(a.loaded())
	}
}

// What is written is taken by the programs that it is written for.
func otherToolsTakeIt(t *testing.T, a *applied) {
	python := nettest.Need(t, "python3")
	for to, check := range map[string]string{
		"nftables": "nft -c -f", "iptables": "iptables-restore --test", "ip6tables": "ip6tables-restore --test", "aws": python + " -m json.tool", "terraform": python + " -m json.tool",
	} {
		file := filepath.Join(t.TempDir(), to)
		a.must(exitDone, "render", a.rules, "--to", to, "-o", file)
		nettest.Need(t, strings.Fields(check)[0])
		a.ns.Script(check + " " + file)
	}
}

// A person at a terminal says yes, no, edits and has enough.
func asksOnTerminal(t *testing.T, a *applied) {
	var log strings.Builder
	for i, port := range []int{5432, 389, 636, 88} {
		log.WriteString(strings.NewReplacer("DPT=5432", fmt.Sprintf("DPT=%d", port), "=10.1.0.", fmt.Sprintf("=10.1.%d.", i), "=10.2.0.", fmt.Sprintf("=10.2.%d.", i)).Replace(accepted("DROP")))
	}
	file := filepath.Join(t.TempDir(), "rules.yaml")
	for _, c := range []struct {
		answers []string
		want    map[string]int
	}{
		{[]string{"y", "what?", "n", "e", "10.1.0.5", "bad address", "", "e", "10.1.0.5", "", "", "q"}, map[string]int{"action: permit": 2, "action: deny": 1, "action: ask": 1, "from: [10.1.0.5]": 1}},
		{[]string{"q"}, map[string]int{"action: permit": 0, "action: ask": 4}},
		{[]string{"Y", "yes", "YES", "y"}, map[string]int{"action: permit": 4, "action: ask": 0}},
	} {
		out, code := converse(t, a.program, c.answers, "rules", "learn", "--max-rules", "-1", "--tightness", "1", "--denied", "--from", write(t, "fw.log", log.String()), "-o", file)
		text, _ := os.ReadFile(file)
		for want, n := range c.want {
			if got := strings.Count(string(text), want); got != n {
				t.Errorf("%v: %d of %q, want %d (exit %d)\n%s\n%s", c.answers, got, want, n, code, out, text)
			}
		}
		if code != exitDone || !strings.Contains(out, "Denied is not needed") || !strings.Contains(out, "1 of 4") {
			t.Errorf("%v: %d %s", c.answers, code, out)
		}
	}
	must(t, os.Remove(file))
	if out, code := converse(t, a.program, []string{"\x03"}, "rules", "learn", "--denied", "--from", write(t, "fw.log", log.String()), "-o", file); code != exitInterrupted {
		t.Errorf("Ctrl-C: exit %d\n%s", code, out)
	}
	if _, err := os.Stat(file); err == nil {
		t.Error("Ctrl-C left a file")
	}
}

// converse runs the program on a terminal of its own and answers each question.
func converse(t *testing.T, program string, answers []string, args ...string) (said string, code int) {
	t.Helper()
	master, tty := terminal(t)
	cmd := exec.Command(program, args...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = tty, tty, tty
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	must(t, cmd.Start())
	stuck := time.AfterFunc(30*time.Second, func() { _ = cmd.Process.Kill() })
	defer stuck.Stop()
	ended := make(chan struct{})
	go func() { _ = cmd.Wait(); _ = tty.Close(); close(ended) }()
	var b strings.Builder
	in := bufio.NewReader(master)
	for {
		c, err := in.ReadByte()
		if err != nil {
			break // its last end was closed
		}
		b.WriteByte(c)
		if len(answers) > 0 && in.Buffered() == 0 && (strings.HasSuffix(b.String(), "uit: ") || strings.HasSuffix(b.String(), "]: ")) {
			answer := answers[0]
			if answers = answers[1:]; answer != "\x03" {
				answer += "\n"
			}
			_, err := master.WriteString(answer)
			must(t, err)
		}
	}
	<-ended
	return b.String(), cmd.ProcessState.ExitCode()
}

// Rules that do not fit on a disk leave those that are there.
func keepsRulesOnFullDisk(t *testing.T, a *applied) {
	nettest.Need(t, "unshare")
	dir := t.TempDir()
	log := write(t, "fw.log", accepted("ACCEPT"))
	script := fmt.Sprintf(`mount -t tmpfs -o size=4k none %[1]s && echo old > %[1]s/r.yaml && %[2]s rules learn --from %[3]s -o %[1]s/r.yaml; echo "exit $?"; cat %[1]s/r.yaml; ls -A %[1]s`, dir, a.program, log)
	out, err := exec.Command("unshare", "-m", "sh", "-c", script).CombinedOutput()
	must(t, err)
	if !strings.Contains(string(out), "no space left") || !strings.HasSuffix(string(out), "exit 3\nold\nr.yaml\n") {
		t.Errorf("%s", out)
	}
	full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	must(t, err)
	defer full.Close()
	rules := write(t, "fw", savedRules)
	for _, args := range [][]string{{"learn", "--from", log}, {"render", a.rules, "--to", "nftables"}, {"query", "--ruleset", rules, "--dst-port", "1", "--chain", "INPUT"}, {"lint", "--ruleset", rules}, {"lint", "--ruleset", rules, "--json"}, {"compare", rules, rules}, {"check", a.rules, "--flows", log}} {
		var errs strings.Builder
		cmd := exec.Command(a.program, append([]string{"rules"}, args...)...)
		cmd.Stdout, cmd.Stderr = full, &errs
		_ = cmd.Run()
		if cmd.ProcessState.ExitCode() != exitPartial || !strings.Contains(errs.String(), "no space left") {
			t.Errorf("%v: %d %s", args, cmd.ProcessState.ExitCode(), errs.String())
		}
	}
}
