package nmapprobes

import (
	"context"
	"errors"

	"github.com/portreeve/portreeve/internal/scan/identify/bytepattern"
)

// Result is what a line says of a server. Texts are hostile input, valid
// UTF-8 and bounded.
type Result struct {
	Name    string // of the service, in nmap's words
	Product string
	Version string
	Info    string
	Host    string
	OS      string
	Device  string
	CPE     []string // of the form cpe:/a:vendor:product:version
	TLS     bool     // the service is known to be inside TLS
	Soft    bool     // only the service is known
	Line    int      // of the file
}

// Match says what the answer to a probe tells. The probe's own lines come
// first, then those of its fallbacks, then NULL's.
func (db *DB) Match(ctx context.Context, proto, probe string, answer []byte) (Result, bool) {
	p := db.Probe(proto, probe)
	if p == nil || len(answer) == 0 {
		return Result{}, false
	}
	s := db.search(ctx, answer)
	for _, p := range p.chain {
		s.lines(p.lines)
	}
	return s.best()
}

// search is one answer on its way through the lines.
type search struct {
	db     *DB
	text   *bytepattern.Text
	budget bytepattern.Budget
	hard   *Result
	soft   *Result
	over   bool // no time is left
	// want says which lines may be tried; nil is all.
	want func(*line) bool
}

func (db *DB) search(ctx context.Context, answer []byte) *search {
	answer = answer[:min(len(answer), maxAnswer)]
	return &search{db: db, text: bytepattern.NewText(answer), budget: bytepattern.Budget{Context: ctx, Left: db.time}}
}

// best is the hard match, else the soft one.
func (s *search) best() (Result, bool) {
	switch {
	case s.hard != nil:
		return *s.hard, true
	case s.soft != nil:
		return *s.soft, true
	}
	return Result{}, false
}

// lines tries lines in order until a hard match or the end of time.
func (s *search) lines(lines []*line) {
	for _, l := range lines {
		if s.hard != nil || s.over {
			return
		}
		if s.soft != nil && (l.soft || l.service != s.soft.Name) || s.want != nil && !s.want(l) {
			continue
		}
		s.try(l)
	}
}

// try tries one line.
func (s *search) try(l *line) {
	groups, found, err := l.pattern.Find(s.text, &s.budget)
	switch {
	case err != nil:
		s.failed(l, err)
	case !found:
	case l.soft:
		r := l.result(groups)
		s.soft = &r
	default:
		r := l.result(groups)
		s.hard = &r
	}
}

// failed counts why a line could not be tried.
func (s *search) failed(l *line, err error) {
	switch {
	case errors.Is(err, bytepattern.ErrBudget):
		s.over = true
		s.db.hurried.Add(1)
	case errors.Is(err, bytepattern.ErrTimeout):
		s.db.stopped.Add(1)
	case l.broken.CompareAndSwap(false, true):
		s.db.broken.Add(1)
	}
}

// result fills in the line's templates.
func (l *line) result(g captured) Result {
	r := Result{
		Name: tidy(l.service), Product: field(l.product, g), Version: field(l.version, g), Info: field(l.info, g),
		Host: field(l.host, g), OS: field(l.os, g), Device: field(l.device, g),
		TLS: l.tls, Soft: l.soft, Line: l.number,
	}
	for _, template := range l.cpe[:min(len(l.cpe), maxCPE)] {
		if name := cpeName(template, g); name != "" {
			r.CPE = append(r.CPE, name)
		}
	}
	return r
}
