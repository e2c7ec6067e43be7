package closing

import (
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
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

// Schema is what entry.json begins with.
const Schema = "portreeve.closing/1"

// Outcome is what became of a closing.
type Outcome string

// Outcomes. Open is being applied, or was when its process died. Undoing is
// being undone, or was.
const (
	Open    Outcome = "open"
	Applied Outcome = "applied"
	Undoing Outcome = "undoing"
	Undone  Outcome = "undone"
	Failed  Outcome = "failed" // everything begun was taken back
)

var outcomes = []Outcome{Undone, Failed, Undoing, Applied, Open}

// State is how far a step is.
type State string

// States of a step.
const (
	Planned State = "planned"
	Begun   State = "begun"
	Done    State = "done"
	Back    State = "back" // undone
)

var states = []State{Back, Done, Begun, Planned}

// Entry is one closing in the journal. Its folder holds entry.json (this,
// never rewritten), the former files (backup/), plan.txt, one file at.OUTCOME,
// and for each step one file N.STATE.
type Entry struct {
	Schema string    `json:"schema"`
	ID     string    `json:"id"`
	Made   time.Time `json:"made"`
	UID    int       `json:"uid"`
	Ports  []string  `json:"ports"`
	Steps  []Step    `json:"steps"`
	// Was are the endpoints that listened before and that the steps shut.
	Was []string `json:"was"`

	dir string
}

func closingsDir(state string) string { return filepath.Join(state, "closings") }

func newID(now time.Time) string {
	b := make([]byte, 3)
	_, _ = rand.Read(b) // never fails (crypto/rand)
	return now.UTC().Format("20060102T150405.000Z") + "-" + hex.EncodeToString(b)
}

// makeEntry writes a whole entry under a temporary name, and then gives it its
// own: a reader finds all of it or nothing.
func makeEntry(state string, e *Entry, text []byte) error {
	dir := closingsDir(state)
	tmp := filepath.Join(dir, ".new-"+e.ID)
	err := e.fill(tmp, text)
	if err == nil {
		e.dir = filepath.Join(dir, e.ID)
		err = os.Rename(tmp, e.dir)
	}
	if err != nil {
		_ = os.RemoveAll(tmp)
		return err
	}
	return remedy.SyncDir(dir)
}

func (e *Entry) fill(dir string, text []byte) error {
	if err := os.MkdirAll(filepath.Join(dir, "backup"), 0o700); err != nil {
		return err
	}
	data, err := json.MarshalIndent(e, "", " ")
	if err != nil {
		return err
	}
	files := map[string][]byte{"entry.json": data, "plan.txt": text, "at." + string(Open): nil}
	for i, s := range e.Steps {
		files[fmt.Sprintf("%d.%s", i, Planned)] = nil
		if s.Config == nil {
			continue
		}
		for j, x := range s.Config.Edits {
			files[filepath.Join("backup", fmt.Sprintf("%d.%d-%s", i, j, filepath.Base(x.Path)))] = x.Before
		}
	}
	for name, data := range files {
		if err := remedy.WriteNew(filepath.Join(dir, name), data); err != nil {
			return err
		}
	}
	return errors.Join(remedy.SyncDir(filepath.Join(dir, "backup")), remedy.SyncDir(dir))
}

func readEntry(dir string) (*Entry, error) {
	data, err := os.ReadFile(filepath.Join(dir, "entry.json"))
	if err != nil {
		return nil, fail(remedy.State, "the journal entry cannot be read", err)
	}
	e := &Entry{}
	if err := json.Unmarshal(data, e); err != nil {
		return nil, fail(remedy.State, "the journal entry "+filepath.Base(dir)+" is damaged", err)
	}
	if e.Schema != Schema {
		return nil, fail(remedy.State, fmt.Sprintf("the journal entry %s has schema %q, this program knows %q", filepath.Base(dir), e.Schema, Schema), nil)
	}
	for i := range e.Steps {
		if e.Steps[i].doer() == nil {
			return nil, fail(remedy.State, fmt.Sprintf("the journal entry %s has a step of kind %q, which this program does not know", filepath.Base(dir), e.Steps[i].Kind), nil)
		}
	}
	e.dir = dir
	return e, nil
}

// entries lists the journal, oldest first. Damaged entries are errors, joined;
// the others are there.
func entries(state string) (out []*Entry, err error) {
	list, err := os.ReadDir(closingsDir(state))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fail(remedy.State, "the journal cannot be read", err)
	}
	var errs []error
	for _, d := range list {
		if !d.IsDir() || strings.HasPrefix(d.Name(), ".") {
			continue
		}
		e, err := readEntry(filepath.Join(closingsDir(state), d.Name()))
		if err != nil {
			errs = append(errs, err)
			continue
		}
		out = append(out, e)
	}
	slices.SortFunc(out, func(a, b *Entry) int { return strings.Compare(a.ID, b.ID) })
	return out, errors.Join(errs...)
}

func (e *Entry) has(name string) bool {
	_, err := os.Lstat(filepath.Join(e.dir, name))
	return err == nil
}

// outcome reads what became of it; "" when the folder is gone or damaged.
func (e *Entry) outcome() Outcome {
	for range 3 { // a rename may come between two looks
		for _, o := range outcomes {
			if e.has("at." + string(o)) {
				return o
			}
		}
	}
	return ""
}

func (e *Entry) become(from, to Outcome) error {
	if from == to {
		return nil
	}
	return e.rename("at."+string(from), "at."+string(to))
}

func (e *Entry) state(i int) State {
	for _, s := range states {
		if e.has(fmt.Sprintf("%d.%s", i, s)) {
			return s
		}
	}
	return ""
}

func (e *Entry) move(i int, to State) error {
	from := e.state(i)
	if from == to {
		return nil
	}
	return e.rename(fmt.Sprintf("%d.%s", i, from), fmt.Sprintf("%d.%s", i, to))
}

func (e *Entry) rename(from, to string) error {
	err := os.Rename(filepath.Join(e.dir, from), filepath.Join(e.dir, to))
	if err == nil {
		err = remedy.SyncDir(e.dir)
	}
	if err != nil {
		return fail(remedy.State, "the journal could not be written", err)
	}
	return nil
}
