package main

import (
	"os"
	"os/exec"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/portreeve/portreeve/internal/nettest"
)

// The test binary is its own holder of sockets, as the program is.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == holdMode {
		exit(hold(os.Args[2:]))
	}
	os.Exit(m.Run())
}

func TestLargeLoadAddsUp(t *testing.T) {
	for _, c := range []struct{ sockets, procs int }{{100_000, 200}, {1000, 7}, {13, 2}} {
		total := 0
		for _, h := range largeLoad(c.sockets, c.procs) {
			total += h.listeners + 2*h.pairs
		}
		if total != c.sockets {
			t.Errorf("%d sockets in %d processes: %d", c.sockets, c.procs, total)
		}
	}
}

// The load is what the page says: ss, lsof and netstat count it, and agree.
func TestLoadIsSeenByTheTools(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root to make a network namespace")
	}
	nettest.Need(t, "ss")
	nettest.Need(t, "lsof")
	nettest.Need(t, "netstat")
	const sockets, procs = 600, 6
	err := inNamespace(func() error {
		h, err := startHolders(t.Context(), largeLoad(sockets, procs))
		if err != nil {
			return err
		}
		everySocket := ask(t, ssPairs, "ss", "-tanp")
		if len(everySocket) != sockets {
			t.Errorf("ss counts %d sockets, want %d", len(everySocket), sockets)
		}
		listeners := ask(t, ssListeners, "ss", "-tlnp")
		if len(listeners) != 6*procs {
			t.Errorf("ss counts %d listeners, want %d", len(listeners), 6*procs)
		}
		if diff := cmp.Diff(listeners, ask(t, lsofListeners, "lsof", "-nP", "-iTCP", "-sTCP:LISTEN")); diff != "" {
			t.Errorf("lsof: %s", diff)
		}
		if diff := cmp.Diff(listeners, ask(t, netstatListeners, "netstat", "-tlnp")); diff != "" {
			t.Errorf("netstat: %s", diff)
		}
		return h.release()
	})
	if err != nil {
		t.Fatal(err)
	}
}

func ask(t *testing.T, read reading, argv ...string) answer {
	t.Helper()
	out, err := exec.Command(argv[0], argv[1:]...).Output()
	if err != nil {
		t.Errorf("%v: %v", argv, err)
	}
	a, err := read(out)
	if err != nil {
		t.Errorf("%v: %v", argv, err)
	}
	return a
}

// A contest of a tool with itself runs in full: answers, times, memory.
func TestContestRuns(t *testing.T) {
	nettest.Need(t, "time")
	self := theirs(func([]byte) (answer, error) { return answer{"x": true}, nil }, []int{3}, "sh", "-c", "exit 3")
	r, err := contest{what: "w", ours: self, theirs: self, rounds: 3}.run(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if r.timing.rounds != 3 || r.timing.ours <= 0 || r.oursKiB <= 0 {
		t.Errorf("row %+v", r)
	}
	self.accept = nil
	if _, err := (contest{ours: self, theirs: self}).run(t.Context()); err == nil {
		t.Error("a command that fails was measured")
	}
}
