package remedy

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"
)

// Applied is a change in force that waits to be confirmed.
type Applied struct {
	ID    string
	Until time.Time // then it is taken back
	Notes []string
}

// slack is how long loading and verifying may take, besides the time to
// confirm, before the guard takes everything back.
const slack = 2 * time.Minute

// Apply makes the change, or changes nothing. When it gives no error the rules
// are loaded, were verified, and a guard waits to take them back.
func (p *Plan) Apply(ctx context.Context) (*Applied, error) {
	if err := makeStateDir(p.o.StateDir); err != nil {
		return nil, fail(State, "the folder for the journal could not be made, so nothing was applied", err)
	}
	unlock, err := lockState(ctx, p.o.StateDir)
	if err != nil {
		return nil, err
	}
	defer unlock()
	a := &apply{p: p, m: p.o.Machine}
	notes, err := a.clear(ctx)
	if err != nil {
		return nil, err
	}
	if err := a.unchanged(ctx); err != nil {
		return nil, err
	}
	if err := a.record(ctx); err != nil {
		return nil, err
	}
	g, err := a.guard(ctx)
	if err != nil {
		return nil, a.nothing(err)
	}
	defer g.release()
	until, err := a.load(ctx)
	if err != nil {
		return nil, a.takeBack(context.WithoutCancel(ctx), err)
	}
	return &Applied{ID: a.e.ID, Until: until, Notes: notes}, nil
}

// patience is how long a lock is waited for that somebody may hold for a
// moment.
const patience = time.Second

// lockState keeps other changes away.
func lockState(ctx context.Context, state string) (func(), error) {
	short, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	unlock, err := lock(short, filepath.Join(state, "changes.lock"))
	switch {
	case err != nil && ctx.Err() == nil && short.Err() != nil:
		return nil, fail(Busy, "another process is changing the rules", err).hint("try again when it is done")
	case err != nil:
		return nil, fail(State, "the journal could not be locked", err)
	}
	return unlock, nil
}

// apply is one Apply under way.
type apply struct {
	p *Plan
	m Machine
	e *Entry
}

// clear finishes what earlier changes left, and refuses while one is open.
func (a *apply) clear(ctx context.Context) (notes []string, err error) {
	list, err := entries(a.p.o.StateDir)
	if err != nil {
		return nil, err
	}
	if notes, err = recoverAll(ctx, a.m, list); err != nil {
		return nil, err
	}
	for _, e := range list {
		if e.outcome() == Open {
			return nil, &Error{Reason: Busy, Text: "change " + e.ID + " waits to be confirmed", Hint: "portreeve rules confirm keeps it, portreeve rules undo takes it back", Outcome: Open}
		}
	}
	return notes, nil
}

// unchanged wants the rules, and the sessions, to be as the plan found them.
func (a *apply) unchanged(ctx context.Context) error {
	a.m.Step("compare")
	for i := range a.p.Parts {
		x := &a.p.Parts[i]
		now, err := x.backend.Read(ctx, a.m.Run)
		if err != nil {
			return err
		}
		if !bytes.Equal(now.Normal, x.before.Normal) {
			return fail(Changed, "our rules of "+x.Backend+" have changed since the plan was made, so nothing was applied", nil).hint("make the plan again")
		}
		x.before = now // with the counters of this moment
	}
	h, err := thisHost(ctx)
	if err != nil {
		return err
	}
	return a.p.protect(ctx, h, a.p.then())
}

// record writes the entry.
func (a *apply) record(ctx context.Context) error {
	a.m.Step("record")
	backup, err := backups(ctx, a.m)
	if err != nil {
		return err
	}
	begun, err := a.m.Clock.SinceBoot()
	if err != nil {
		return fail(Unsupported, "the clock since boot could not be read", err)
	}
	boot, err := a.m.Clock.Boot()
	if err != nil {
		return fail(Unsupported, "this run of the kernel has no name", err)
	}
	made := a.m.Clock.Now().UTC()
	a.e = &Entry{Schema: Schema, ID: made.Format("20060102T150405.000Z") + "-" + random(), Made: made, UID: os.Geteuid(),
		Boot: boot, Begun: begun, Within: a.p.o.Within}
	files := map[string][]byte{"plan.txt": a.p.text()}
	for name, data := range backup {
		name = filepath.Join("backup", name)
		files[name] = data
		a.e.Backup = append(a.e.Backup, name)
	}
	for i, x := range a.p.Parts {
		a.e.Steps = append(a.e.Steps, step(i, x, files))
	}
	if err := makeEntry(a.p.o.StateDir, a.e, files); err != nil {
		return fail(State, "the journal could not be written, so nothing was applied", err).hint("look for space and rights in " + a.p.o.StateDir)
	}
	return nil
}

