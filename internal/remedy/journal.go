package remedy

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// Schema is what entry.json begins with.
const Schema = "portreeve.change/1"

// Outcome is what was decided about a change.
type Outcome string

// Outcomes. Open is none yet: the change is being applied, or waits to be
// confirmed.
const (
	Open      Outcome = "open"
	Confirmed Outcome = "confirmed"
	Undone    Outcome = "undone"
	Expired   Outcome = "expired" // nobody confirmed in time, or the applying process died
	Faulty    Outcome = "failed"  // it could not be applied, or was found wrong
)

// outcomes in the order in which they are looked for: a later one replaces an
// earlier one.
var outcomes = []Outcome{Undone, Expired, Faulty, Confirmed, Open}

// Entry is one change in the journal. Its folder holds entry.json (this, never
// rewritten), the saved forms of each step, a copy of every rule set of the
// host (backup/), plan.txt, the guard's log, pending.json once the change is
// in force, and one file at.OUTCOME; the file left becomes restored when all
// is put back.
type Entry struct {
	Schema string    `json:"schema"`
	ID     string    `json:"id"`
	Made   time.Time `json:"made"`
	UID    int       `json:"uid"`
	// Boot names the run of the kernel, Begun is its clock.
	Boot   string        `json:"boot"`
	Begun  time.Duration `json:"begun_ns"`
	Within time.Duration `json:"within_ns"`
	Steps  []Step        `json:"steps"`
	// Backup are files below backup/, whole rule sets before the change.
	Backup []string `json:"backup"`

	dir string
}

// Step is one part of a change: what to put back, and how. Kind says who
// knows how: "rules" here, others may follow.
type Step struct {
	Kind    string `json:"kind"`
	Backend string `json:"backend"`
	// Before and Want are files with the backend's saved form; BeforeNormal
	// and WantNormal what Present.Normal is then. WantNormal may be empty
	// where no trial was possible.
	Before       string `json:"before"`
	Want         string `json:"want"`
	BeforeNormal string `json:"before_normal"`
	WantNormal   string `json:"want_normal"`
}

// pending is written when the change is in force and was verified.
type pending struct {
	Deadline time.Duration `json:"deadline_ns"` // by the clock since boot
	Until    time.Time     `json:"until"`       // for people
}

// Names of files of an entry.
const (
	entryFile   = "entry.json"
	pendingFile = "pending.json"
	leftFile    = "left"
	doneFile    = "restored"
	entryLock   = "lock"
	guardLock   = "guard.lock"
	guardLog    = "guard.log"
	atPrefix    = "at."
)

func changesDir(state string) string { return filepath.Join(state, "changes") }

// writeFile writes and syncs a new file.
func writeFile(path string, data []byte) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	return errors.Join(err, f.Sync(), f.Close())
}

// replaceFile writes beside and renames over.
func replaceFile(path string, data []byte) error {
	tmp := path + ".tmp"
	_ = os.Remove(tmp)
	if err := writeFile(tmp, data); err != nil {
		_ = os.Remove(tmp)
		return err
	}
	if err := os.Rename(tmp, path); err != nil {
		return err
	}
	return syncDir(filepath.Dir(path))
}

// makeEntry writes a whole entry under a temporary name, and then gives it
// its own: a reader finds all of it or nothing.
func makeEntry(state string, e *Entry, files map[string][]byte) error {
	dir := changesDir(state)
	tmp := filepath.Join(dir, ".new-"+e.ID)
	if err := fill(tmp, e, files); err != nil {
		_ = os.RemoveAll(tmp)
		return err
	}
	e.dir = filepath.Join(dir, e.ID)
	if err := os.Rename(tmp, e.dir); err != nil {
		_ = os.RemoveAll(tmp)
		return err
	}
	return syncDir(dir)
}

