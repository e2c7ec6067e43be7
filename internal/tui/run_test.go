//go:build !aix

package tui

import (
	"bytes"
	"context"
	"errors"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/portreeve/portreeve/internal/traffic/flow"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	if os.Getenv(demoVariable) != "" {
		os.Exit(demo(os.Getenv(demoVariable)))
	}
	goleak.VerifyTestMain(m)
}

// output is a terminal that remembers all that was written to it.
type output struct {
	mu    sync.Mutex
	wrote bytes.Buffer
}

func (o *output) Write(b []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.wrote.Write(b)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.wrote.String()
}

// show waits until some text was written.
func (o *output) show(t *testing.T, text string) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); !strings.Contains(o.String(), text); {
		if time.Now().After(end) {
			t.Fatalf("never shown: %q in %q", text, o.String())
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// moving is traffic of which some has come.
func moving() *fixture {
	f := someTraffic()
	f.pass(1)
	return f
}

// session is a running view with a pipe for its keyboard.
type session struct {
	out  *output
	keys *os.File
	done chan error
}

func start(t *testing.T, ctx context.Context, feed Feed, o Options) *session {
	t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	s := &session{out: &output{}, keys: w, done: make(chan error, 1)}
	o.In, o.Out, o.Width, o.Height, o.Environ = r, s.out, 80, 24, []string{"TERM=xterm-256color", "TERM_PROGRAM=Apple_Terminal"}
	go func() { s.done <- Run(ctx, feed, o) }()
	t.Cleanup(func() {
		_ = w.Close()
		_ = r.Close()
	})
	return s
}

func (s *session) end(t *testing.T) error {
	t.Helper()
	select {
	case err := <-s.done:
		return err
	case <-time.After(20 * time.Second):
		t.Fatal("Run did not return")
		return nil
	}
}

// restored wants what a terminal needs to be as it was: alternate screen off,
// cursor on (DECSET 1049 and 25), and that after the last of anything else.
func (s *session) restored(t *testing.T) {
	t.Helper()
	text := s.out.String()
	for _, mode := range []struct{ undo, do string }{{"\x1b[?1049l", "\x1b[?1049h"}, {"\x1b[?25h", "\x1b[?25l"}} {
		if strings.LastIndex(text, mode.undo) <= strings.LastIndex(text, mode.do) {
			t.Errorf("%q was not written after the last %q: %q", mode.undo, mode.do, text)
		}
	}
}

func TestQuit(t *testing.T) {
	for _, key := range []string{"q", "\x03"} {
		s := start(t, t.Context(), moving(), Options{Title: "live"})
		s.out.show(t, "Good evidence")
		_, _ = s.keys.WriteString("?")
		s.out.show(t, "LISTS")
		_, _ = s.keys.WriteString(key)
		if err := s.end(t); err != nil {
			t.Errorf("%q: %v", key, err)
		}
		s.restored(t)
	}
}

func TestNoColourNoEscapes(t *testing.T) {
	for _, color := range []bool{false, true} {
		s := start(t, t.Context(), moving(), Options{Color: color})
		s.out.show(t, "Good evidence")
		s.out.show(t, "443")
		_, _ = s.keys.WriteString("q")
		if err := s.end(t); err != nil {
			t.Fatal(err)
		}
		if colored := strings.Contains(s.out.String(), "\x1b[1m"); colored && !color {
			t.Errorf("SGR without colour: %q", s.out.String())
		}
	}
}

func TestContextEnds(t *testing.T) {
	why := errors.New("told to stop")
	ctx, cancel := context.WithCancelCause(t.Context())
	s := start(t, ctx, moving(), Options{})
	s.out.show(t, "Good evidence")
	cancel(why)
	if err := s.end(t); !errors.Is(err, why) {
		t.Errorf("%v, want %v", err, why)
	}
	s.restored(t)
}

// trap is a feed that fails on its n-th read.
type trap struct {
	fixture
	reads atomic.Int32
	on    int32
}

func (f *trap) Read(visit func(*flow.Flow) bool) Status {
	if f.reads.Add(1) >= f.on {
		panic("the feed is broken")
	}
	return f.fixture.Read(visit)
}

func TestFailureRestores(t *testing.T) {
	var names atomic.Int32
	for name, s := range map[string]*session{
		"feed": start(t, t.Context(), &trap{fixture: *moving(), on: 2}, Options{Interval: 100 * time.Millisecond}),
		"owner": start(t, t.Context(), moving(), Options{Owner: func(context.Context, *flow.Flow) string {
			panic("the owners are broken")
		}}),
		"service": start(t, t.Context(), moving(), Options{Service: func(uint8, uint16) string {
			if names.Add(1) > 3 {
				panic("the names are broken")
			}
			return ""
		}}),
	} {
		if name == "owner" {
			_, _ = s.keys.WriteString("3")
		}
		err := s.end(t)
		if !errors.Is(err, ErrBroken) || !strings.Contains(err.Error(), "broken") {
			t.Errorf("%s: %v", name, err)
		}
		s.restored(t)
	}
}

// TestBrokenScreen: a failure of update or frame ends the view in order too.
func TestBrokenScreen(t *testing.T) {
	for name, feed := range map[string]func(*fixture){
		"frame": func(f *fixture) { f.status.Err = brokenError{} },
	} {
		f := moving()
		feed(f)
		s := start(t, t.Context(), f, Options{})
		if err := s.end(t); !errors.Is(err, ErrBroken) {
			t.Errorf("%s: %v", name, err)
		}
		s.restored(t)
	}
}

// brokenError fails when it is to be shown.
type brokenError struct{}

func (brokenError) Error() string { panic("the error is broken") }

// TestSlowOwner: an owner that takes long holds up neither screen nor keys,
// and is told to stop.
func TestSlowOwner(t *testing.T) {
	asked := make(chan struct{}, 100)
	s := start(t, t.Context(), moving(), Options{Owner: func(ctx context.Context, _ *flow.Flow) string {
		asked <- struct{}{}
		<-ctx.Done()
		return "late"
	}})
	_, _ = s.keys.WriteString("3")
	s.out.show(t, "PROCESS")
	<-asked
	_, _ = s.keys.WriteString("?")
	s.out.show(t, "LISTS")
	_, _ = s.keys.WriteString("q")
	if err := s.end(t); err != nil {
		t.Error(err)
	}
}
