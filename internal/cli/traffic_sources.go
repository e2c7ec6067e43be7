package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/portreeve/portreeve/internal/exposure"
	"github.com/portreeve/portreeve/internal/traffic/capture"
	"github.com/portreeve/portreeve/internal/traffic/capture/file"
	"github.com/portreeve/portreeve/internal/traffic/capture/live"
)

// source is where a run's packets come from.
type source struct {
	rings []capture.Source
	live  bool
	name  string    // of a capture file
	close io.Closer // the file under a capture file
	begun time.Time
	// before are the losses of who counted before the rings.
	before capture.Stats
}

func (f *trafficFlags) open(ctx context.Context, s *streams, sel *selection) (*source, error) {
	if f.read != "" {
		return awaitCapture(ctx, s, f.read)
	}
	return f.listen(sel)
}

// awaitCapture opens a capture, or gives up when ctx ends: a pipe may have no
// writer, or one that writes nothing.
func awaitCapture(ctx context.Context, s *streams, name string) (*source, error) {
	type opened struct {
		src *source
		err error
	}
	done := make(chan opened, 1)
	go func() {
		src, err := openCapture(s, name)
		done <- opened{src, err}
	}()
	select {
	case o := <-done:
		return o.src, o.err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func openCapture(s *streams, name string) (*source, error) {
	in, err := openInput(s, name)
	if err != nil {
		return nil, usage("give a readable capture file", "open %s: %w", name, err)
	}
	src, err := file.Open(in)
	if err != nil {
		_ = in.Close()
		if errors.Is(err, capture.ErrCutOff) {
			return nil, &exitError{code: exitPartial, err: fmt.Errorf("read %s: %w", name, err), hint: "the file ends before its first packet"}
		}
		return nil, usage("portreeve reads pcap and pcapng, also gzip, zstd, bzip2 and xz of them", "read %s: %w", name, err)
	}
	return &source{rings: []capture.Source{src}, name: name, close: in, begun: time.Now()}, nil
}

// reads tells that a file is the one that is read: writing would empty it.
func (src *source) reads(name string) bool {
	in, err := os.Stat(src.name)
	if err != nil {
		return false
	}
	out, err := os.Stat(name)
	return err == nil && out.Mode().IsRegular() && os.SameFile(in, out)
}

func (f *trafficFlags) listen(sel *selection) (*source, error) {
	rings, err := live.Open(live.Options{Interfaces: f.ifaces, Promiscuous: !f.noPromisc, Filter: sel.kernelFilter()})
	if err != nil {
		return nil, listenError(err)
	}
	src := &source{live: true, begun: time.Now()}
	for _, r := range rings {
		src.rings = append(src.rings, r)
	}
	return src, nil
}

// listenError keeps what a refused filter says of itself.
func listenError(err error) error {
	var e *exitError
	if errors.As(err, &e) {
		return e
	}
	var le *live.Error
	if errors.As(err, &le) {
		hint := le.Hint
		bare := *le
		bare.Hint = ""
		return &exitError{code: exitUsage, err: &bare, hint: hint}
	}
	return &exitError{code: exitUsage, err: fmt.Errorf("listen: %w", err)}
}

// stats adds up what the sources know they lost.
func (src *source) stats() capture.Stats {
	sum := src.before
	for _, r := range src.rings {
		st := r.Stats()
		sum.Received += st.Received
		sum.Dropped += st.Dropped
		sum.IfDropped += st.IfDropped
		sum.Known = sum.Known || st.Known
	}
	return sum
}

func (src *source) finish() {
	if src.close != nil {
		_ = src.close.Close()
	}
}

// Interfaces are those of all rings, for a file that is written.
func (src *source) Interfaces() []capture.Interface {
	var out []capture.Interface
	for _, r := range src.rings {
		out = append(out, r.Interfaces()...)
	}
	return out
}

// gone tells that an interface went away or down while it was listened to.
func gone(err error) bool {
	var e *live.Error
	return errors.As(err, &e)
}

// incomplete turns the end of a run into gaps. What remains is an error that
// is none of the traffic's (a disk that is full, a refused filter).
func incomplete(err error) ([]exposure.Gap, error) {
	switch {
	case err == nil:
		return nil, nil
	case errors.Is(err, capture.ErrCutOff), errors.Is(err, capture.ErrDamaged), gone(err):
		return []exposure.Gap{{View: "traffic", Why: err.Error()}}, nil
	}
	return nil, err
}
