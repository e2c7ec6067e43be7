package recog

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync/atomic"
	"time"
	"unicode/utf8"

	"github.com/portreeve/portreeve/internal/scan/identify/bytepattern"
)

// Bounds on what is looked at and kept.
const (
	maxField = 4 << 10 // bytes of a field
	maxValue = 256     // bytes of each text of a Result
	maxKept  = 2_000   // compiled patterns kept: some 20 MB
	maxTime  = 200 * time.Millisecond
)

// DB is a loaded folder.
type DB struct {
	sets  map[string]*set // by key
	shelf *bytepattern.Shelf
	time  time.Duration // for one field

	broken, stopped, hurried atomic.Int64
}

// set is the fingerprints of one key.
type set struct {
	key, protocol string
	preference    float64
	prints        []*fingerprint
}

// fingerprint is one pattern and what it says.
type fingerprint struct {
	file        string
	line        int
	description string
	certainty   float64
	pattern     *bytepattern.Pattern
	params      []param
	broken      atomic.Bool // counted in Health.Unusable
}

// param is one attribute: a captured group, or where pos is 0 a text.
type param struct {
	name  string
	pos   int
	value string
}

// Result is what a fingerprint says of a field. Texts are hostile input, valid
// UTF-8 and bounded.
type Result struct {
	Name        string // of the service: service.protocol, else the file's
	Vendor      string // service.vendor
	Product     string // service.product, as recog writes it
	Family      string // service.family
	Version     string // service.version
	OS          string // os.vendor, os.product (else os.family) and os.version
	Hardware    string // hw.vendor and hw.product
	CPE         string // service.cpe23, else hw.cpe23, else os.cpe23; cpe:/… of CPE 2.2
	OSCPE       string // os.cpe23
	Description string
	Certainty   float64           // 0 to 1, as recog states it
	Key         string            // of the fingerprints that matched
	Params      map[string]string // all of them
}

// Keys lists the keys of the fingerprints, sorted.
func (db *DB) Keys() []string {
	keys := make([]string, 0, len(db.sets))
	for key := range db.sets {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	return keys
}

// Health counts what went wrong since the folder was loaded.
type Health struct {
	Fingerprints int
	Unusable     int64 // met that neither engine can run
	Stopped      int64 // patterns stopped because they backtracked too long
	Hurried      int64 // fields given up because their time was used up
}

// Health tells how matching went.
func (db *DB) Health() Health {
	h := Health{Unusable: db.broken.Load(), Stopped: db.stopped.Load(), Hurried: db.hurried.Load()}
	for _, s := range db.sets {
		h.Fingerprints += len(s.prints)
	}
	return h
}

// Check compiles every pattern and notes those that no engine can run.
func (db *DB) Check() []Note {
	var notes []Note
	for _, key := range db.Keys() {
		for _, f := range db.sets[key].prints {
			if _, err := f.pattern.Check(); err != nil {
				notes = append(notes, Note{File: f.file, Line: f.line, Why: err.Error()})
			}
		}
	}
	return notes
}

// Match says what a field tells by the first fingerprint of its key that
// matches. The field is given as recog wants it: without the SSH-2.0- or the
// reply code before a banner, a header without its name.
func (db *DB) Match(ctx context.Context, key, banner string) (Result, bool) {
	s := db.sets[key]
	if s == nil {
		return Result{}, false
	}
	text := bytepattern.NewText([]byte(banner[:min(len(banner), maxField)]))
	budget := bytepattern.Budget{Context: ctx, Left: db.time}
	for _, f := range s.prints {
		groups, found, err := f.pattern.Find(text, &budget)
		if found {
			return s.result(f, groups), true
		}
		if err != nil && !db.goOn(f, err) {
			break
		}
	}
	return Result{}, false
}

// goOn counts why a fingerprint could not be tried, and says whether others
// may be.
func (db *DB) goOn(f *fingerprint, err error) bool {
	switch {
	case errors.Is(err, bytepattern.ErrBudget):
		db.hurried.Add(1)
		return false
	case errors.Is(err, bytepattern.ErrTimeout):
		db.stopped.Add(1)
	case f.broken.CompareAndSwap(false, true):
		db.broken.Add(1)
	}
	return true
}

// result fills in the params.
func (s *set) result(f *fingerprint, g bytepattern.Groups) Result {
	p := f.fillIn(g)
	if p["service.protocol"] == "" && s.protocol != "" {
		p["service.protocol"] = s.protocol
	}
	r := Result{
		Name: p["service.protocol"], Vendor: p["service.vendor"], Product: p["service.product"], Family: p["service.family"],
		Version: p["service.version"], OS: osName(p),
		Hardware: words(p["hw.vendor"], p["hw.product"]), CPE: first(p["service.cpe23"], p["hw.cpe23"], p["os.cpe23"]), OSCPE: p["os.cpe23"],
		Description: tidy(f.description), Certainty: f.certainty, Key: s.key, Params: p,
	}
	return r
}

// fillIn gives the params their values. A group that took no part in the
// match gives none.
func (f *fingerprint) fillIn(g bytepattern.Groups) map[string]string {
	values := map[string]string{}
	for _, p := range f.params {
		if p.pos == 0 {
			values[p.name] = p.value
		} else if captured, ok := g.Get(p.pos); ok {
			values[p.name] = tidy(captured)
		}
	}
	for _, p := range f.params {
		if p.pos == 0 && strings.Contains(p.value, "{") {
			values[p.name] = tidy(interpolate(p.name, p.value, values))
		}
	}
	for name := range values {
		if strings.HasPrefix(name, "_tmp.") {
			delete(values, name)
		}
	}
	return values
}

// interpolate puts values for {names} into a text. In a CPE name a version
// that is not known is "-"; elsewhere it is nothing.
func interpolate(name, text string, values map[string]string) string {
	var b strings.Builder
	for {
		before, rest, opened := strings.Cut(text, "{")
		b.WriteString(before)
		inner, after, closed := strings.Cut(rest, "}")
		if !opened || !closed {
			b.WriteString(strings.TrimPrefix(text, before))
			return b.String()
		}
		value, known := values[inner]
		if !known && strings.HasSuffix(name, ".cpe23") && strings.HasSuffix(inner, ".version") {
			value = "-"
		}
		b.WriteString(value)
		text = after
	}
}

// first is the first text that is not empty.
func first(texts ...string) string {
	for _, text := range texts {
		if text != "" {
			return text
		}
	}
	return ""
}

// osName is the operating system in words, without saying its vendor twice.
func osName(p map[string]string) string {
	name := first(p["os.product"], p["os.family"])
	if name != "" && !containsFold(name, p["os.vendor"]) {
		name = words(p["os.vendor"], name)
	}
	return words(name, p["os.version"])
}

// words joins two texts by a space.
func words(a, b string) string {
	return strings.TrimSpace(a + " " + b)
}

// tidy makes text valid UTF-8 of at most maxValue bytes.
func tidy(s string) string {
	s = strings.ToValidUTF8(s, "\uFFFD")
	if len(s) <= maxValue {
		return s
	}
	end := maxValue
	for !utf8.RuneStart(s[end]) {
		end--
	}
	return s[:end]
}
