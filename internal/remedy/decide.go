package remedy

import (
	"context"
	"errors"
	"os"
	"time"
)

// Decided is what Confirm and Undo did.
type Decided struct {
	ID      string
	Outcome Outcome
	Notes   []string
}

// Confirm keeps the change that waits to be confirmed.
func Confirm(ctx context.Context, stateDir string, m Machine) (*Decided, error) {
	m = m.filled()
	e, err := latest(stateDir, func(o Outcome) bool { return o == Open })
	if err != nil {
		return nil, err
	}
	if e == nil {
		return nil, nothingOpen(stateDir)
	}
	if err := e.mine(); err != nil {
		return nil, err
	}
	if e.pending() == nil {
		return nil, fail(Busy, "change "+e.ID+" is still being applied", nil).hint("confirm it when it says so")
	}
	if over, why := e.over(m); over {
		return nil, e.tooLate(ctx, m, why)
	}
	won, now, err := e.decide(Open, Confirmed)
	switch {
	case err != nil:
		return nil, err
	case !won:
		return nil, decidedOtherwise(e, now)
	}
	d := &Decided{ID: e.ID, Outcome: Confirmed}
	if names, err := e.overwritten(ctx, m); err == nil && len(names) > 0 {
		d.Notes = append(d.Notes, "what is loaded now is not what this change loaded: somebody changed it since")
	}
	return d, nil
}

// nothingOpen says what became of the last change instead.
func nothingOpen(stateDir string) error {
	last, err := latest(stateDir, func(o Outcome) bool { return o != "" })
	if err != nil {
		return err
	}
	if last == nil {
		return fail(Nothing, "there is no change to confirm", nil)
	}
	return decidedOtherwise(last, last.outcome())
}

func decidedOtherwise(e *Entry, o Outcome) error {
	text := map[Outcome]string{
		Confirmed: "is confirmed already",
		Undone:    "was undone",
		Expired:   "was not confirmed in time and was taken back",
		Faulty:    "failed and was taken back",
	}[o]
	reason := TooLate
	if o == Confirmed {
		reason = Nothing
	}
	return &Error{Reason: reason, Text: "change " + e.ID + " " + text, Outcome: o}
}

// over reports a change whose time has passed, or whose kernel is gone.
func (e *Entry) over(m Machine) (bool, string) {
	if !e.here(m) {
		return true, "the machine has been restarted since"
	}
	since, err := m.Clock.SinceBoot()
	p := e.pending()
	if err == nil && p != nil && since >= p.Deadline {
		return true, "nobody confirmed it in time"
	}
	return false, ""
}

// tooLate takes back what the guard should have, where there is none left.
func (e *Entry) tooLate(ctx context.Context, m Machine, why string) error {
	_, now, err := e.decide(Open, Expired)
	if err != nil {
		return err
	}
	if now == Confirmed {
		return decidedOtherwise(e, now)
	}
	if err := e.restore(ctx, m); err != nil {
		return fail(NotRestored, "change "+e.ID+" is over ("+why+") and could not be taken back", err).hint("portreeve rules undo tries again")
	}
	return decidedOtherwise(e, e.outcome())
}

// mine wants the user who made the change.
func (e *Entry) mine() error {
	if e.UID != os.Geteuid() {
		return fail(NoPrivilege, "change "+e.ID+" is another user's", nil)
	}
	return nil
}

// latest finds the newest entry whose outcome fits; nil without one.
func latest(stateDir string, fits func(Outcome) bool) (*Entry, error) {
	list, err := entries(stateDir)
	for i := len(list) - 1; i >= 0; i-- {
		if fits(list[i].outcome()) {
			return list[i], nil
		}
	}
	return nil, err
}

// Undo takes back the newest change that is in force, confirmed or not. What
// others changed meanwhile stays.
func Undo(ctx context.Context, stateDir string, m Machine) (*Decided, error) {
	m = m.filled()
	if err := privileged(); err != nil {
		return nil, err
	}
	unlock, err := lockState(ctx, stateDir)
	if err != nil {
		if errors.Is(err, os.ErrNotExist) {
			return nil, fail(Nothing, "there is no change to undo", nil)
		}
		return nil, err
	}
	defer unlock()
	if d, err := unfinished(ctx, stateDir, m); d != nil || err != nil {
		return d, err
	}
	e, err := latest(stateDir, func(o Outcome) bool { return o == Open || o == Confirmed })
	switch {
	case err != nil:
		return nil, err
	case e == nil:
		return nil, fail(Nothing, "there is no change to undo", nil)
	}
	return e.undo(ctx, m)
}

