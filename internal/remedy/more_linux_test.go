package remedy

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func itoa(n int) string { return strconv.Itoa(n) }

func sessionOf(pid int) (int, error) { return unix.Getsid(pid) }

// failing lets programs fail that a test names.
func failing(when func(name string, args []string) bool) Runner {
	return func(ctx context.Context, stdin []byte, name string, args ...string) ([]byte, error) {
		if when(name, args) {
			return nil, errors.New(name + " fails for the test")
		}
		return run(ctx, stdin, name, args...)
	}
}

func TestOneFamilyFails(t *testing.T) {
	for _, kind := range []string{"iptables", "legacy"} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			l := newLab(t)
			if kind == "legacy" {
				l.ns.Script("iptables-legacy -N OTHER; ip6tables-legacy -N OTHER")
			}
			before := l.rules()
			o := l.options(time.Minute, loads(kind)...)
			tried := false
			loading := false
			o.Step = func(name string) { loading = loading || name == "load "+loads(kind)[1].Backend }
			o.Run = failing(func(name string, args []string) bool {
				hit := loading && !tried && strings.HasPrefix(name, "ip6tables") && strings.HasSuffix(name, "restore")
				if hit {
					tried = true
					if l.rules() == before {
						t.Error("the first family was not loaded before the second failed")
					}
				}
				return hit
			})
			_, err := l.apply(o)
			if err == nil || !tried || !strings.Contains(err.Error(), "put back") {
				t.Fatalf("tried %v: %v", tried, err)
			}
			l.await(before, 0)
		})
	}
}

func TestWrongAfterLoadingIsTakenBack(t *testing.T) {
	l := newLab(t)
	before := l.rules()
	o := l.options(time.Minute, loads("nft")...)
	o.Verify = func(context.Context) error {
		if l.rules() == before {
			t.Error("asked before anything was loaded")
		}
		return errors.New("no answer from the network")
	}
	_, err := l.apply(o)
	if ReasonOf(err) != Unverified || !strings.Contains(err.Error(), "no answer from the network") {
		t.Fatal(err)
	}
	l.await(before, 0)
	l.awaitGuard()
}

// Somebody else changes our table between loading and looking.
func TestNotLoadedAsWritten(t *testing.T) {
	l := newLab(t)
	before := l.rules()
	o := l.options(time.Minute, loads("nft")...)
	o.Step = func(name string) {
		if name == "verify" {
			l.ns.Script("nft add rule inet portreeve input tcp dport 99 accept")
		}
	}
	if _, err := l.apply(o); ReasonOf(err) != Unverified {
		t.Fatal(err)
	}
	l.await(before, 0)
}

func TestWithoutGuardNothingIsApplied(t *testing.T) {
	for name, guard := range map[string][]string{
		"none": nil, "no such program": {"/nonexistent/guard"}, "ends at once": {"/bin/true"},
		"says something else": {"/bin/echo", "hello"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := newLab(t)
			before := l.rules()
			o := l.options(time.Minute, loads("nft")...)
			o.Guard = guard
			if _, err := l.apply(o); ReasonOf(err) != NoGuard {
				t.Fatal(err)
			}
			l.await(before, 0)
			l.mustApply(l.options(time.Minute, loads("nft")...)) // it is in nobody's way
		})
	}
}

func TestOneAtATime(t *testing.T) {
	l := newLab(t)
	l.startHelper(order{Load: loads("nft"), Within: time.Minute, Hang: "open"}, "hangs")
	if _, err := l.apply(l.options(time.Minute, loads("nft")...)); ReasonOf(err) != Busy {
		t.Errorf("a second apply: %v", err)
	}
	if _, err := l.undo(); ReasonOf(err) != Busy {
		t.Errorf("undo meanwhile: %v", err)
	}
	if _, err := l.confirm(); ReasonOf(err) != Busy {
		t.Errorf("confirm meanwhile: %v", err)
	}
}

func TestOpenChangeIsInTheWay(t *testing.T) {
	l := newLab(t)
	before := l.rules()
	l.mustApply(l.options(time.Minute, loads("nft")...))
	var e *Error
	if _, err := l.apply(l.options(time.Minute, loads("nft")...)); !errors.As(err, &e) || e.Reason != Busy || e.Outcome != Open || e.Hint == "" {
		t.Errorf("a second apply: %v", err)
	}
	if _, err := l.undo(); err != nil {
		t.Fatal(err)
	}
	l.await(before, 0)
	l.awaitGuard()
}