func fill(dir string, e *Entry, files map[string][]byte) error {
	if err := os.MkdirAll(filepath.Join(dir, "backup"), 0o700); err != nil {
		return err
	}
	data, err := json.MarshalIndent(e, "", "  ")
	if err != nil {
		return err
	}
	all := map[string][]byte{entryFile: append(data, '\n'), atPrefix + string(Open): nil, leftFile: nil, entryLock: nil, guardLock: nil, guardLog: nil}
	for name, data := range files {
		all[name] = data
	}
	for name, data := range all {
		if err := writeFile(filepath.Join(dir, name), data); err != nil {
			return err
		}
	}
	return errors.Join(syncDir(filepath.Join(dir, "backup")), syncDir(dir))
}

// readEntry reads an entry that this user made.
func readEntry(dir string) (*Entry, error) {
	data, err := os.ReadFile(filepath.Join(dir, entryFile))
	if err != nil {
		return nil, fail(State, "the journal entry cannot be read", err)
	}
	e := &Entry{}
	if err := json.Unmarshal(data, e); err != nil {
		return nil, fail(State, "the journal entry "+filepath.Base(dir)+" is damaged", err)
	}
	if e.Schema != Schema {
		return nil, fail(State, fmt.Sprintf("the journal entry %s has schema %q, this program knows %q", filepath.Base(dir), e.Schema, Schema), nil)
	}
	e.dir = dir
	return e, nil
}

// entries lists the journal, oldest first. Entries that are damaged are
// errors, joined; the others are there.
func entries(state string) ([]*Entry, error) {
	list, err := os.ReadDir(changesDir(state))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fail(State, "the journal cannot be read", err)
	}
	var out []*Entry
	var errs []error
	for _, d := range list {
		if !d.IsDir() || strings.HasPrefix(d.Name(), ".") {
			continue
		}
		e, err := readEntry(filepath.Join(changesDir(state), d.Name()))
		if err != nil {
			errs = append(errs, err)
			continue
		}
		out = append(out, e)
	}
	slices.SortFunc(out, func(a, b *Entry) int { return strings.Compare(a.ID, b.ID) })
	return out, errors.Join(errs...)
}

func (e *Entry) path(name string) string { return filepath.Join(e.dir, name) }

func (e *Entry) has(name string) bool {
	_, err := os.Lstat(e.path(name))
	return err == nil
}

// outcome reads what was decided; "" when the folder is gone or damaged.
func (e *Entry) outcome() Outcome {
	// A rename may come between two looks, so that none is found.
	for range 3 {
		for _, o := range outcomes {
			if e.has(atPrefix + string(o)) {
				return o
			}
		}
	}
	return ""
}

// decide moves the entry on: from must be what holds. It reports whether the
// caller won, and else what holds instead.
func (e *Entry) decide(from, to Outcome) (won bool, now Outcome, err error) {
	err = os.Rename(e.path(atPrefix+string(from)), e.path(atPrefix+string(to)))
	if err == nil {
		_ = syncDir(e.dir) // decided all the same: what holds is in the kernel
		return true, to, nil
	}
	now = e.outcome()
	if errors.Is(err, fs.ErrNotExist) && now != "" {
		return false, now, nil
	}
	return false, now, fail(State, "the decision could not be written to the journal", err)
}

// restored reports that nothing of the change is left.
func (e *Entry) restored() bool { return e.has(doneFile) }

func (e *Entry) markRestored() error {
	err := os.Rename(e.path(leftFile), e.path(doneFile))
	if err != nil && e.restored() {
		return nil
	}
	return errors.Join(err, syncDir(e.dir))
}

// pending reads the deadline; nil while the change is not in force.
func (e *Entry) pending() *pending {
	data, err := os.ReadFile(e.path(pendingFile))
	if err != nil {
		return nil
	}
	p := &pending{}
	if json.Unmarshal(data, p) != nil {
		return nil
	}
	return p
}

func (e *Entry) file(name string) ([]byte, error) {
	data, err := os.ReadFile(e.path(name))
	if err != nil {
		return nil, fail(State, "the journal entry "+e.ID+" is not whole", err)
	}
	return data, nil
}