// unfinished takes back first what was decided and not done: a guard that was
// killed, a disk that failed.
func unfinished(ctx context.Context, stateDir string, m Machine) (*Decided, error) {
	list, err := entries(stateDir)
	if err != nil {
		return nil, err
	}
	for _, e := range list {
		o := e.outcome()
		if e.restored() || o == Open || o == Confirmed || o == "" || e.mine() != nil {
			continue
		}
		if err := e.restore(ctx, m); err != nil {
			return nil, err
		}
		return &Decided{ID: e.ID, Outcome: o, Notes: []string{"it had been decided before and was not done; it is now"}}, nil
	}
	return nil, nil
}

func (e *Entry) undo(ctx context.Context, m Machine) (*Decided, error) {
	if err := e.mine(); err != nil {
		return nil, err
	}
	d := &Decided{ID: e.ID}
	if names, err := e.overwritten(ctx, m); err == nil && len(names) > 0 && e.here(m) {
		d.Notes = append(d.Notes, "our rules were changed by somebody since; that is lost (kept in "+e.dir+")")
	}
	if !e.here(m) {
		d.Notes = append(d.Notes, "the machine has been restarted since: what was not loaded again is gone already")
	}
	won, from := false, Open
	for _, from = range []Outcome{Open, Confirmed} {
		var err error
		if won, d.Outcome, err = e.decide(from, Undone); err != nil {
			return nil, err
		}
		if won {
			break
		}
	}
	if err := e.restore(ctx, m); err != nil {
		return nil, fail(NotRestored, "change "+e.ID+" could not be taken back", err).hint("portreeve rules undo tries again")
	}
	if !won {
		return nil, decidedOtherwise(e, d.Outcome)
	}
	return d, nil
}

// Recover takes back changes whose time has passed while nobody looked after
// them, as every command on rules should before anything else. It says what it
// did.
func Recover(ctx context.Context, stateDir string, m Machine) (notes []string, err error) {
	m = m.filled()
	list, err := entries(stateDir)
	if err != nil || len(list) == 0 {
		return nil, err
	}
	unlock, err := lockState(ctx, stateDir)
	if err != nil {
		return nil, err
	}
	defer unlock()
	return recoverAll(ctx, m, list)
}

func recoverAll(ctx context.Context, m Machine, list []*Entry) (notes []string, err error) {
	for _, e := range list {
		if e.mine() != nil {
			continue
		}
		said, err := settleEntry(ctx, m, e)
		if err != nil {
			return notes, err
		}
		if said != "" {
			notes = append(notes, said)
		}
	}
	return notes, nil
}

// settleEntry finishes an entry that nobody looks after: decided and not
// done, or open beyond its time, or left by a process that died before a
// guard ran. It says what it did.
func settleEntry(ctx context.Context, m Machine, e *Entry) (string, error) {
	o := e.outcome()
	if o == Confirmed || o == "" || o != Open && e.restored() {
		return "", nil
	}
	if o == Open {
		if guarded(ctx, e) {
			return "", nil
		}
		over, _ := e.over(m)
		if !over && e.pending() != nil {
			return "", nil // it waits, without a guard: List says so
		}
		if _, _, err := e.decide(Open, Expired); err != nil {
			return "", err
		}
	}
	if err := e.restore(ctx, m); err != nil {
		return "", fail(NotRestored, "the earlier change "+e.ID+" is over and could not be taken back", err)
	}
	return "The earlier change " + e.ID + " was over, and was taken back now: its guard is gone.", nil
}

// guarded reports that a guard runs. Others who ask the same hold its lock for
// a moment.
func guarded(ctx context.Context, e *Entry) bool {
	short, cancel := context.WithTimeout(ctx, patience/10)
	defer cancel()
	unlock, err := lock(short, e.path(guardLock))
	if err == nil {
		unlock()
	}
	return errors.Is(err, context.DeadlineExceeded)
}

// Listed is an entry of the journal for people.
type Listed struct {
	ID       string
	Made     time.Time
	Backends []string
	Outcome  Outcome
	// Until is when it is taken back, while it is open and in force.
	Until time.Time
	// InForce: not taken back. Guarded: a guard watches it. Over: its time
	// has passed and it is still in force, because its guard is gone; the next
	// Apply, Confirm or Undo takes it back. Rebooted: the machine has been
	// restarted since.
	InForce, Guarded, Over, Rebooted bool
	Dir                              string
}

// List lists the journal, oldest first. It changes nothing.
func List(ctx context.Context, stateDir string, m Machine) ([]Listed, error) {
	m = m.filled()
	list, err := entries(stateDir)
	var out []Listed
	for _, e := range list {
		l := Listed{ID: e.ID, Made: e.Made, Outcome: e.outcome(), InForce: !e.restored(), Rebooted: !e.here(m), Dir: e.dir}
		for _, s := range e.Steps {
			l.Backends = append(l.Backends, s.Backend)
		}
		if l.Outcome == Open {
			l.Guarded = guarded(ctx, e)
			l.Over, _ = e.over(m)
			if p := e.pending(); p != nil {
				l.Until = p.Until
			}
		}
		out = append(out, l)
	}
	return out, err
}
