package closing

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/portreeve/portreeve/internal/exposure"
	"github.com/portreeve/portreeve/internal/remedy"
)

// Changed is the error of an undo that would overwrite what somebody else has
// changed since. Diffs say what, from what the closing left to what is there.
type Changed struct{ Diffs []Diff }

func (c *Changed) Error() string {
	var names []string
	for _, d := range c.Diffs {
		names = append(names, d.Path)
	}
	return "changed by somebody since the port was closed, so nothing was undone: " + strings.Join(names, ", ")
}

// UndoOptions say how Undo undoes.
type UndoOptions struct {
	StateDir string
	// ID names the closing; "" is the newest that is in force.
	ID string
	// Keep leaves what others changed since as it is, and undoes the rest.
	Keep bool

	Machine
}

// Undo undoes a closing. What others changed since is never overwritten: then
// the error wraps *Changed, and nothing was done.
func Undo(ctx context.Context, o UndoOptions) (*Result, error) {
	if err := supported(); err != nil {
		return nil, err
	}
	o.Machine = o.Machine.filled()
	if _, err := os.Stat(closingsDir(o.StateDir)); err != nil {
		return nil, fail(remedy.Nothing, "no port was closed here, so there is nothing to undo", nil)
	}
	unlock, err := lock(ctx, o.StateDir)
	if err != nil {
		return nil, err
	}
	defer unlock()
	cut, err := recoverAll(ctx, o.StateDir, o.Machine, true)
	if err != nil {
		return nil, err
	}
	if len(cut) > 0 && o.ID == "" {
		return o.cut(ctx, cut[len(cut)-1])
	}
	e, err := o.choose()
	if err != nil {
		return nil, err
	}
	return o.undo(ctx, e)
}

// cut looks whether what was taken back just now listens again.
func (o *UndoOptions) cut(ctx context.Context, x Result) (*Result, error) {
	x.Notes = append(x.Notes, "it had been cut off before it was complete; it is taken back now")
	e, err := readEntry(x.Dir)
	if err != nil {
		return nil, err
	}
	r := &run{Machine: o.Machine, dir: e.dir, id: e.ID, keep: true, notes: x.Notes}
	if err := e.opened(ctx, r); err != nil {
		return nil, err
	}
	x.Notes = r.notes
	return &x, nil
}

// choose finds the entry.
func (o *UndoOptions) choose() (*Entry, error) {
	list, err := entries(o.StateDir)
	var last *Entry
	for i := len(list) - 1; i >= 0; i-- {
		e := list[i]
		if o.ID != "" && e.ID != o.ID {
			continue
		}
		if last == nil {
			last = e
		}
		if e.outcome() == Applied {
			return e, nil
		}
		if o.ID != "" {
			break
		}
	}
	switch {
	case err != nil:
		return nil, err
	case last == nil && o.ID != "":
		return nil, hinted(fail(remedy.Nothing, "there is no closing "+o.ID, nil), "portreeve close list")
	case last == nil:
		return nil, fail(remedy.Nothing, "no port was closed here, so there is nothing to undo", nil)
	}
	return nil, fail(remedy.Nothing, fmt.Sprintf("there is nothing to undo: the last closing, %s of port %s, is %s already", last.ID, strings.Join(last.Ports, " "), last.outcome()), nil)
}

func (o *UndoOptions) undo(ctx context.Context, e *Entry) (*Result, error) {
	if e.UID != os.Geteuid() {
		return nil, fail(remedy.NoPrivilege, "closing "+e.ID+" is another user's", nil)
	}
	r := &run{Machine: o.Machine, dir: e.dir, id: e.ID, keep: o.Keep}
	diffs, err := e.changed(ctx, r)
	if err != nil {
		return nil, err
	}
	if len(diffs) > 0 && !o.Keep {
		x := fail(remedy.Changed, "closing "+e.ID, &Changed{diffs})
		return nil, hinted(x, "look at the difference; then either put the file as the closing left it, or let the change stand and undo the rest:\n  portreeve close undo --keep-changes\nthe files as they were before the closing are in "+e.dir+"/backup")
	}
	for _, d := range diffs {
		r.note(leftAlone(d.Path))
	}
	r.kept = len(diffs) > 0
	taken := e.taken(ctx, r)
	r.Step("undoing")
	if err := e.become(Applied, Undoing); err != nil {
		return nil, err
	}
	if err := e.back(context.WithoutCancel(ctx), r, Undoing, Undone); err != nil {
		return nil, hinted(fail(remedy.NotRestored, "closing "+e.ID+" could not be undone completely", err), taken+"portreeve close undo tries again; what was there before is in "+e.dir)
	}
	if err := e.opened(ctx, r); err != nil {
		return nil, err
	}
	return &Result{ID: e.ID, Ports: e.Ports, Outcome: Undone, Notes: r.notes, Dir: e.dir}, nil
}

