package closing

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/portreeve/portreeve/internal/nettest"
	"github.com/portreeve/portreeve/internal/remedy"
)

// victim is a host with something to close, and what must be as before after.
type victim struct {
	*lab
	close order
	dump  func() string
}

// victims make one host for each kind of step.
var victims = map[string]func(*testing.T) *victim{
	"units": func(t *testing.T) *victim {
		l, f := unitLab(t)
		return &victim{l, order{What: "close", Ports: tcp(7101)}, func() string { return f.dump(t) }}
	},
	"process": func(t *testing.T) *victim {
		l := newLab(t)
		l.start("server", "0.0.0.0:7201", "udp:0.0.0.0:7201")
		return &victim{l, order{What: "close", Ports: []Port{{"", 7201}}}, l.listening}
	},
	"nft":       func(t *testing.T) *victim { return walledVictim(t, "") },
	"iptables":  func(t *testing.T) *victim { return walledVictim(t, "iptables") },
	"config":    rebindVictim,
	"xinetd":    xinetdVictim,
	"script":    scriptVictim,
	"container": func(t *testing.T) *victim { return containerVictim(t).victim },
}

func walledVictim(t *testing.T, tool string) *victim {
	l := newLab(t)
	if tool != "" {
		l.withoutNft()
		l.ns.Script("iptables -t mangle -A PREROUTING -p tcp --dport 9 -j DROP; ip6tables -t mangle -A PREROUTING -p tcp --dport 9 -j DROP")
	} else {
		l.ns.Script("nft 'add table inet other; add chain inet other input { type filter hook input priority 0; policy accept; }'")
	}
	l.start("server", "0.0.0.0:7202")
	return &victim{l, order{What: "close", Ports: tcp(7202), How: Firewall}, func() string {
		return l.listening() + withoutCounts(l.ns.Run("nft", "list", "ruleset"))
	}}
}

// rebindVictim is a real nginx: its configuration, byte for byte, and what it
// listens on.
func rebindVictim(t *testing.T) *victim {
	nginx := nettest.Need(t, "nginx")
	l := newLab(t)
	dir := t.TempDir()
	conf := filepath.Join(dir, "nginx.conf")
	text := fmt.Sprintf("worker_processes 1;\npid %[1]s/pid;\nerror_log %[1]s/log;\nevents {}\n# ours\nhttp { access_log off;\n\tserver { listen 7203; return 204; }\n}\n", dir)
	if err := os.WriteFile(conf, []byte(text), 0o640); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(l.sweep)
	l.ns.Run(nginx, "-c", conf)
	l.await("tcp/0.0.0.0:7203")
	return &victim{l, order{What: "close", Ports: tcp(7203), How: Rebind}, func() string {
		data, _ := os.ReadFile(conf)
		info, _ := os.Stat(conf)
		names, _ := filepath.Glob(filepath.Join(dir, ".portreeve*"))
		return fmt.Sprint(l.settled("tcp/0.0.0.0:7203"), string(data), info.Mode(), names)
	}}
}

// settled waits for servers that come back in a moment, and is what listens.
func (l *lab) settled(want string) string {
	for range 40 {
		if l.listening() == want {
			break
		}
		time.Sleep(50 * time.Millisecond)
	}
	return l.listening()
}

// Killed before any step, in closing as in undoing, everything is as before
// with the next run, or as after the undo.
func TestKilledAtEveryStep(t *testing.T) {
	for name, make := range victims {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			v := make(t)
			v.close.Believe, v.close.Patience = true, time.Second
			before, every := v.dump(), name == "units" || name == "process"
			closing := v.must(v.close).Steps
			undoing := v.must(v.undo(0)).Steps
			v.same("a whole closing and undoing", before)
			for _, n := range moments(closing, every) {
				o := v.close
				o.Kill = n
				v.dies(o)
				v.must(v.as("recover"))
				v.same("closing killed before "+closing[n-1], before)
			}
			for _, n := range moments(undoing, every) {
				v.must(v.close)
				v.dies(v.undo(n))
				v.must(v.undo(0))
				v.same("undoing killed before "+undoing[n-1], before)
			}
		})
	}
}

// moments are where it is killed: before every step; or, since the journal's
// own steps are the same for every kind, before the first one of each sort
// that changes the machine, and right after the last.
func moments(steps []string, every bool) (out []int) {
	known := map[string]bool{}
	for i, s := range steps {
		sort, _, _ := strings.Cut(s, " ")
		journal := slices.Contains([]string{"record", "begin", "verify", "applied", "undoing", "undo", "undone"}, sort)
		if every || !journal && !known[sort] {
			out = append(out, i+1)
		}
		known[sort] = true
	}
	return out
}

// as is another order on the same machine.
func (v *victim) as(what string) order {
	o := v.close
	o.What = what
	return o
}

func (v *victim) undo(kill int) order {
	o := v.as("undo")
	o.Kill = kill
	return o
}

func (v *victim) dies(o order) {
	v.t.Helper()
	if a := v.do(o); a != nil {
		v.t.Fatalf("%s was not killed before step %d: %+v", o.What, o.Kill, a)
	}
}

func (v *victim) same(when, before string) {
	v.t.Helper()
	if got := v.dump(); got != before {
		v.t.Fatalf("%s:\n%s\nbefore:\n%s", when, got, before)
	}
}

// What answers still after all steps is taken back, whatever was done.
func TestNotVerifiedIsTakenBack(t *testing.T) {
	for name, make := range victims {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			v := make(t)
			before := v.dump()
			o := v.close
			o.Answers, o.Patience = true, 500*time.Millisecond
			a := v.do(o)
			if a == nil || a.Reason != remedy.Unverified || !strings.Contains(a.Err, "still answers at") || !strings.Contains(a.Err, "everything was taken back") {
				t.Errorf("%+v", a)
			}
			if got := v.dump(); got != before {
				t.Errorf("%s\nbefore:\n%s", got, before)
			}
			if got := v.outcomes(); len(got) != 1 || got[0] != Failed {
				t.Errorf("journal: %v", got)
			}
		})
	}
}
