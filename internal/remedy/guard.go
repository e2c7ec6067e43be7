package remedy

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"strings"
	"time"
)

// Figures of the guard.
const (
	guardTick  = 100 * time.Millisecond
	guardStart = 10 * time.Second // in which it must be ready
	retryAfter = time.Second
	retries    = 60
)

const readyWord = "ready"

// guardian is the applying side's hold on the guard.
type guardian struct{ alive *os.File }

// release tells the guard that the applying process needs it no longer, or is
// dead: the kernel does the same then.
func (g *guardian) release() { _ = g.alive.Close() }

// guard starts the guard and waits until it is ready.
func (a *apply) guard(ctx context.Context) (*guardian, error) {
	a.m.Step("guard")
	argv := a.p.o.Guard
	if len(argv) == 0 {
		return nil, fail(NoGuard, "no command for the guard was given, so nothing was applied", nil)
	}
	g, err := a.start(ctx, append(argv[:len(argv):len(argv)], a.e.dir))
	if err != nil {
		return nil, fail(NoGuard, "the guard did not start, so nothing was applied", err).hint("see " + a.e.path(guardLog))
	}
	return g, nil
}

func (a *apply) start(ctx context.Context, argv []string) (*guardian, error) {
	aliveRead, aliveWrite, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer aliveRead.Close()
	readyRead, readyWrite, err := os.Pipe()
	if err != nil {
		_ = aliveWrite.Close()
		return nil, err
	}
	defer readyRead.Close()
	log, err := os.OpenFile(a.e.path(guardLog), os.O_WRONLY|os.O_APPEND, 0)
	if err == nil {
		err = startGuard(argv, aliveRead, readyWrite, log)
		_ = log.Close()
	}
	_ = readyWrite.Close()
	if err == nil {
		err = awaitReady(ctx, readyRead)
	}
	if err != nil {
		_ = aliveWrite.Close()
		return nil, err
	}
	return &guardian{aliveWrite}, nil
}

// awaitReady reads the guard's word.
func awaitReady(ctx context.Context, r *os.File) error {
	stop := context.AfterFunc(ctx, func() { _ = r.SetReadDeadline(time.Unix(1, 0)) })
	defer stop()
	if err := r.SetReadDeadline(time.Now().Add(guardStart)); err != nil {
		return err
	}
	word, err := bufio.NewReader(io.LimitReader(r, 100)).ReadString('\n')
	if strings.TrimSpace(word) == readyWord {
		return nil
	}
	if err == nil || err == io.EOF {
		err = fmt.Errorf("it ended, or said %q", word)
	}
	return err
}

// Guard is the other side: it waits until the change in the entry's folder is
// decided or its deadline passes, and then takes it back. alive is an input
// that ends when the applying process does, ready is where that process waits
// for a word, log is for people. It must run in a process of its own, which
// Apply starts with Options.Guard; ctx ending makes it take the change back
// at once.
func Guard(ctx context.Context, dir string, m Machine, alive io.Reader, ready, log io.Writer) error {
	m = m.filled()
	settle()
	w := &watch{m: m, log: log, gone: make(chan struct{})}
	var err error
	if w.e, err = readEntry(dir); err != nil {
		return err
	}
	if w.e.UID != os.Geteuid() {
		return fail(NoPrivilege, "this change is another user's", nil)
	}
	unlock, err := w.alone(ctx)
	if err != nil {
		return err
	}
	defer unlock()
	if w.r, err = w.e.recall(m); err != nil {
		return err
	}
	if _, err := fmt.Fprintln(ready, readyWord); err != nil {
		return fail(NoGuard, "nobody waits for this guard", err)
	}
	go func() {
		_, _ = io.Copy(io.Discard, alive)
		close(w.gone)
	}()
	return w.wait(ctx)
}

// watch is a guard at work. r is in memory: it is needed also when the
// journal is gone.
type watch struct {
	m    Machine
	e    *Entry
	r    recall
	log  io.Writer
	gone chan struct{} // closed when the applying process is gone, or done
}

// alone takes the guard's lock. Who looks whether a guard runs holds it for a
// moment.
func (w *watch) alone(ctx context.Context) (func(), error) {
	ctx, cancel := context.WithTimeout(ctx, guardStart/4)
	defer cancel()
	unlock, err := lock(ctx, w.e.path(guardLock))
	if err != nil {
		return nil, fail(Busy, "a guard for this change runs already", err)
	}
	return unlock, nil
}

func (w *watch) say(format string, args ...any) {
	fmt.Fprintf(w.log, "%s "+format+"\n", append([]any{w.m.Clock.Now().UTC().Format(time.RFC3339)}, args...)...)
}

func (w *watch) wait(ctx context.Context) error {
	w.say("guards change %s", w.e.ID)
	for {
		o := w.e.outcome()
		switch {
		case o == Confirmed:
			w.say("confirmed")
			return nil
		case o == "":
			w.say("the journal entry is gone")
			return w.insist(ctx, func(ctx context.Context) error { return w.r.run(ctx, w.m, true) })
		case o != Open:
			w.say("decided: %s", o)
			return w.finish(ctx)
		}
		if why := w.due(ctx); why != "" {
			w.say("%s", why)
			if _, _, err := w.e.decide(Open, Expired); err != nil {
				w.say("%v", err)
				return w.insist(ctx, func(ctx context.Context) error { return w.r.run(ctx, w.m, true) })
			}
			continue
		}
		w.m.Clock.Sleep(ctx, guardTick)
	}
}

// due says why the change is to be taken back now; "" when it is not.
func (w *watch) due(ctx context.Context) string {
	since, err := w.m.Clock.SinceBoot()
	switch p := w.e.pending(); {
	case err != nil:
		return "the clock cannot be read: " + err.Error()
	case ctx.Err() != nil:
		return "the guard was told to end"
	case p != nil && since >= p.Deadline:
		return "nobody confirmed in time"
	case p == nil && since >= w.e.Begun+w.e.Within+slack:
		return "applying took too long"
	case p == nil && w.left() && w.e.pending() == nil:
		return "the applying process is gone"
	}
	return ""
}

func (w *watch) left() bool {
	select {
	case <-w.gone:
		return true
	default:
		return false
	}
}

// finish waits for whoever decided to put back, and does it where he dies.
// When the journal is deleted meanwhile, only what this change loaded is taken
// back: there may be a later one by now.
func (w *watch) finish(ctx context.Context) error {
	return w.insist(ctx, func(ctx context.Context) error {
		err := w.e.restore(ctx, w.m)
		if err != nil && !w.e.has(entryFile) {
			w.say("the journal entry is gone")
			return w.r.still(ctx, w.m)
		}
		return err
	})
}

// insist tries again for a while: whoever holds a lock of the kernel's tables
// may let go.
func (w *watch) insist(ctx context.Context, fn func(context.Context) error) (err error) {
	ctx = context.WithoutCancel(ctx)
	for range retries {
		if err = fn(ctx); err == nil {
			w.say("all is as it was before")
			return nil
		}
		w.say("%v", err)
		w.m.Clock.Sleep(ctx, retryAfter)
	}
	return err
}