// opened waits until everything listens again that did before.
func (e *Entry) opened(ctx context.Context, r *run) error {
	var missing []string
	m := r.Machine
	if len(r.lost) > 0 || r.kept {
		m = quick(m)
	}
	ok := wait(ctx, m, func() bool {
		snap, err := r.Look(ctx)
		missing = nil
		for _, was := range e.Was {
			if !slices.ContainsFunc(snap.Sockets, func(s exposure.Socket) bool { return s.IsListener() && s.Endpoint().String() == was }) {
				missing = append(missing, was)
			}
		}
		return err == nil && len(missing) == 0
	})
	if ok || len(missing) == 0 {
		return nil
	}
	if r.kept {
		r.note("nothing listens on " + strings.Join(missing, ", ") + " as it did before the closing: look whether the change that stays wants it so")
		return nil
	}
	hint := "see the server's own log; the journal is in " + e.dir
	if len(r.notes) > 0 {
		hint = strings.Join(r.notes, "\n") + "\n" + hint
	}
	return hinted(fail(remedy.NotRestored, fmt.Sprintf("closing %s was undone, and yet nothing listens on %s", e.ID, strings.Join(missing, ", ")), nil), hint)
}

// leftAlone is what is said of a file that somebody else has changed.
func leftAlone(path string) string {
	return path + " was changed by somebody since and is left as it is"
}

// taken says, before anything is undone, who has ports by now that are to be
// open again, a line each: two cannot have one.
func (e *Entry) taken(ctx context.Context, r *run) string {
	snap, err := r.Look(ctx)
	if err != nil {
		return ""
	}
	var out strings.Builder
	for i := range snap.Sockets {
		if s := &snap.Sockets[i]; s.IsListener() && slices.Contains(e.Was, s.Endpoint().String()) {
			fmt.Fprintf(&out, "%s is held now by %s\n", s.Endpoint(), ownerText(s))
		}
	}
	return out.String()
}

func (e *Entry) changed(ctx context.Context, r *run) (out []Diff, err error) {
	for i := range e.Steps {
		d, err := e.Steps[i].doer().changed(ctx, r)
		if err != nil {
			return nil, err
		}
		out = append(out, d...)
	}
	return out, nil
}

// Listed is an entry of the journal for people.
type Listed struct {
	ID      string    `json:"id"`
	Made    time.Time `json:"made"`
	Ports   []string  `json:"ports"`
	Outcome Outcome   `json:"outcome"`
	// Steps are what was done, with how far each one is.
	Steps []ListedStep `json:"steps"`
	Dir   string       `json:"dir"`
}

// ListedStep is a step for people.
type ListedStep struct {
	What  string   `json:"what"`
	State State    `json:"state"`
	Undo  []string `json:"undo"`
}

// List lists the journal, oldest first. It changes nothing.
func List(state string) ([]Listed, error) {
	list, err := entries(state)
	if os.IsPermission(errors.Unwrap(err)) {
		return nil, err
	}
	out := []Listed{}
	for _, e := range list {
		l := Listed{ID: e.ID, Made: e.Made, Ports: e.Ports, Outcome: e.outcome(), Dir: e.dir, Steps: []ListedStep{}}
		for i := range e.Steps {
			l.Steps = append(l.Steps, ListedStep{What: e.Steps[i].What, State: e.state(i), Undo: e.Steps[i].Undo})
		}
		out = append(out, l)
	}
	return out, err
}
