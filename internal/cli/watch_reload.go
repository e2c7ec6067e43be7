package cli

import (
	"context"
	"reflect"
	"sync"
	"time"

	"github.com/portreeve/portreeve/internal/watch"
)

// helpers start what runs beside the loop; the returned function waits for
// their end.
func (w *watcher) helpers(ctx context.Context) func() {
	var all sync.WaitGroup
	all.Go(func() { w.reloads(ctx) })
	if w.history != nil {
		w.history.say, w.history.source = w.says.say, w.stream.Source()
		all.Go(func() { w.history.follow(ctx) })
	}
	if w.metrics != nil {
		all.Go(func() { w.metrics.serve(ctx, w.says.say) })
	}
	if w.usage != nil {
		all.Go(func() { w.usage.follow(ctx) })
	}
	return all.Wait
}

// reloads reads configuration and policy again at each SIGHUP.
func (w *watcher) reloads(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-w.manager.hup:
		}
		w.manager.reloading()
		do, err := w.reload(ctx)
		if err != nil {
			w.says.say("not reloaded, the old configuration stays: " + err.Error())
			w.manager.ready("the configuration could not be reloaded")
			continue
		}
		select {
		case w.control <- do:
		case <-ctx.Done():
			return
		}
		w.manager.ready("reloaded")
	}
}

// reload reads the files; the function that it gives puts them in force.
func (w *watcher) reload(ctx context.Context) (func(*watch.Engine), error) {
	c, err := w.readConfig()
	if err != nil {
		return nil, err
	}
	pol, err := w.readPolicy(ctx, c)
	if err != nil {
		return nil, err
	}
	return func(e *watch.Engine) {
		old := w.config
		w.judge.Policy, w.policy = pol, pol
		w.audits.setPolicy(pol)
		w.config = c
		e.Set(w.options(c), time.Now())
		w.newSinks(ctx, old)
		w.says.say("configuration and policy read again" + unchanged(old, c))
	}, nil
}

// unchanged names what a running watch does not change.
func unchanged(old, c *watch.Config) string {
	same := old.Listen == c.Listen && old.NetNS == c.NetNS && old.Baseline == c.Baseline &&
		reflect.DeepEqual(old.Schedule, c.Schedule) && reflect.DeepEqual(old.Traffic, c.Traffic)
	if same {
		return ""
	}
	return "; listen, netns, baseline, schedule and traffic change with a restart"
}

// newSinks closes the old sinks and opens the new; files are opened anew in any
// case. When the new cannot be opened the old ones are.
func (w *watcher) newSinks(ctx context.Context, old *watch.Config) {
	if reflect.DeepEqual(old.Sinks, w.config.Sinks) {
		w.sinks.Reopen()
		return
	}
	closing, stop := context.WithTimeout(context.WithoutCancel(ctx), sinksWithin)
	defer stop()
	if err := w.sinks.Close(closing); err != nil {
		w.says.say("end the old sinks: " + err.Error())
	}
	if err := w.openSinks(ctx); err == nil {
		return
	} else {
		w.says.say("the new sinks cannot be opened, the old ones stay: " + err.Error())
	}
	w.config.Sinks = old.Sinks
	if err := w.openSinks(ctx); err != nil {
		w.says.say("the old sinks cannot be opened again: nobody is told of findings: " + err.Error())
	}
}
