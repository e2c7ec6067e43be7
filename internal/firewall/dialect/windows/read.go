package windows

import (
	"bytes"
	"errors"
	"io"
	"regexp"
	"strings"
	"sync"

	"github.com/portreeve/portreeve/internal/firewall/dialect/document"
	"github.com/portreeve/portreeve/internal/firewall/dialect/problem"
	"github.com/portreeve/portreeve/internal/firewall/ruleset"
)

// Options say for what the rules are read.
type Options struct {
	// Profile is domain, private or public; empty: it depends.
	Profile string
}

var (
	// ErrFormat is returned for what is none of the forms.
	ErrFormat = errors.New("no rules of Windows Firewall in a form that is read")
	// ErrBinary is returned for the policy files of netsh advfirewall export.
	ErrBinary = errors.New("a binary file, as netsh advfirewall export writes it: use netsh advfirewall firewall show rule name=all verbose instead")
	// ErrLanguage is returned for netsh's text in other languages.
	ErrLanguage = errors.New("netsh's text is read in English only: export with Get-NetFirewallRule or reg export instead")
)

// Read reads rules in any of the forms. See the package comment.
func Read(in io.Reader, o Options) (*ruleset.RuleSet, []problem.Problem, error) {
	data, err := document.Bytes(in)
	if err != nil {
		return nil, nil, err
	}
	r := &reader{opt: o}
	err = r.text(data)
	if len(r.rules) == 0 && !r.found {
		if err == nil {
			err = ErrFormat
		}
		return nil, r.problems.All(), err
	}
	set := r.ruleSet()
	if err != nil {
		set.Missing = append(set.Missing, ruleset.Missing{Families: both, Why: "the file is damaged: " + err.Error()})
	}
	return set, r.problems.All(), err
}

const both = ruleset.IPv4 | ruleset.IPv6

type reader struct {
	opt      Options
	problems problem.List
	rules    []*rule
	profiles [3]profile
	found    bool // the form is known, even when it has no rules
	said     map[string]bool
}

// once notes a problem the first time only.
func (r *reader) once(line int, text, why string) {
	if r.said == nil {
		r.said = map[string]bool{}
	}
	if !r.said[why] {
		r.said[why] = true
		r.problems.Add(line, 0, text, why)
	}
}

var (
	registryRule = lazy(`v[0-9]{1,3}\.[0-9]{1,3}\|[A-Za-z0-9_]+=`)
	showRule     = lazy(`(?im)^rule name:`)
	command      = lazy(`(?im)^[^:#\r\n]*\b(advfirewall\s+(firewall\s+)?(add|set)\b|add\s+rule\s+name=|(New|Remove)-NetFirewallRule\b|Set-NetFirewallProfile\b)`)
	listedAction = lazy(`(?im)^Action {2,}:\s`)
	listedWay    = lazy(`(?im)^Direction {2,}:\s`)
	// netsh in another language: a name, 70 dashes, aligned properties.
	foreign     = lazy(`(?m)^[^\r\n:]{2,60}: {2,}[^\r\n]*\r?\n-{60,80}\r?\n(?:[^\r\n:]{2,60}: {2,}[^\r\n]*\r?\n){3}`)
	profileText = lazy(`(?im)^(domain|private|public) profile settings:`)
)

// lazy compiles a pattern when it is first asked for: few runs need any.
func lazy(pattern string) func() *regexp.Regexp {
	return sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(pattern) })
}

// text finds the form.
func (r *reader) text(data []byte) error {
	switch {
	case bytes.HasPrefix(data, []byte("regf")): // a registry hive
		return ErrBinary
	case document.IsJSON(data):
		return r.json(data)
	case registryRule().Match(data):
		r.registry(string(data))
	case showRule().Match(data) || profileText().Match(data):
		r.show(string(data))
	case command().Match(data):
		r.script(string(data))
	case isCSV(data):
		return r.csv(data)
	case listedAction().Match(data) && listedWay().Match(data):
		r.list(string(data))
	case foreign().Match(data):
		return ErrLanguage
	default:
		return ErrFormat
	}
	return nil
}

// lines calls fn with each line and its number, without its ending.
func lines(text string, fn func(no int, line string)) {
	no := 0
	for line := range strings.Lines(text) {
		no++
		fn(no, strings.TrimRight(line, "\r\n"))
	}
}
