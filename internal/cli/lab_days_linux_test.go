package cli

import (
	"encoding/json"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/portreeve/portreeve/internal/audit"
	"github.com/portreeve/portreeve/internal/exposure"
	"github.com/portreeve/portreeve/internal/nettest"
)

// flicker opens and closes listeners every 50 ms, on a fixed port and on
// changing ones, until the test ends.
func flicker(t *testing.T, ns *nettest.NS) {
	t.Helper()
	stop, done := make(chan struct{}), make(chan struct{})
	t.Cleanup(func() { close(stop); <-done })
	go func() {
		defer close(done)
		for i := 0; ; i++ {
			var lns []net.Listener
			ns.Do(func() {
				for _, port := range []int{17001, 18000 + i%500} {
					if ln, err := net.Listen("tcp", fmt.Sprintf("0.0.0.0:%d", port)); err == nil {
						lns = append(lns, ln)
					}
				}
			})
			select {
			case <-stop:
			case <-time.After(50 * time.Millisecond):
			}
			for _, ln := range lns {
				_ = ln.Close()
			}
			select {
			case <-stop:
				return
			case <-time.After(50 * time.Millisecond):
			}
		}
	}()
}

// Twenty audits amid listeners that come and go raise no alarm.
func TestFlickeringListenersRaiseNoAlarm(t *testing.T) {
	l := &lab{t: t, ns: nettest.New(t), program: buildProgram(t)}
	flicker(t, l.ns)
	for i := range 8 {
		for _, f := range l.audit().Findings {
			if f.Rule == "hidden-listener" || f.Rule == "no-listener" || f.Rule == "source-disagreement" {
				t.Errorf("audit %d raised %s on %s: %v", i, f.Rule, f.Endpoint, f.Because)
			}
		}
	}
}

// A scan made by nmap from another namespace is the network view; a port that
// only strangers see closed or open is judged by it.
func TestVantageFromNmap(t *testing.T) {
	nmap := nettest.Need(t, "nmap")
	l := &lab{t: t, ns: nettest.New(t), program: buildProgram(t)}
	stranger := nettest.New(t)
	nettest.Veth(t, l.ns, stranger, "10.8.0.1/24", "10.8.0.2/24")
	l.ns.Listen("tcp4", "0.0.0.0:6379")
	l.ns.Listen("tcp4", "0.0.0.0:22")
	l.ns.Script(`nft 'add table inet f; add chain inet f i { type filter hook prerouting priority -400; }; add rule inet f i iifname "eth0" tcp dport 6379 drop'`)
	xml := filepath.Join(t.TempDir(), "v.xml")
	stranger.Run(nmap, "-n", "-Pn", "-sT", "-p", "22,80,6379", "-oX", xml, "10.8.0.1")
	rep := l.audit("--vantage", xml)
	if len(rep.Summary.Vantages) != 1 {
		t.Fatalf("the vantage was not used: %+v", rep.Summary)
	}
	for port, want := range map[uint16]string{22: "open", 6379: "filtered"} {
		if e := rowAt(t, rep, port); e.Views.Network != want {
			t.Errorf("port %d: network view %s, want %s", port, e.Views.Network, want)
		}
	}
}

func rowAt(t *testing.T, rep audit.Report, port uint16) *audit.Endpoint {
	t.Helper()
	for i := range rep.Endpoints {
		if rep.Endpoints[i].Port == port {
			return &rep.Endpoints[i]
		}
	}
	t.Fatalf("no row for port %d in %+v", port, rep.Endpoints)
	return nil
}

// Without root the audit still runs, says what it could not see, ends with 3
// and accuses nobody.
func TestWithoutRootItIsHonest(t *testing.T) {
	setpriv := nettest.Need(t, "setpriv")
	l := &lab{t: t, ns: nettest.New(t), program: buildProgram(t)}
	must(t, os.Chmod(filepath.Dir(l.program), 0o755))
	must(t, os.Chmod(filepath.Dir(filepath.Dir(l.program)), 0o755))
	l.ns.Listen("tcp4", "0.0.0.0:22")
	cmd := l.ns.Command(setpriv, "--reuid", "65534", "--regid", "65534", "--clear-groups", l.program, "audit", "--json")
	var errs strings.Builder
	cmd.Stderr = &errs
	out, err := cmd.Output()
	var rep audit.Report
	if json.Unmarshal(out, &rep) != nil || cmd.ProcessState.ExitCode() != exitPartial {
		t.Fatalf("exit %d %v\n%s\n%s", cmd.ProcessState.ExitCode(), err, errs.String(), out)
	}
	e := rowAt(t, rep, 22)
	if e.Views.Network != "open" || e.Views.Firewall != exposure.UnknownPermit || e.OwnerUnknown == "" {
		t.Errorf("row %+v", e)
	}
	if !slices.ContainsFunc(rep.Incomplete, func(g exposure.Gap) bool { return strings.Contains(g.Why, "CAP_") }) {
		t.Errorf("no capability is named: %v", rep.Incomplete)
	}
	for _, f := range rep.Findings {
		if f.Severity.Rank() >= exposure.Medium.Rank() {
			t.Errorf("lack of privilege became evidence: %+v", f)
		}
	}
}

