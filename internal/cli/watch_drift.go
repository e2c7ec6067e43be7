package cli

import (
	"context"
	"errors"
	"path/filepath"
	"slices"

	"github.com/portreeve/portreeve/internal/exposure"
	"github.com/portreeve/portreeve/internal/history"
	"github.com/portreeve/portreeve/internal/history/drift"
	"github.com/portreeve/portreeve/internal/watch"
)

// readBaseline reads the named baseline; nil without a name.
func (w *watcher) readBaseline(ctx context.Context) ([]exposure.Socket, error) {
	name := orName(w.f.baseline, w.config.Baseline)
	if name == "" {
		return nil, nil
	}
	dir, err := stateDir()
	if err != nil {
		return nil, err
	}
	store, err := history.Open(ctx, filepath.Join(dir, history.FileName), history.Options{ReadOnly: true})
	if err != nil {
		return nil, baselineError(name, err)
	}
	defer store.Close()
	_, snap, err := store.Snapshot(ctx, name)
	if err != nil {
		return nil, baselineError(name, err)
	}
	w.before = snap
	out := slices.DeleteFunc(slices.Clone(snap.Sockets), func(s exposure.Socket) bool { return !s.IsListener() })
	if out == nil {
		out = []exposure.Socket{}
	}
	return out, nil
}

func baselineError(name string, err error) error {
	hint := "see the baselines with: portreeve baseline list"
	if errors.Is(err, history.ErrNone) {
		hint = "save one first: portreeve baseline save --name " + name
	}
	return usage(hint, "baseline %s: %w", name, err)
}

// drift tells what changed since the baseline.
func (w *watcher) drift(now *exposure.Snapshot) error {
	if w.before == nil {
		return nil
	}
	res := drift.Compare(w.before, &drift.Snapshot{Snapshot: *now, View: w.view})
	for _, g := range res.Gaps {
		w.says.say("the baseline and now cannot be compared in full: " + g.Why)
	}
	for i := range res.Changes {
		if err := w.paper.print(&watch.Told{Change: res.Changes[i], Source: "baseline", Host: hostname()}); err != nil {
			return err
		}
	}
	return nil
}
