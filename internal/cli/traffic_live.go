package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync/atomic"
	"time"

	"golang.org/x/term"

	"github.com/portreeve/portreeve/internal/traffic"
	"github.com/portreeve/portreeve/internal/traffic/capture/live"
	"github.com/portreeve/portreeve/internal/traffic/flow"
	"github.com/portreeve/portreeve/internal/tui"
)

// screen reports whether a full-screen view can be drawn: both ends are a
// terminal, and one that moves its cursor.
func (s *streams) screen() bool {
	out, ok := s.out.(*os.File)
	if !ok || !term.IsTerminal(int(out.Fd())) || os.Getenv("TERM") == "dumb" {
		return false
	}
	in, ok := s.in.(*os.File)
	return ok && term.IsTerminal(int(in.Fd()))
}

// liveTraffic shows the full-screen view until the person quits.
func liveTraffic(ctx context.Context, s *streams, f *trafficFlags) error {
	if len(f.ifaces) == 0 {
		f.ifaces = []string{live.Any}
	}
	sel, err := f.selection(ctx)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	table, err := f.listenersOf(ctx, s, true)
	if err != nil {
		return err
	}
	src, err := f.open(ctx, s, sel)
	if err != nil {
		return err
	}
	defer src.finish()
	feed := &flowFeed{sink: newFlowSink(s, f, table), src: src}
	counted := make(chan error, 1)
	go func() {
		counted <- traffic.Run(ctx, src.rings, feed.sink.ask(traffic.Options{Outer: f.tunnels == "outer", Thrifty: true}), feed.sink)
	}()
	go feed.watchEnd(counted)
	err = tui.Run(ctx, feed, f.screenOptions(s, feed))
	cancel()
	if err != nil && !errors.Is(err, context.Canceled) {
		return &exitError{code: exitUsage, err: fmt.Errorf("live view: %w", err), hint: "without it: portreeve traffic -i IFACE --by port --duration 30s"}
	}
	return nil
}

func (f *trafficFlags) screenOptions(s *streams, feed *flowFeed) tui.Options {
	owners := newFlowOwners()
	return tui.Options{
		In: s.in, Out: s.out, Environ: os.Environ(), Color: s.style(false).Color, ASCII: !utf8Locale(), Zone: time.Local,
		Title: "portreeve traffic", Filter: f.filterText, Owner: owners.of, Service: feed.sink.service,
	}
}

// utf8Locale is what the C library would find (locale(7)).
func utf8Locale() bool {
	for _, key := range []string{"LC_ALL", "LC_CTYPE", "LANG"} {
		if v := os.Getenv(key); v != "" {
			v = strings.ToLower(v)
			return strings.Contains(v, "utf-8") || strings.Contains(v, "utf8")
		}
	}
	return false
}

// flowFeed lets the view read the flows that are being counted.
type flowFeed struct {
	sink  *flowSink
	src   *source
	ended atomic.Pointer[error]
}

func (d *flowFeed) watchEnd(counted <-chan error) {
	if err := <-counted; err != nil {
		d.ended.Store(&err)
	}
}

// Read hands over the flows of now.
func (d *flowFeed) Read(visit func(*flow.Flow) bool) tui.Status {
	lost := d.src.stats()
	d.sink.mu.Lock()
	defer d.sink.mu.Unlock()
	d.sink.table.Each(visit)
	q := d.sink.table.Quality()
	st := tui.Status{
		Interfaces: d.sink.f.ifaces, Source: "packets", Since: d.src.begun, Packets: q.Packets, Bytes: q.Bytes,
		Dropped: lost.Dropped + lost.IfDropped, DropsKnown: lost.Known,
	}
	st.Grade = flow.Judge(q, lost)
	if err := d.ended.Load(); err != nil {
		st.Err = *err
	}
	return st
}