// Process titles and banners may try to drive the terminal or break the JSON.
func TestHostileTitlesAndBannersStayText(t *testing.T) {
	l := newLab(t)
	dir := programDir(t, 0o755)
	name := "x\x1b[2Jy\u202e"
	l.serve(l.ns, filepath.Join(dir, name), "tcp 10.7.0.1:4321 \x1b]0;owned\x07\x9b\xff\xfe\u202eevil")
	for _, args := range [][]string{{"audit"}, {"audit", "-v"}, {"audit", "--json"}, {"host", "-v", "--netns", "self"}, {"host", "--all", "--netns", "self"}, {"explain", "4321"}} {
		out, errs, code := l.run(args...)
		if code != exitDone && code != exitPartial {
			t.Errorf("%v: exit %d %s", args, code, errs)
		}
		for _, bad := range []string{"\x1b", "\x07", "\u202e", "\x9b", "\xff"} {
			if strings.Contains(out+errs, bad) {
				t.Errorf("%v: %q reached the terminal", args, bad)
			}
		}
	}
}

// Ctrl-C gives what was found so far and 130; a full disk says so.
func TestInterruptAndFullDisk(t *testing.T) {
	l := &lab{t: t, ns: nettest.New(t), program: buildProgram(t)}
	l.ns.Listen("tcp4", "0.0.0.0:22")
	cmd := l.ns.Command(l.program, "audit", "--json", "--observe", "30s")
	var out, errs strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &errs
	must(t, cmd.Start())
	time.Sleep(1500 * time.Millisecond)
	must(t, cmd.Process.Signal(syscall.SIGINT))
	_ = cmd.Wait()
	var rep audit.Report
	if err := json.Unmarshal([]byte(out.String()), &rep); err != nil || cmd.ProcessState.ExitCode() != exitInterrupted {
		t.Fatalf("exit %d %v\n%s\n%s", cmd.ProcessState.ExitCode(), err, errs.String(), out.String())
	}
	rowAt(t, rep, 22)
	full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	must(t, err)
	defer full.Close()
	for _, args := range [][]string{{"host", "--netns", "self"}, {"host", "--json", "--netns", "self"}, {"host", "--all", "--netns", "self"}, {"explain", "22"}} {
		cmd := exec.Command("ip", append([]string{"netns", "exec", l.ns.Name, l.program}, args...)...)
		var errs strings.Builder
		cmd.Stdout, cmd.Stderr = full, &errs
		if _ = cmd.Run(); cmd.ProcessState.ExitCode() != exitPartial || !strings.Contains(errs.String(), "no space left") {
			t.Errorf("%v on a full disk: exit %d, %s", args, cmd.ProcessState.ExitCode(), errs.String())
		}
	}
}

// The exit code tells a script what it needs: findings win over gaps.
func TestFailOn(t *testing.T) {
	l := newLab(t)
	l.serve(l.ns, filepath.Join(programDir(t, 0o755), "svcd"), "tcp 10.7.0.1:6379 redis")
	for severity, want := range map[string]int{"low": exitFindings, "medium": exitFindings, "high": exitFindings} {
		if _, errs, code := l.run("audit", "--fail-on", severity); code != want {
			t.Errorf("--fail-on %s: exit %d, want %d: %s", severity, code, want, errs)
		}
	}
	policy := filepath.Join(t.TempDir(), "p.yaml")
	must(t, os.WriteFile(policy, []byte("version: 1\nexpect:\n  - {port: 6379, reason: a test}\n"), 0o600))
	if out, errs, code := l.run("audit", "--fail-on", "low", "--policy", policy); code == exitFindings {
		t.Errorf("what the policy expects still fails: %s %s", out, errs)
	}
}
