package closing

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/portreeve/portreeve/internal/remedy"
)

// Result is what Apply, Undo and Recover did.
type Result struct {
	ID      string
	Ports   []string
	Outcome Outcome
	Notes   []string
	Dir     string
}

// lockTime is how long another closing is waited for.
const lockTime = time.Second

func lock(ctx context.Context, state string) (func(), error) {
	short, cancel := context.WithTimeout(ctx, lockTime)
	defer cancel()
	unlock, err := remedy.Lock(short, filepath.Join(state, "closings.lock"))
	switch {
	case err != nil && ctx.Err() == nil && short.Err() != nil:
		return nil, hinted(fail(remedy.Busy, "another process is closing ports, or undoing it, at this moment", nil), "try again when it is done")
	case err != nil:
		return nil, fail(remedy.State, "the journal could not be locked", err)
	}
	return unlock, nil
}

// Apply carries the plan out, or changes nothing. Without an error every port
// is closed and was seen to be.
func (p *Plan) Apply(ctx context.Context) (*Result, error) {
	if err := p.Err(); err != nil {
		return nil, err
	}
	if len(p.Steps) == 0 {
		return nil, hinted(fail(remedy.Invalid, "there is nothing that this program would do by itself", nil), "do what the plan says, or keep strangers out with --how firewall")
	}
	if c := slices.IndexFunc(p.Closures, func(c Closure) bool { return c.How == Manual }); c >= 0 {
		return nil, hinted(fail(remedy.Invalid, fmt.Sprintf("port %s needs a person (%s); several ports are closed all or none, so nothing was changed", p.Closures[c].Port, p.Closures[c].Why), nil), "keep strangers out with --how firewall")
	}
	if err := private(p.o.StateDir, closingsDir(p.o.StateDir)); err != nil {
		return nil, fail(remedy.State, "the folder for the journal could not be made, so nothing was changed", err)
	}
	unlock, err := lock(ctx, p.o.StateDir)
	if err != nil {
		return nil, err
	}
	defer unlock()
	before, err := recoverAll(ctx, p.o.StateDir, p.o.Machine, false)
	if err != nil {
		return nil, err
	}
	if len(before) > 0 {
		return nil, hinted(fail(remedy.Changed, "an earlier closing had been cut off and was taken back just now ("+before[0].ID+"): this plan was made before that, so nothing else was changed", nil), "run it again")
	}
	e, err := p.record()
	if err != nil {
		return nil, err
	}
	return p.carryOut(ctx, e)
}

// record writes the entry.
func (p *Plan) record() (*Entry, error) {
	p.o.Step("record")
	now := p.o.Clock.Now().UTC()
	e := &Entry{Schema: Schema, ID: newID(now), Made: now, UID: os.Geteuid(), Steps: p.Steps}
	for _, c := range p.Closures {
		e.Ports = append(e.Ports, c.Port.String())
	}
	for _, x := range p.shut() {
		if !p.walled(x) {
			e.Was = append(e.Was, x.Endpoint().String())
		}
	}
	if err := makeEntry(p.o.StateDir, e, p.text()); err != nil {
		return nil, hinted(fail(remedy.State, "the journal could not be written, so nothing was changed", err), "look for space and rights in "+p.o.StateDir)
	}
	return e, nil
}

// text is the plan as the journal keeps it, for people.
func (p *Plan) text() []byte {
	var b bytes.Buffer
	for _, s := range p.Steps {
		fmt.Fprintf(&b, "%s\n", s.What)
		for _, c := range s.Commands {
			fmt.Fprintf(&b, "    %s\n", c)
		}
		fmt.Fprintf(&b, "  back:\n")
		for _, c := range s.Undo {
			fmt.Fprintf(&b, "    %s\n", c)
		}
	}
	return b.Bytes()
}

