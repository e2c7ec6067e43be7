package source

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strings"

	"github.com/portreeve/portreeve/internal/firewall/dialect/nftables"
	"github.com/portreeve/portreeve/internal/firewall/dialect/problem"
	"github.com/portreeve/portreeve/internal/firewall/ruleset"
)

// Source is a rule set that was read.
type Source struct {
	Name     string // as it was given
	Format   string // of Formats
	Rules    *ruleset.RuleSet
	Problems []problem.Problem
}

// Errors of Read. ErrListing is for output that leaves things out, with what
// to give instead.
var (
	ErrFormat  = errors.New("not a rule set in a format that is known")
	ErrUnknown = errors.New("no such format")
	ErrListing = errors.New("leaves out what decides")
	ErrLarge   = errors.New("too large")
)

// Auto is the format that is found by the content.
const Auto = "auto"

// mostBytes bounds a rule set; 100,000 rules take some 20 MB.
const mostBytes = 512 << 20

// Read reads a rule set. name stands in errors ("-" for standard input);
// format is Auto, or a name of Formats. Damaged input gives what was
// understood before, with an error.
func Read(r io.Reader, name, format string) (*Source, error) {
	data, err := io.ReadAll(io.LimitReader(r, mostBytes+1))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	if len(data) > mostBytes {
		return nil, fmt.Errorf("%s: %w (more than %d MiB)", name, ErrLarge, mostBytes>>20)
	}
	t := newText(name, data)
	if format == "" || format == Auto {
		return t.auto()
	}
	for _, f := range formats {
		if f.name == format {
			return t.as(f)
		}
	}
	return nil, fmt.Errorf("%w: %q (there are: %s)", ErrUnknown, format, formatNames())
}

// text is the content of a source.
type text struct {
	name string
	data []byte
	head []byte // what a first look is at
}

// mostHead bounds the first look.
const mostHead = 512 << 10

func newText(name string, data []byte) *text {
	data = bytes.TrimPrefix(data, []byte("\xef\xbb\xbf"))
	return &text{name: name, data: data, head: data[:min(len(data), mostHead)]}
}

func (t *text) reader() io.Reader { return bytes.NewReader(t.data) }

// auto tries every format that the content could be of.
func (t *text) auto() (*Source, error) {
	var why, surer error
	for _, f := range formats {
		if !f.fits(t) {
			continue
		}
		s, err := t.as(f)
		if s != nil {
			return s, err
		}
		// What a reader says of its own kind of text is worth more than that it
		// found nothing of the kind.
		if why == nil && (!errors.Is(err, f.none) || f.none == nftables.ErrText) {
			why = fmt.Errorf("as %s: %w", f.name, errors.Unwrap(err))
		}
		if surer == nil && f.like != "" && regexp.MustCompile(f.like).Match(t.head) {
			surer = fmt.Errorf("as %s: %w", f.name, errors.Unwrap(err))
		}
	}
	why = cmp.Or(surer, why)
	if why == nil {
		return nil, fmt.Errorf("%s: %w (known are: %s)", t.name, ErrFormat, formatNames())
	}
	return nil, fmt.Errorf("%s: %w: %w (known are: %s)", t.name, ErrFormat, why, formatNames())
}

func (t *text) as(f format) (*Source, error) {
	set, problems, err := f.read(t)
	if err != nil {
		err = fmt.Errorf("%s: %w", t.name, err)
	}
	if set == nil {
		if err == nil {
			err = fmt.Errorf("%s: %w", t.name, ErrFormat)
		}
		return nil, err
	}
	set.Prepare()
	return &Source{Name: t.name, Format: f.name, Rules: set, Problems: problems}, err
}

// Format is a format for people.
type Format struct{ Name, What string }

// Formats are the formats that Read knows.
func Formats() []Format {
	out := make([]Format, len(formats))
	for i, f := range formats {
		out[i] = Format{f.name, f.what}
	}
	return out
}

func formatNames() string {
	names := make([]string, len(formats))
	for i, f := range formats {
		names[i] = f.name
	}
	return strings.Join(names, ", ")
}
