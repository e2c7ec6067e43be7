package remedy

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
)

func (e *Entry) writePending(p pending) error {
	data, err := json.Marshal(p)
	if err != nil {
		return err
	}
	return replaceFile(e.path(pendingFile), data)
}

// restore puts back what was there before, whoever asks and however often.
// The caller has decided, or found decided, that it should be.
func (e *Entry) restore(ctx context.Context, m Machine) error {
	unlock, err := lock(ctx, e.path(entryLock))
	if err != nil {
		return fail(State, "the journal entry could not be locked", err)
	}
	defer unlock()
	if e.restored() {
		return nil
	}
	r, err := e.recall(m)
	if err != nil {
		return err
	}
	if err := r.run(ctx, m, e.here(m)); err != nil {
		return err
	}
	return as(State, "all was put back, which could not be written to the journal", e.markRestored())
}

// here reports that the kernel still runs that the change was made in.
func (e *Entry) here(m Machine) bool {
	boot, err := m.Clock.Boot()
	return err != nil || boot == e.Boot
}

// recall is all that putting back needs, in memory.
type recall []recalled

type recalled struct {
	name                   string
	backend                Backend
	before, normal, wanted []byte
}

// recall reads it from the journal.
func (e *Entry) recall(m Machine) (recall, error) {
	var out recall
	for _, s := range e.Steps {
		if s.Kind != "rules" {
			return nil, fail(State, "the journal has a step of kind "+s.Kind+", which this program does not know", nil)
		}
		b, err := backendNamed(s.Backend, m.Proc)
		if err != nil {
			return nil, err
		}
		r := recalled{backend: b, name: s.Backend}
		for _, f := range []struct {
			to   *[]byte
			name string
		}{{&r.before, s.Before}, {&r.normal, s.BeforeNormal}, {&r.wanted, s.WantNormal}} {
			if *f.to, err = e.file(f.name); err != nil {
				return nil, err
			}
		}
		out = append(out, r)
	}
	return out, nil
}

// run puts back every step, the last one first, and goes on after a failure.
func (r recall) run(ctx context.Context, m Machine, here bool) error {
	var errs []error
	for i := len(r) - 1; i >= 0; i-- {
		m.Step("restore " + r[i].name)
		errs = append(errs, r[i].run(ctx, m, here))
	}
	return errors.Join(errs...)
}

// still puts back the steps whose rules are loaded just as the change left
// them.
func (r recall) still(ctx context.Context, m Machine) error {
	var left recall
	for _, x := range r {
		now, err := x.backend.Read(ctx, m.Run)
		if err != nil {
			return err
		}
		if bytes.Equal(now.Normal, x.wanted) {
			left = append(left, x)
		}
	}
	return left.run(ctx, m, true)
}

func (r recalled) run(ctx context.Context, m Machine, here bool) error {
	now, err := r.backend.Read(ctx, m.Run)
	if err != nil {
		return err
	}
	before := r.before
	switch {
	case !here && (len(r.wanted) == 0 || !bytes.Equal(now.Normal, r.wanted)):
		return nil // the reboot has ended it
	case !here:
		before = nil // somebody loads it at boot: so was not what came before it
	case len(now.Normal) > 0 && bytes.Equal(now.Normal, r.normal):
		return nil
	}
	if err := r.backend.Put(ctx, m.Run, before, false); err != nil {
		return fail(NotRestored, r.name+" could not be put back", err)
	}
	if now, err = r.backend.Read(ctx, m.Run); err != nil {
		return err
	}
	if here && !bytes.Equal(now.Normal, r.normal) {
		return fail(NotRestored, fmt.Sprintf("%s was put back, and what is loaded now is not what was before", r.name), nil)
	}
	return nil
}

// overwritten reports which backends' rules are no longer those that the
// change loaded: somebody else changed ours since.
func (e *Entry) overwritten(ctx context.Context, m Machine) (names []string, err error) {
	r, err := e.recall(m)
	if err != nil {
		return nil, err
	}
	for _, x := range r {
		now, err := x.backend.Read(ctx, m.Run)
		if err != nil {
			return nil, err
		}
		if len(x.wanted) > 0 && !bytes.Equal(now.Normal, x.wanted) {
			names = append(names, x.name)
			_ = os.WriteFile(e.path(x.name+".overwritten"), now.Saved, 0o600)
		}
	}
	return names, nil
}
