package remedy

import (
	"bytes"
	"context"
	"errors"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"
	"pgregory.net/rapid"
)

// handClock is moved by the test. Sleeping moves it.
type handClock struct {
	mu    sync.Mutex
	since time.Duration
}

func (c *handClock) Now() time.Time {
	return time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC).Add(c.read())
}

func (c *handClock) read() time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.since
}

func (c *handClock) SinceBoot() (time.Duration, error) { return c.read(), nil }

func (c *handClock) Boot() (string, error) { return "this boot", nil }

func (c *handClock) Sleep(_ context.Context, d time.Duration) { c.move(d) }

func (c *handClock) move(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.since += d
}

// kernelTable plays nft: one table that is there or not.
type kernelTable struct {
	mu   sync.Mutex
	text string
	puts int
}

func (k *kernelTable) run(_ context.Context, stdin []byte, name string, args ...string) ([]byte, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	switch what := strings.Join(args, " "); {
	case name != "nft":
		return nil, errors.New("no " + name)
	case what == "list tables" && k.text == "":
		return nil, nil
	case what == "list tables":
		return []byte("table inet portreeve\n"), nil
	case strings.HasPrefix(what, "-j"):
		return []byte(`{"nftables": []}`), nil
	case strings.HasSuffix(what, "list table inet portreeve"):
		return []byte(k.text), nil
	case what == "-f -":
		k.puts++
		k.text = ""
		if !bytes.HasPrefix(stdin, []byte("delete")) {
			k.text = string(stdin)
		}
		return nil, nil
	}
	return nil, errors.New("not played: " + strings.Join(args, " "))
}

const loaded = "table inet portreeve {\n}\n"

// openEntry writes an entry in force, as Apply leaves it.
func openEntry(t interface{ Fatal(...any) }, state string, m Machine, within time.Duration) *Entry {
	since, _ := m.Clock.SinceBoot()
	e := &Entry{Schema: Schema, ID: m.Clock.Now().Format("20060102T150405.000Z") + "-" + random(), UID: os.Geteuid(), Boot: "this boot", Begun: since, Within: within,
		Steps: []Step{{Kind: "rules", Backend: "nft", Before: "0.before", BeforeNormal: "0.bn", Want: "0.want", WantNormal: "0.wn"}}}
	files := map[string][]byte{"0.before": nil, "0.bn": nil, "0.want": []byte(loaded), "0.wn": []byte(loaded)}
	err := errors.Join(makeStateDir(state), makeEntry(state, e, files), e.writePending(pending{Deadline: since + within}))
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// Whatever comes in whatever order, one outcome holds, everybody is told that
// one, and the rules are as it says.
func TestOneOutcome(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("undoing needs CAP_NET_ADMIN")
	}
	dir := t.TempDir()
	rapid.Check(t, func(rt *rapid.T) {
		state, err := os.MkdirTemp(dir, "")
		if err != nil {
			rt.Fatal(err)
		}
		k := &kernelTable{text: loaded}
		clock := &handClock{since: time.Hour}
		m := Machine{Run: k.run, Clock: clock}.filled()
		e := openEntry(rt, state, m, time.Minute)
		actors := rapid.SliceOfN(rapid.SampledFrom([]string{"confirm", "undo", "guard", "recover", "late"}), 1, 6).Draw(rt, "actors")
		together := rapid.Bool().Draw(rt, "at once")
		results := make([]error, len(actors))
		var wg sync.WaitGroup
		for i, what := range actors {
			act := func() { results[i] = actAs(what, e, state, m, clock) }
			if together {
				wg.Go(act)
			} else {
				act()
			}
		}
		wg.Wait()
		check(rt, e, k, actors, results)
	})
}

func actAs(what string, e *Entry, state string, m Machine, clock *handClock) (err error) {
	ctx := context.Background()
	switch what {
	case "confirm":
		_, err = Confirm(ctx, state, m)
	case "undo":
		_, err = Undo(ctx, state, m)
	case "recover":
		_, err = Recover(ctx, state, m)
	case "late":
		clock.move(2 * time.Minute)
	case "guard":
		w := &watch{m: m, e: e, log: io.Discard, gone: make(chan struct{})}
		if w.r, err = e.recall(m); err == nil {
			err = w.wait(ctx)
		}
	}
	return err
}

func check(t *rapid.T, e *Entry, k *kernelTable, actors []string, results []error) {
	names, err := filepath.Glob(e.path(atPrefix + "*"))
	if err != nil || len(names) != 1 {
		t.Fatalf("decisions: %v %v", names, err)
	}
	o := e.outcome()
	wins := map[string]int{}
	for i, what := range actors {
		if results[i] == nil {
			wins[what]++
		}
		var told *Error
		if errors.As(results[i], &told) && told.Reason == NotRestored {
			t.Fatalf("%s: %v", what, results[i])
		}
	}
	if inForce := o == Open || o == Confirmed; inForce != (k.text == loaded) || inForce == e.restored() {
		t.Fatalf("%s, and loaded is %q, restored %v", o, k.text, e.restored())
	}
	switch {
	case wins["confirm"] > 1:
		t.Fatalf("%d confirmed", wins["confirm"])
	case o == Confirmed && wins["confirm"] != 1, o == Expired && wins["confirm"] != 0:
		t.Fatalf("%s, and %d were told that they confirmed", o, wins["confirm"])
	case o == Undone && wins["undo"] == 0:
		t.Fatalf("undone by nobody: %v", results)
	case o == Open && slices.Contains(actors, "guard"):
		t.Fatal("the guard left it open")
	}
}

