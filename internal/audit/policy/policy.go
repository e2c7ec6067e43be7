package policy

import (
	"bytes"
	"fmt"
	"net/netip"
	"path"
	"time"

	"github.com/goccy/go-yaml"
	"github.com/portreeve/portreeve/internal/exposure"
)

// Limits of a policy file.
const (
	MaxBytes   = 1 << 20
	MaxEntries = 10000
)

// Policy is one file.
type Policy struct {
	Version   int       `yaml:"version"`
	Expect    []Expect  `yaml:"expect"`
	Protected []Protect `yaml:"protected"`
	// Owned are the public networks that `portreeve scan` may scan however
	// large they are; NeverScan is what it never asks.
	Owned     []Network `yaml:"owned"`
	NeverScan []Network `yaml:"never-scan"`
	// Segments and Operators are for `portreeve rules`.
	Segments  []Segment  `yaml:"segments"`
	Operators []Operator `yaml:"operators"`
	// Groups and Roles say what more holds for some hosts; For merges them.
	Groups Groups `yaml:"groups"`
	Roles  []Role `yaml:"roles"`
	// Applied are the roles that For merged, in the order of the file.
	Applied []string `yaml:"-"`
}

// Expect is one thing that should be open. Empty fields match everything.
type Expect struct {
	Port    PortRange `yaml:"port"`
	Process string    `yaml:"process"`
	Unit    string    `yaml:"unit"`
	Scope   ScopeName `yaml:"scope"`
	Peers   []Prefix  `yaml:"peers"`
	Reason  string    `yaml:"reason"`
	Expires Date      `yaml:"expires"`
	// Optional: not being open is no finding (missing-expected).
	Optional bool `yaml:"optional"`
	// Role is where the entry stands; "" for the file's own list.
	Role string `yaml:"-"`
}

// Protect is a port that no plan may shut.
type Protect struct {
	Port   PortRange `yaml:"port"`
	Reason string    `yaml:"reason"`
	// Role is where the entry stands; "" for the file's own list.
	Role string `yaml:"-"`
}

// Error is one thing wrong in a policy file. Line and Column are 1-based, 0
// if the place is not known.
type Error struct {
	Line, Column int
	What         string
}

func (e *Error) Error() string {
	switch {
	case e.Line == 0:
		return e.What
	case e.Column == 0:
		return fmt.Sprintf("line %d: %s", e.Line, e.What)
	}
	return fmt.Sprintf("line %d, column %d: %s", e.Line, e.Column, e.What)
}

// Parse reads one policy file. Errors are *Error.
func Parse(b []byte) (p *Policy, err error) {
	// The YAML library panics on some malformed input (a tag without a value
	// where a list belongs); for us that is a file that cannot be read.
	defer func() {
		if r := recover(); r != nil {
			p, err = nil, &Error{What: fmt.Sprintf("this is no valid YAML (%v)", r)}
		}
	}()
	return parse(b)
}

func parse(b []byte) (*Policy, error) {
	if len(b) > MaxBytes {
		return nil, &Error{What: fmt.Sprintf("a policy may hold %d bytes, this one has %d", MaxBytes, len(b))}
	}
	b = bytes.TrimPrefix(b, []byte("\ufeff"))
	if err := screen(b); err != nil {
		return nil, err
	}
	if err := oneDocument(b); err != nil {
		return nil, err
	}
	var p Policy
	if err := decode(b, &p); err != nil {
		return nil, err
	}
	return &p, p.check()
}

func (p *Policy) check() error {
	if p.Version != 1 {
		return &Error{What: fmt.Sprintf("version: this program reads version 1, the file says %d (write `version: 1`)", p.Version)}
	}
	if n := p.entries(); n > MaxEntries {
		return &Error{What: fmt.Sprintf("a policy may hold %d entries, this one has %d", MaxEntries, n)}
	}
	if err := checkLists("", p.Expect, p.Protected); err != nil {
		return err
	}
	if err := p.checkRoles(); err != nil {
		return err
	}
	if err := p.checkSegments(); err != nil {
		return err
	}
	return p.checkNetworks()
}

