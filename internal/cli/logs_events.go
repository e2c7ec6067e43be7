package cli

import (
	"context"
	"time"

	"github.com/portreeve/portreeve/internal/firewall/fwlog"
	"github.com/portreeve/portreeve/internal/report"
)

// eventTeller writes each event as it is read.
type eventTeller struct {
	run    *logRun
	source string // named where there are several
}

// tellEvents writes events line by line, or with --unparsed the lines that are
// none.
func tellEvents(ctx context.Context, s *streams, f *logFlags) error {
	r := &logRun{s: s, f: f}
	several := len(f.sources(s)) > 1
	err := r.each(ctx, func(ctx context.Context, src *logSource) (fwlog.Stats, error) {
		t := &eventTeller{run: r}
		if several {
			t.source = src.name
		}
		if f.follow {
			return t.follow(ctx, src)
		}
		return parallel(ctx, r, src, fwlog.Work[*[]byte]{
			New:  func() *[]byte { return new([]byte) },
			Take: func(buf *[]byte, line int64, kind fwlog.Kind, e *fwlog.Event) { t.append(buf, line, kind, e) },
			Done: t.write,
		})
	})
	if err != nil {
		return err
	}
	return r.conclude(nil)
}

// follow writes each line at once.
func (t *eventTeller) follow(ctx context.Context, src *logSource) (fwlog.Stats, error) {
	var buf []byte
	var bad error
	st, err := t.run.scan(ctx, src, func(line int64, kind fwlog.Kind, e *fwlog.Event) bool {
		if t.append(&buf, line, kind, e); len(buf) > 0 {
			bad = t.write(&buf)
		}
		return bad == nil
	})
	if bad != nil {
		return st, bad
	}
	return st, err
}

func (t *eventTeller) append(buf *[]byte, line int64, kind fwlog.Kind, e *fwlog.Event) {
	f := t.run.f
	switch {
	case f.unparsed && kind == fwlog.Unknown && f.json:
		*buf = report.AppendUnknownLog(*buf, uint64(line), t.source)
	case f.unparsed && kind == fwlog.Unknown:
		*buf = report.AppendUnknownText(*buf, uint64(line), t.source)
	case f.unparsed && !f.json || kind != fwlog.IsEvent || !f.wants(e):
	case f.json:
		*buf = report.AppendLogJSON(*buf, uint64(line), t.source, e)
	default:
		*buf = report.AppendLogLine(*buf, localStamp, e)
	}
}

func (t *eventTeller) write(buf *[]byte) error {
	t.run.mu.Lock()
	defer t.run.mu.Unlock()
	_, err := t.run.s.out.Write(*buf)
	*buf = (*buf)[:0]
	if err != nil {
		return writeError(err)
	}
	return nil
}

func localStamp(ns int64) string { return time.Unix(0, ns).Local().Format("2006-01-02 15:04:05") }