func random() string {
	b := make([]byte, 3)
	_, _ = rand.Read(b) // never fails (crypto/rand)
	return hex.EncodeToString(b)
}

// step gives a part's step, and its files.
func step(i int, x Part, files map[string][]byte) Step {
	name := func(what string) string { return fmt.Sprintf("%d.%s", i, what) }
	s := Step{Kind: "rules", Backend: x.Backend, Before: name("before"), Want: name("want"), BeforeNormal: name("before.normal"), WantNormal: name("want.normal")}
	files[s.Before], files[s.Want], files[s.BeforeNormal] = x.before.Saved, x.want, x.before.Normal
	files[s.WantNormal] = x.then.Normal
	if x.Untried != "" {
		files[s.WantNormal] = nil
	}
	return s
}

// text is the plan as the journal keeps it.
func (p *Plan) text() []byte {
	var b bytes.Buffer
	for _, x := range p.Parts {
		fmt.Fprintf(&b, "%s\n", x.Backend)
		for _, l := range x.Diff {
			fmt.Fprintf(&b, "%c %s\n", l.Op, l.Text)
		}
	}
	for _, n := range p.Notes {
		fmt.Fprintf(&b, "%s\n", n)
	}
	return b.Bytes()
}

// load loads every part, verifies, and starts the time to confirm.
func (a *apply) load(ctx context.Context) (time.Time, error) {
	for i := range a.p.Parts {
		x := &a.p.Parts[i]
		a.m.Step("load " + x.Backend)
		if err := x.backend.Put(ctx, a.m.Run, x.want, false); err != nil {
			return time.Time{}, err
		}
	}
	a.m.Step("verify")
	if err := a.verify(ctx); err != nil {
		return time.Time{}, err
	}
	a.m.Step("open")
	return a.open()
}

// verify asks what is really loaded, and the caller.
func (a *apply) verify(ctx context.Context) error {
	var loaded []*Present
	for i := range a.p.Parts {
		x := &a.p.Parts[i]
		now, err := x.backend.Read(ctx, a.m.Run)
		if err != nil {
			return err
		}
		if len(now.Normal) == 0 || x.Untried == "" && !bytes.Equal(now.Normal, x.then.Normal) {
			return fail(Unverified, "what is loaded by "+x.Backend+" is not what was to be loaded", nil)
		}
		loaded = append(loaded, now)
	}
	h, err := thisHost(ctx)
	if err != nil {
		return err
	}
	if err := a.p.keep(h, loaded); err != nil {
		return err
	}
	if a.p.o.Verify == nil {
		return nil
	}
	return as(Unverified, "the check after loading failed", a.p.o.Verify(ctx))
}

// open writes the deadline: from here on the guard waits.
func (a *apply) open() (time.Time, error) {
	since, err := a.m.Clock.SinceBoot()
	if err != nil {
		return time.Time{}, fail(State, "the clock since boot could not be read", err)
	}
	p := pending{Deadline: since + a.e.Within, Until: a.m.Clock.Now().UTC().Add(a.e.Within)}
	if a.e.outcome() != Open {
		return time.Time{}, fail(TooLate, "the guard took the change back, it took too long to apply", nil)
	}
	return p.Until, as(State, "the deadline could not be written to the journal", a.e.writePending(p))
}

// nothing ends an entry before anything was loaded.
func (a *apply) nothing(why error) error {
	if _, _, err := a.e.decide(Open, Faulty); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return errors.Join(why, err)
	}
	return errors.Join(why, a.e.markRestored())
}

// takeBack undoes what was loaded so far. The guard may have been faster.
func (a *apply) takeBack(ctx context.Context, why error) error {
	a.m.Step("take back")
	won, _, err := a.e.decide(Open, Faulty)
	if err != nil {
		return errors.Join(why, err)
	}
	if err := a.e.restore(ctx, a.m); err != nil {
		return fail(NotRestored, "the change failed and could not be taken back: "+why.Error(), err).hint("portreeve rules undo tries again")
	}
	return failed(why, won)
}

// failed tells that everything is as it was.
func failed(why error, won bool) error {
	var e *Error
	if !errors.As(why, &e) {
		e = fail(Failed, "the change failed", why)
	}
	by := "all was put back"
	if !won {
		by = "the guard put all back"
	}
	out := *e
	out.Text, out.Outcome = e.Text+"; "+by, Faulty
	return &out
}
