package event

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/portreeve/portreeve/internal/exposure"
)

const defaultInterval = 500 * time.Millisecond

// way is one source and how it is opened.
type way struct {
	name string
	open func(context.Context, Options) (source, []exposure.Gap, error)
}

func ways() []way {
	return []way{
		{SourceBPF, openTracing},
		{SourceDestroy, openDestroy},
		{SourceListing, openListing},
	}
}

func open(ctx context.Context, o Options) (*Stream, error) {
	if o.Interval <= 0 {
		o.Interval = defaultInterval
	}
	var gaps []exposure.Gap
	var failed error
	for _, w := range ways() {
		if o.Source != "" && o.Source != w.name {
			continue
		}
		src, more, err := w.open(ctx, o)
		if err == nil {
			return &Stream{source: src, gaps: append(gaps, more...)}, nil
		}
		if ctx.Err() != nil || !errors.Is(err, ErrUnavailable) {
			return nil, err
		}
		gaps = append(gaps, gap("listener events by %s: %v", w.name, err))
		failed = err
	}
	if failed == nil {
		return nil, fmt.Errorf("event: no source %q: use %s, %s, %s or none", o.Source, SourceBPF, SourceDestroy, SourceListing)
	}
	return nil, failed
}

func unavailable(what string, err error) error {
	return fmt.Errorf("%s: %w: %w", what, ErrUnavailable, err)
}

func gap(format string, args ...any) exposure.Gap {
	return exposure.Gap{View: "host", Why: fmt.Sprintf(format, args...)}
}