// The deadline is by the clock that counts sleep: the machine sleeps through
// it, and the guard acts at once when it wakes.
func TestSleepCounts(t *testing.T) {
	state := filepath.Join(t.TempDir(), "state")
	k := &kernelTable{text: loaded}
	clock := &handClock{since: time.Hour}
	m := Machine{Run: k.run, Clock: clock}.filled()
	e := openEntry(t, state, m, time.Hour)
	w := &watch{m: m, e: e, log: io.Discard, gone: make(chan struct{})}
	if why := w.due(t.Context()); why != "" {
		t.Fatal(why)
	}
	clock.move(time.Hour - time.Millisecond)
	if why := w.due(t.Context()); why != "" {
		t.Fatal(why)
	}
	clock.move(time.Millisecond)
	if why := w.due(t.Context()); why == "" {
		t.Error("not due")
	}
}

// A guard that is told to end takes back first; one whose restoring fails
// tries again.
func TestGuardInsists(t *testing.T) {
	state := filepath.Join(t.TempDir(), "state")
	k := &kernelTable{text: loaded}
	fails := 3
	m := Machine{Clock: &handClock{since: time.Hour}, Run: func(ctx context.Context, stdin []byte, name string, args ...string) ([]byte, error) {
		if fails > 0 && args[0] == "-f" {
			fails--
			return nil, unix.EBUSY
		}
		return k.run(ctx, stdin, name, args...)
	}}.filled()
	e := openEntry(t, state, m, time.Hour)
	w := &watch{m: m, e: e, log: io.Discard, gone: make(chan struct{})}
	var err error
	if w.r, err = e.recall(m); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := w.wait(ctx); err != nil || k.text != "" || fails != 0 || e.outcome() != Expired || !e.restored() {
		t.Errorf("%v: %q, %d, %s", err, k.text, fails, e.outcome())
	}
}

// The journal is deleted after an undo: the guard takes back what is left of
// its change, and leaves alone what came after it.
func TestJournalIsGoneAfterTheDecision(t *testing.T) {
	const others = "table inet portreeve {\n\tcomment \"later\"\n}\n"
	for text, want := range map[string]string{loaded: "", others: others, "": ""} {
		state := filepath.Join(t.TempDir(), "state")
		k := &kernelTable{text: text}
		m := Machine{Clock: &handClock{since: time.Hour}, Run: k.run}.filled()
		e := openEntry(t, state, m, time.Hour)
		w := &watch{m: m, e: e, log: io.Discard, gone: make(chan struct{})}
		var err error
		if w.r, err = e.recall(m); err != nil {
			t.Fatal(err)
		}
		if err := os.RemoveAll(state); err != nil {
			t.Fatal(err)
		}
		if err := w.finish(t.Context()); err != nil || k.text != want {
			t.Errorf("%q became %q: %v", text, k.text, err)
		}
	}
}

func TestDamagedJournal(t *testing.T) {
	state := filepath.Join(t.TempDir(), "state")
	m := Machine{Run: (&kernelTable{}).run, Clock: &handClock{since: time.Hour}}.filled()
	good := openEntry(t, state, m, time.Hour)
	for name, text := range map[string]string{"20000101T000000.000Z-a": "", "20990101T000000.000Z-b": "{\"schema\": \"other/9\"}"} {
		dir := filepath.Join(changesDir(state), name)
		if err := errors.Join(os.Mkdir(dir, 0o700), os.WriteFile(filepath.Join(dir, entryFile), []byte(text), 0o600)); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Mkdir(filepath.Join(changesDir(state), ".new-half"), 0o700); err != nil {
		t.Fatal(err)
	}
	list, err := entries(state)
	if len(list) != 1 || list[0].ID != good.ID || ReasonOf(err) != State {
		t.Errorf("%v, %v", list, err)
	}
	if err := os.Remove(good.path("0.before")); err != nil {
		t.Fatal(err)
	}
	if _, err := good.recall(m); ReasonOf(err) != State {
		t.Error(err)
	}
}

func TestStateDirIsOursAlone(t *testing.T) {
	state := filepath.Join(t.TempDir(), "state")
	if err := makeStateDir(state); err != nil {
		t.Fatal(err)
	}
	st, err := os.Stat(changesDir(state))
	if err != nil || st.Mode().Perm() != 0o700 {
		t.Errorf("%v %v", st.Mode(), err)
	}
	if err := os.Chmod(state, 0o777); err != nil {
		t.Fatal(err)
	}
	if err := makeStateDir(state); err == nil {
		t.Error("a folder that everybody may write to is taken")
	}
	link := filepath.Join(t.TempDir(), "link")
	if err := os.Symlink(t.TempDir(), link); err != nil {
		t.Fatal(err)
	}
	if err := makeStateDir(link); err == nil {
		t.Error("a symbolic link is taken")
	}
}

func TestOptionsAreChecked(t *testing.T) {
	good := Options{StateDir: "/x", Load: []Load{{"nft", nil}}}
	for name, change := range map[string]func(*Options){
		"too short": func(o *Options) { o.Within = time.Millisecond },
		"too long":  func(o *Options) { o.Within = 48 * time.Hour },
		"no rules":  func(o *Options) { o.Load = nil },
		"no folder": func(o *Options) { o.StateDir = "" },
	} {
		o := good
		change(&o)
		if _, err := o.filled(); err == nil {
			t.Error(name)
		}
	}
	if o, err := good.filled(); err != nil || o.Within != DefaultWithin {
		t.Error(err)
	}
	seen := map[string]bool{}
	for _, name := range Backends() {
		if _, err := backendNamed(name, "/proc"); err != nil {
			t.Error(err)
		}
		seen[name] = true
	}
	if len(slices.Collect(maps.Keys(seen))) != 7 {
		t.Error(seen)
	}
}