// carryOut does every step and verifies; on failure it takes all back.
func (p *Plan) carryOut(ctx context.Context, e *Entry) (*Result, error) {
	r := &run{Machine: p.o.Machine, dir: e.dir, id: e.ID}
	err := p.all(ctx, e, r)
	if err == nil {
		r.Step("applied")
		err = e.become(Open, Applied)
	}
	if err == nil {
		return &Result{ID: e.ID, Ports: e.Ports, Outcome: Applied, Notes: r.notes, Dir: e.dir}, nil
	}
	if ctx.Err() != nil { // whatever did not come about for that reason
		err = fail(remedy.Failed, "interrupted while port "+strings.Join(e.Ports, ", ")+" was being closed", nil)
	}
	return nil, p.takeBack(context.WithoutCancel(ctx), e, r, err)
}

func (p *Plan) all(ctx context.Context, e *Entry, r *run) error {
	for i := range e.Steps {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		r.Step(fmt.Sprintf("begin %d", i))
		if err := e.move(i, Begun); err != nil {
			return err
		}
		if err := e.Steps[i].doer().do(ctx, r); err != nil {
			return err
		}
		r.Step(fmt.Sprintf("done %d", i))
		if err := e.move(i, Done); err != nil {
			return err
		}
	}
	return p.verify(ctx, r)
}

// takeBack undoes what was begun, and says so with the reason.
func (p *Plan) takeBack(ctx context.Context, e *Entry, r *run, why error) error {
	r.Step("take back")
	if err := e.back(ctx, r, Open, Failed); err != nil {
		return hinted(fail(remedy.NotRestored, "closing failed ("+why.Error()+"), and not everything could be taken back", err), "portreeve close undo tries again; what was there before is in "+e.dir)
	}
	if len(r.lost) > 0 {
		return hinted(fail(remedy.NotRestored, "closing failed, and not everything could be taken back", why), strings.Join(r.lost, "\n"))
	}
	var x *remedy.Error
	if !errors.As(why, &x) {
		x = fail(remedy.Failed, "closing failed", why)
	}
	out := *x
	out.Text += "; everything was taken back"
	return &out
}

// back undoes every step that was begun, the last one first. One that cannot
// be undone does not keep the others from it.
func (e *Entry) back(ctx context.Context, r *run, from, to Outcome) error {
	var errs []error
	for i := range slices.Backward(e.Steps) {
		if s := e.state(i); s != Begun && s != Done {
			continue
		}
		r.Step(fmt.Sprintf("undo %d", i))
		if err := e.Steps[i].doer().undo(ctx, r); err != nil {
			errs = append(errs, err)
			continue
		}
		if err := e.move(i, Back); err != nil {
			errs = append(errs, err)
		}
	}
	if err := errors.Join(errs...); err != nil {
		return err
	}
	r.Step("undone")
	return e.become(from, to)
}

// recoverAll takes back what a dead process left: the lock is held, so whoever
// had an entry open is gone.
// An undo that cannot be completed blocks nothing but the next undo (strict).
func recoverAll(ctx context.Context, state string, m Machine, strict bool) (out []Result, err error) {
	list, err := entries(state)
	for _, e := range list {
		o := e.outcome()
		if o != Open && o != Undoing {
			continue
		}
		if e.UID != os.Geteuid() {
			return out, fail(remedy.NoPrivilege, "closing "+e.ID+" was cut off, and is another user's to take back", nil)
		}
		to := Failed
		if o == Undoing {
			to = Undone
		}
		r := &run{Machine: m, dir: e.dir, id: e.ID, keep: true}
		if err := e.back(ctx, r, o, to); err != nil {
			if o == Undoing && !strict {
				continue
			}
			return out, hinted(fail(remedy.NotRestored, "closing "+e.ID+" was cut off, and could not be taken back", err), "what was there before is in "+e.dir)
		}
		out = append(out, Result{ID: e.ID, Ports: e.Ports, Outcome: to, Notes: r.notes, Dir: e.dir})
	}
	return out, err
}

// Recover takes back what a process left that died while it closed or undid.
func Recover(ctx context.Context, state string, m Machine) ([]Result, error) {
	if supported() != nil {
		return nil, nil
	}
	if _, err := os.Stat(closingsDir(state)); errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	unlock, err := lock(ctx, state)
	if err != nil {
		return nil, err
	}
	defer unlock()
	return recoverAll(ctx, state, m.filled(), false)
}
