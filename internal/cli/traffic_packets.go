package cli

import (
	"context"
	"errors"
	"io"
	"os"

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
	src, err := f.open(s, sel)
	if err != nil {
		return err
	}
	defer src.finish()
	t, err := newTeller(s, f, src, table)
	if err != nil {
		return err
	}
	runCtx, cancel := f.until(ctx)
	defer cancel()
	o := traffic.Options{Outer: f.tunnels == "outer", Count: f.count}
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
		t.lines = newLineSink(s.out, f, src.live)
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
		return t.files.close()
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

// fileSink writes packets to a capture file.
type fileSink struct {
	w   *file.Writer
	out io.Closer
}

func newFileSink(s *streams, name string, src *source) (*fileSink, error) {
	out := io.WriteCloser(nopCloser{s.out})
	if name != "-" {
		f, err := os.Create(name)
		if err != nil {
			return nil, usage("give a file that can be written", "write packets: %w", err)
		}
		out = f
	}
	return &fileSink{w: file.NewWriter(out, file.Options{From: src}), out: out}, nil
}

type nopCloser struct{ io.Writer }

func (nopCloser) Close() error { return nil }

func (w *fileSink) Take(items traffic.Items) error {
	for i := range items.Captured {
		if err := w.w.Write(&items.Captured[i]); err != nil {
			return writeError(err)
		}
	}
	return nil
}

func (w *fileSink) close() error {
	err := w.w.Flush()
	if closed := w.out.Close(); err == nil {
		err = closed
	}
	if err != nil {
		return writeError(err)
	}
	return nil
}
