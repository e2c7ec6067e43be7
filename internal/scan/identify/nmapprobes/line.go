package nmapprobes

import (
	"errors"
	"fmt"
	"strings"
	"sync/atomic"

	"github.com/portreeve/portreeve/internal/scan/identify/bytepattern"
)

// line is one match or softmatch line.
type line struct {
	number  int
	service string
	tls     bool // the file names it ssl/service
	soft    bool
	pattern *bytepattern.Pattern
	broken  atomic.Bool // counted in Health.Unusable

	// Templates, "" where the line has none.
	product, version, info, host, os, device string
	cpe                                      []string
}

// match reads "service m|pattern|flags fields…".
func (l *loader) match(rest string, soft bool) error {
	service, rest, _ := strings.Cut(rest, " ")
	rest = strings.TrimLeft(rest, " ")
	if service == "" || !strings.HasPrefix(rest, "m") {
		return errors.New("a match line without service and m pattern")
	}
	pattern, rest, err := delimited(rest[1:])
	if err != nil {
		return fmt.Errorf("match %.40s: %w", service, err)
	}
	letters, rest, _ := strings.Cut(rest, " ")
	if strings.Trim(letters, "is") != "" {
		return fmt.Errorf("match %.40s: pattern options %.20q are not known", service, letters)
	}
	flags := bytepattern.Flags{IgnoreCase: strings.Contains(letters, "i"), DotAll: strings.Contains(letters, "s")}
	m := &line{number: l.number, soft: soft}
	m.service, m.tls = strings.CutPrefix(service, "ssl/")
	if err := m.fields(rest); err != nil {
		return fmt.Errorf("match %.40s: %w", service, err)
	}
	m.pattern = bytepattern.New(pattern, bytepattern.PCRE, flags, l.db.shelf)
	l.probe.lines = append(l.probe.lines, m)
	return nil
}

// fields reads the templates: p/…/ v/…/ i/…/ h/…/ o/…/ d/…/ cpe:/…/ in any
// order and with any delimiter. The option letter a that may follow a cpe is
// read and not used.
func (m *line) fields(rest string) error {
	for rest = strings.TrimLeft(rest, " \t"); rest != ""; rest = strings.TrimLeft(rest, " \t") {
		var err error
		if after, isCPE := strings.CutPrefix(rest, "cpe:"); isCPE {
			var name string
			if name, rest, err = delimited(after); err != nil {
				return fmt.Errorf("cpe: %w", err)
			}
			rest = strings.TrimPrefix(rest, "a")
			m.cpe = append(m.cpe, name)
			continue
		}
		letter := rest[0]
		into := m.field(letter)
		if into == nil {
			return fmt.Errorf("%.20q is no field", rest)
		}
		if *into, rest, err = delimited(rest[1:]); err != nil {
			return fmt.Errorf("field %c: %w", letter, err)
		}
	}
	return nil
}

// field is where the template of a letter goes, or nil.
func (m *line) field(letter byte) *string {
	switch letter {
	case 'p':
		return &m.product
	case 'v':
		return &m.version
	case 'i':
		return &m.info
	case 'h':
		return &m.host
	case 'o':
		return &m.os
	case 'd':
		return &m.device
	}
	return nil
}
