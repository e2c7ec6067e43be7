package remedy

import (
	"bufio"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"
)

// Whenever the applying process dies, what was before is back within a
// moment, and the next change is possible.
func TestKilledAtEveryStep(t *testing.T) {
	steps := map[string][]string{
		"nft":      {"record", "guard", "load nft", "verify", "open"},
		"iptables": {"load ip6tables"},
		"legacy":   {"load ip6tables-legacy"},
	}
	for _, kind := range kinds(t) {
		for _, at := range steps[kind] {
			t.Run(kind+", "+at, func(t *testing.T) {
				t.Parallel()
				l := newLab(t)
				l.ns.Script("nft -f - <<'E'\n" + presentRules(t)["ours-between-others"] + "\nE")
				if kind == "legacy" {
					l.ns.Script("iptables-legacy -N OTHER; ip6tables-legacy -N OTHER")
				}
				before := l.rules()
				cmd, out := l.helper(order{Load: loads(kind), Within: time.Minute, Kill: at})
				if err := cmd.Run(); err == nil {
					t.Fatalf("it was not killed: %s", out)
				}
				l.await(before, 5*time.Second)
				l.awaitGuard()
				if _, err := l.confirm(); err == nil {
					t.Error("confirmed what is not there")
				}
				l.mustApply(l.options(time.Minute, loads(kind)...))
				for _, x := range l.list()[:len(l.list())-1] {
					if x.InForce || x.Outcome == Open {
						t.Errorf("left behind: %+v", x)
					}
				}
				if _, err := l.undo(); err != nil {
					t.Error(err)
				}
				l.await(before, 0)
			})
		}
	}
}

// A process killed while it takes back is helped out by the guard.
func TestKilledWhileTakingBack(t *testing.T) {
	for _, at := range []string{"take back", "restore ip6tables", "restore iptables"} {
		t.Run(at, func(t *testing.T) {
			t.Parallel()
			l := newLab(t)
			before := l.rules()
			cmd, out := l.helper(order{Load: loads("iptables"), Within: time.Minute, Kill: at, Wrong: true})
			if err := cmd.Run(); err == nil {
				t.Fatalf("it was not killed: %s", out)
			}
			l.await(before, 5*time.Second)
			l.awaitGuard()
			if x := l.list()[0]; x.InForce || x.Outcome == Open {
				t.Errorf("left behind: %+v", x)
			}
		})
	}
}

// startHelper runs a helper until it says a word.
func (l *lab) startHelper(o order, word string) *exec.Cmd {
	l.t.Helper()
	cmd, _ := l.helper(o)
	cmd.Stdout = nil
	r, err := cmd.StdoutPipe()
	if err != nil {
		l.t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		l.t.Fatal(err)
	}
	l.t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	line, _ := bufio.NewReader(r).ReadString('\n')
	if strings.TrimSpace(line) != word {
		l.t.Fatalf("said %q, not %q", line, word)
	}
	return cmd
}

// A hangup of the session, or its end by force, reaches every process of the
// session but the guard.
func TestSessionIsCut(t *testing.T) {
	for _, sig := range []syscall.Signal{syscall.SIGHUP, syscall.SIGKILL} {
		t.Run(sig.String(), func(t *testing.T) {
			t.Parallel()
			l := newLab(t)
			before := l.rules()
			cmd := l.startHelper(order{Load: loads("nft"), Within: 1500 * time.Millisecond, After: true}, "applied")
			if l.rules() == before {
				t.Fatal("nothing was applied")
			}
			if err := syscall.Kill(-cmd.Process.Pid, sig); err != nil { // setsid made it a leader
				t.Fatal(err)
			}
			_ = cmd.Wait()
			if l.rules() == before {
				t.Error("taken back before its time")
			}
			l.await(before, 8*time.Second)
		})
	}
}

// guardPID finds the guard by what it holds: the process whose arguments end
// with the entry's folder.
func (l *lab) guardPID() int {
	l.t.Helper()
	list := l.list()
	out, err := exec.Command("pgrep", "-f", "--", "--journal "+list[len(list)-1].Dir).Output()
	if err != nil {
		l.t.Fatal("no guard", err)
	}
	pid := 0
	for _, c := range strings.Fields(string(out))[0] {
		pid = pid*10 + int(c-'0')
	}
	return pid
}

func TestGuardStandsAlone(t *testing.T) {
	l := newLab(t)
	l.mustApply(l.options(time.Minute, loads("nft")...))
	pid := l.guardPID()
	if sid, err := sessionOf(pid); err != nil || sid != pid {
		t.Errorf("session %d of process %d: %v", sid, pid, err)
	}
	if dir, err := os.Readlink("/proc/" + itoa(pid) + "/cwd"); err != nil || dir != "/" {
		t.Errorf("works in %s: %v", dir, err)
	}
	if tty, err := os.Readlink("/proc/" + itoa(pid) + "/fd/2"); err != nil || !strings.HasSuffix(tty, guardLog) {
		t.Errorf("says to %s: %v", tty, err)
	}
	for _, sig := range []syscall.Signal{syscall.SIGHUP, syscall.SIGQUIT, syscall.SIGTSTP, syscall.SIGPIPE} {
		if err := syscall.Kill(pid, sig); err != nil {
			t.Fatal(err)
		}
	}
	time.Sleep(3 * guardTick)
	if !l.list()[0].Guarded {
		t.Error("a signal ended the guard")
	}
}

// A guard that is killed leaves the change open; whoever comes next says so
// and, when its time has passed, takes it back.
func TestGuardIsKilled(t *testing.T) {
	for name, next := range map[string]func(*lab) error{
		"confirm": func(l *lab) error { _, err := l.confirm(); return err },
		"undo":    func(l *lab) error { _, err := l.undo(); return err },
		"apply": func(l *lab) error {
			var notes []string
			var err error
			l.ns.Do(func() { notes, err = Recover(l.t.Context(), l.state, l.machine) })
			if err != nil || len(notes) != 1 {
				l.t.Errorf("notes: %q %v", notes, err)
			}
			l.machine.Clock = nil
			_, err = l.apply(l.options(time.Minute, loads("nft")...))
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := newLab(t)
			before := l.rules()
			l.mustApply(l.options(time.Minute, loads("nft")...))
			if err := syscall.Kill(l.guardPID(), syscall.SIGKILL); err != nil {
				t.Fatal(err)
			}
			l.awaitGuard()
			l.machine.Clock = later{by: 2 * time.Minute}
			if x := l.list()[0]; !x.Over || x.Guarded || !x.InForce || l.rules() == before {
				t.Errorf("listed as %+v", x)
			}
			err := next(l)
			switch {
			case name == "confirm" && ReasonOf(err) != TooLate, name != "confirm" && err != nil:
				t.Errorf("%s: %v", name, err)
			case name == "apply":
				if _, err = l.undo(); err != nil {
					t.Error(err)
				}
			}
			l.await(before, 0)
			if x := l.list()[0]; x.InForce {
				t.Errorf("left behind: %+v, %v", x, err)
			}
		})
	}
}
