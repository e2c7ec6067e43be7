package cli

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"runtime"

	"github.com/portreeve/portreeve/internal/exposure"
	"github.com/portreeve/portreeve/internal/traffic"
	"github.com/portreeve/portreeve/internal/traffic/capture/file"
)

// packetTraffic reads every packet, of a file or live, and tells what was
// asked for.
func packetTraffic(ctx context.Context, s *streams, f *trafficFlags, sel *selection) error {
	table, err := f.listenersOf(ctx, s, f.read == "")
	if err != nil {
		return err
	}
	src, err := f.open(ctx, s, sel)
	if err != nil {
		return err
	}
	defer src.finish()
	if src.live && len(src.rings) == 1 {
		defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(oneReader))
	}
	t, err := newTeller(s, f, src, table)
	if err != nil {
		return err
	}
	runCtx, cancel := f.until(ctx)
	defer cancel()
	o := traffic.Options{Outer: f.tunnels == "outer", Count: f.count, Thrifty: src.live}
	if !src.live {
		o.Matcher = sel.matcher()
	}
	if t.flows != nil {
		o = t.flows.ask(o)
	}
	gaps, err := incomplete(traffic.Run(runCtx, src.rings, o, t))
	if err != nil {
		return errors.Join(err, t.abandon())
	}
	return s.finish(t.tell(gaps), gaps)
}

// oneReader is for how many goroutines there is work when one ring is read:
// more processors would only look for some at each wake-up, which cost five in
// a hundred.
const oneReader = 1

// until ends a run at its duration.
func (f *trafficFlags) until(ctx context.Context) (context.Context, context.CancelFunc) {
	if f.duration == 0 {
		return context.WithCancel(ctx)
	}
	return context.WithTimeout(ctx, f.duration)
}

// teller takes a run's packets and tells at its end what was seen.
type teller struct {
	s     *streams
	f     *trafficFlags
	src   *source
	lines *lineSink
	files *fileSink
	flows *flowSink
}

func newTeller(s *streams, f *trafficFlags, src *source, table *listenTable) (*teller, error) {
	t := &teller{s: s, f: f, src: src}
	if f.write != "" {
		var err error
		if t.files, err = newFileSink(s, f.write, src); err != nil {
			return nil, err
		}
	}
	switch {
	case f.write == "-":
	case f.by == byPacket:
		t.lines = newLineSink(s.out, f, src.live || f.read == "-")
	default:
		t.flows = newFlowSink(s, f, table)
	}
	return t, nil
}

func (t *teller) Take(items traffic.Items) error {
	if t.files != nil {
		if err := t.files.Take(items); err != nil {
			return err
		}
	}
	if t.lines != nil {
		return t.lines.Take(items)
	}
	if t.flows != nil {
		return t.flows.Take(items)
	}
	return nil
}

// abandon closes what was begun when a run failed.
func (t *teller) abandon() error {
	if t.files != nil {
		return t.files.abandon()
	}
	return nil
}

// tell prints the rest. The error is of writing.
func (t *teller) tell(gaps []exposure.Gap) error {
	if t.files != nil {
		if err := t.files.close(); err != nil {
			return err
		}
	}
	if t.lines != nil {
		return t.lines.flush()
	}
	if t.flows == nil {
		return nil
	}
	return t.flows.tell(t.s, t.src, gaps)
}

// fileSink writes packets to a capture file. What was in the file stays there
// until the first packet comes or the run ends well: a run that is refused
// changes nothing.
type fileSink struct {
	w     *file.Writer
	out   io.WriteCloser
	begun bool
	fresh string // the file's name, where there was none before
}

func newFileSink(s *streams, name string, src *source) (*fileSink, error) {
	k := &fileSink{out: nopCloser{s.out}}
	if name != "-" {
		if src.reads(name) {
			return nil, usage("give another file", "write packets: %s is the capture that is read", name)
		}
		if _, err := os.Lstat(name); errors.Is(err, fs.ErrNotExist) {
			k.fresh = name
		}
		f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE, 0o666)
		if err != nil {
			return nil, usage("give a file that can be written", "write packets: %w", err)
		}
		k.out = f
	}
	k.w = file.NewWriter(k.out, file.Options{From: src})
	return k, nil
}

type nopCloser struct{ io.Writer }

func (nopCloser) Close() error { return nil }

// begin empties the file.
func (w *fileSink) begin() error {
	if w.begun {
		return nil
	}
	w.begun = true
	f, ok := w.out.(*os.File)
	if !ok {
		return nil
	}
	if st, err := f.Stat(); err != nil || !st.Mode().IsRegular() {
		return err
	}
	return f.Truncate(0)
}

func (w *fileSink) Take(items traffic.Items) error {
	if err := w.begin(); err != nil {
		return writeError(err)
	}
	for i := range items.Captured {
		if err := w.w.Write(&items.Captured[i]); err != nil {
			return writeError(err)
		}
	}
	return nil
}

func (w *fileSink) close() error {
	err := w.begin()
	if err == nil {
		err = w.w.Flush()
	}
	if closed := w.out.Close(); err == nil {
		err = closed
	}
	if err != nil {
		return writeError(err)
	}
	return nil
}

// abandon ends a run that failed: what was written stays, a file in which
// nothing was written is as it was before.
func (w *fileSink) abandon() error {
	if w.begun {
		return w.close()
	}
	err := w.out.Close()
	if w.fresh != "" {
		err = errors.Join(err, os.Remove(w.fresh))
	}
	if err != nil {
		return writeError(err)
	}
	return nil
}