func (p *Policy) entries() int {
	n := len(p.Expect) + len(p.Protected) + len(p.Owned) + len(p.NeverScan) + len(p.Segments) + len(p.Operators)
	for i := range p.Groups {
		n += 1 + len(p.Groups[i].Hosts)
	}
	for i := range p.Roles {
		n += 1 + len(p.Roles[i].Hosts) + len(p.Roles[i].Expect) + len(p.Roles[i].Protected)
	}
	return n
}

// checkLists looks at what a file's and a role's lists have in common.
func checkLists(where string, expect []Expect, protected []Protect) error {
	for i := range expect {
		if expect[i].Port.First == 0 {
			return &Error{What: fmt.Sprintf("%sexpect, entry %d: `port` is missing", where, i+1)}
		}
		if err := expect[i].checkGlobs(); err != nil {
			return err
		}
	}
	for i, e := range protected {
		if e.Port.First == 0 {
			return &Error{What: fmt.Sprintf("%sprotected, entry %d: `port` is missing", where, i+1)}
		}
	}
	return nil
}

func (e *Expect) checkGlobs() error {
	for _, g := range []string{e.Process, e.Unit} {
		if _, err := path.Match(g, ""); err != nil {
			return &Error{Line: e.Port.Line, What: fmt.Sprintf("%q is no valid pattern (*, ?, [a-z])", g)}
		}
	}
	return nil
}

// Covers reports whether this entry is about the endpoint at all.
func (r PortRange) Covers(proto exposure.Proto, port uint16) bool {
	return proto == r.Proto && port >= r.First && port <= r.Last
}

// Expired reports whether the entry no longer holds at t.
func (e *Expect) Expired(t time.Time) bool {
	return !e.Expires.IsZero() && !t.Before(e.Expires.AddDate(0, 0, 1))
}

// Differs says what about a socket the entry did not foresee; empty when the
// socket is just what was expected. The port is assumed to be covered.
func (e *Expect) Differs(s *exposure.Socket) []string {
	var out []string
	if e.Process != "" && !anyName(e.Process, s.Processes) {
		out = append(out, "the policy expects process "+e.Process)
	}
	if ok, _ := path.Match(e.Unit, s.Unit); e.Unit != "" && !ok {
		out = append(out, "the policy expects unit "+e.Unit)
	}
	if e.Scope != "" && wider(s.Scope, exposure.Scope(e.Scope)) {
		out = append(out, fmt.Sprintf("the policy expects scope %s or narrower, it is %s", e.Scope, s.Scope))
	}
	return out
}

func anyName(glob string, procs []exposure.Process) bool {
	for _, p := range procs {
		if ok, _ := path.Match(glob, p.Name); ok {
			return true
		}
	}
	return false
}

// Allows reports whether a client may use the entry's port; an entry without
// peers allows everyone.
func (e *Expect) Allows(client netip.Addr) bool {
	if len(e.Peers) == 0 {
		return true
	}
	for _, p := range e.Peers {
		if p.Contains(client.Unmap().WithZone("")) {
			return true
		}
	}
	return false
}

var scopeOrder = map[exposure.Scope]int{
	exposure.ScopeLoopback: 0, exposure.ScopeLink: 1, exposure.ScopePrivate: 2,
	exposure.ScopePublic: 3, exposure.ScopeAny: 4,
}

func wider(a, b exposure.Scope) bool { return scopeOrder[a] > scopeOrder[b] }

func decode(b []byte, p *Policy) error {
	dec := yaml.NewDecoder(bytes.NewReader(b), yaml.Strict())
	err := dec.Decode(p)
	if err == nil {
		return nil
	}
	return asError(err)
}