func TestOthersStay(t *testing.T) {
	for _, kind := range kinds(t) {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			l := newLab(t)
			l.ns.Script("nft add table ip before")
			l.mustApply(l.options(time.Minute, loads(kind)...))
			if _, err := l.confirm(); err != nil {
				t.Fatal(err)
			}
			l.ns.Script("nft add table ip later; nft add chain ip later c; nft delete table ip before; iptables -A INPUT -p tcp --dport 7 -j DROP; iptables -I FORWARD -j DROP")
			if kind == "legacy" {
				l.ns.Script("iptables-legacy -I INPUT -p tcp --dport 8 -j DROP")
			}
			if _, err := l.undo(); err != nil {
				t.Fatal(err)
			}
			got := l.rules()
			for _, want := range []string{"table ip later", "tcp dport 7", "chain FORWARD"} {
				if !strings.Contains(got, want) {
					t.Errorf("%s is gone:\n%s", want, got)
				}
			}
			if kind == "legacy" && !strings.Contains(got, "--dport 8 ") || strings.Contains(strings.ToLower(got), "portreeve") || strings.Contains(got, "ip before") {
				t.Errorf("left:\n%s", got)
			}
		})
	}
}

func TestChangesAreUndoneInTurn(t *testing.T) {
	l := newLab(t)
	states := []string{l.rules()}
	for _, port := range []string{"22", "23", "24"} {
		text := strings.Replace(web, "22, 80", port+", 80", 1)
		l.mustApply(l.options(time.Minute, Load{"nft", []byte(text)}))
		if _, err := l.confirm(); err != nil {
			t.Fatal(err)
		}
		states = append(states, l.rules())
	}
	l.ns.Script("nft add rule inet portreeve input tcp dport 99 accept") // somebody meddles
	for i := len(states) - 2; i >= 0; i-- {
		d, err := l.undo()
		if err != nil {
			t.Fatal(err)
		}
		if got := l.rules(); got != states[i] {
			t.Errorf("after undo to %d:\n%s\nwant:\n%s", i, got, states[i])
		}
		if meddled := i == len(states)-2; meddled != (len(d.Notes) > 0) {
			t.Errorf("notes %q", d.Notes)
		}
	}
	if _, err := l.undo(); ReasonOf(err) != Nothing {
		t.Error(err)
	}
}

func TestBrokenRulesAreRefused(t *testing.T) {
	for name, load := range map[string]Load{
		"nft syntax":         {"nft", []byte("table inet portreeve {\n\tchain input { typ filter }\n}\n")},
		"nft semantics":      {"nft", []byte("table inet portreeve {\n\tchain input {\n\t\tjump nowhere\n\t}\n}\n")},
		"nft others' table":  {"nft", []byte("flush ruleset\ntable inet portreeve {\n}\n")},
		"nft empty":          {"nft", nil},
		"iptables syntax":    {"iptables", []byte("*filter\n:PORTREEVE-INPUT - [0:0]\n-A PORTREEVE-INPUT --nonsense\nCOMMIT\n")},
		"iptables semantics": {"iptables", []byte("*filter\n:PORTREEVE-INPUT - [0:0]\n-A PORTREEVE-INPUT -j NOWHERE\nCOMMIT\n")},
		"iptables others'":   {"iptables", []byte("*filter\n:PORTREEVE-INPUT - [0:0]\n:OTHER - [0:0]\nCOMMIT\n")},
		"iptables nat":       {"iptables", []byte("*nat\n:PORTREEVE-INPUT - [0:0]\nCOMMIT\n")},
		"legacy syntax":      {"iptables-legacy", []byte("*filter\n:PORTREEVE-INPUT - [0:0]\n-A PORTREEVE-INPUT --nonsense\nCOMMIT\n")},
		"no such backend":    {"pf", nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := newLab(t)
			l.ns.Script("nft -f - <<'E'\n" + presentRules(t)["docker-like"] + "\nE")
			before := l.rules()
			if _, err := l.prepare(l.options(time.Minute, load)); ReasonOf(err) != Invalid {
				t.Errorf("%v: %v", ReasonOf(err), err)
			}
			if _, err := os.Stat(l.state); !os.IsNotExist(err) {
				t.Error("a plan wrote to the journal")
			}
			l.await(before, 0)
		})
	}
}

// Whatever space is left, either all of it worked or nothing was applied.
func TestFullDisk(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "small")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, "size=96k,mode=0700"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = unix.Unmount(dir, unix.MNT_DETACH) })
	l := newLab(t)
	before := l.rules()
	l.state = filepath.Join(dir, "state")
	refused := 0
	for left := 0; left <= 96; left += 24 {
		fill := filepath.Join(dir, "fill")
		_ = os.RemoveAll(fill)
		_ = os.RemoveAll(l.state)
		_ = os.WriteFile(fill, make([]byte, (96-left)<<10), 0o600) // as far as it goes
		_, err := l.apply(l.options(time.Minute, loads("nft")...))
		if err != nil {
			refused++
			if r := ReasonOf(err); r != State && r != NoGuard {
				t.Errorf("%d KiB left: %v", left, err)
			}
			l.await(before, 0)
			continue
		}
		_ = os.WriteFile(filepath.Join(dir, "rest"), make([]byte, 96<<10), 0o600) // now it is full
		if _, err := l.undo(); err != nil {
			t.Errorf("%d KiB left, full since: undo: %v", left, err)
		}
		_ = os.Remove(filepath.Join(dir, "rest"))
		l.await(before, 0)
		l.awaitGuard()
	}
	if refused == 0 || refused > 4 {
		t.Errorf("refused %d times of 5", refused)
	}
}

// The disk fills up while the change is open: the guard needs none of it.
func TestDiskFullAtExpiry(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "small")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, "size=512k,mode=0700"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = unix.Unmount(dir, unix.MNT_DETACH) })
	l := newLab(t)
	before := l.rules()
	l.state = filepath.Join(dir, "state")
	l.mustApply(l.options(time.Second, loads("nft")...))
	_ = os.WriteFile(filepath.Join(dir, "rest"), make([]byte, 1<<20), 0o600)
	l.await(before, 8*time.Second)
	l.awaitGuard()
	if x := l.list()[0]; x.InForce || x.Outcome != Expired {
		t.Errorf("listed as %+v", x)
	}
}

// The journal is deleted while the change is open: the guard takes it back.
func TestJournalIsGone(t *testing.T) {
	l := newLab(t)
	before := l.rules()
	l.mustApply(l.options(time.Minute, loads("nft")...))
	if err := os.RemoveAll(l.state); err != nil {
		t.Fatal(err)
	}
	l.await(before, 5*time.Second)
}

// However many confirm, undo and wait, one of them decides, and all of them
// tell the same.
func TestRace(t *testing.T) {
	for round := range 2 {
		t.Run(itoa(round), func(t *testing.T) {
			t.Parallel()
			l := newLab(t)
			before := l.rules()
			l.mustApply(l.options(time.Second, loads("nft")...))
			applied := l.rules()
			time.Sleep(900*time.Millisecond + time.Duration(round)*40*time.Millisecond)
			var wg sync.WaitGroup
			confirmed := make([]error, 8)
			for i := range confirmed {
				wg.Go(func() { _, confirmed[i] = l.confirm() })
			}
			wg.Wait()
			l.awaitGuard()
			wins := 0
			for _, err := range confirmed {
				if err == nil {
					wins++
				}
			}
			x := l.list()[0]
			t.Log(x.Outcome, wins)
			switch {
			case x.Outcome == Confirmed && wins == 1:
				l.await(applied, 0)
			case x.Outcome == Expired && wins == 0:
				l.await(before, 0)
			default:
				t.Errorf("%s, and %d were told that they confirmed: %v", x.Outcome, wins, confirmed)
			}
			for _, err := range confirmed {
				var e *Error
				if err != nil && (!errors.As(err, &e) || e.Outcome != x.Outcome) {
					t.Errorf("told %v, and it is %s", err, x.Outcome)
				}
			}
		})
	}
}

// After a restart the rules are gone, unless somebody loads them at boot.
func TestRestarted(t *testing.T) {
	for _, again := range []bool{false, true} {
		t.Run(strconv.FormatBool(again), func(t *testing.T) {
			t.Parallel()
			l := newLab(t)
			l.ns.Script("nft add table inet portreeve '{ comment \"of old\"; }'; nft add chain inet portreeve old")
			l.mustApply(l.options(time.Minute, loads("nft")...))
			if err := unix.Kill(l.guardPID(), unix.SIGKILL); err != nil {
				t.Fatal(err)
			}
			l.awaitGuard()
			if !again {
				l.ns.Run("nft", "flush", "ruleset")
			}
			l.ns.Run("nft", "add", "table", "ip", "boot")
			l.machine.Clock = later{boot: "another"}
			if x := l.list()[0]; !x.Rebooted || !x.Over {
				t.Errorf("listed as %+v", x)
			}
			if _, err := l.confirm(); ReasonOf(err) != TooLate {
				t.Error(err)
			}
			if got := l.rules(); got != "table ip boot {\n}\n" {
				t.Errorf("after a restart:\n%s", got)
			}
			if x := l.list()[0]; x.InForce || x.Outcome != Expired {
				t.Errorf("listed as %+v", x)
			}
		})
	}
}
