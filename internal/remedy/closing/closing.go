package closing

import (
	"context"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/portreeve/portreeve/internal/audit/policy"
	"github.com/portreeve/portreeve/internal/exposure"
	"github.com/portreeve/portreeve/internal/knowledge"
	"github.com/portreeve/portreeve/internal/remedy"
	"github.com/portreeve/portreeve/internal/remedy/serverconf"
)

// How is by what a port is closed.
type How string

// Ways. Best chooses by the owner. Stop stops what holds the port and keeps it
// from starting again; Rebind leaves it to this host alone; Firewall keeps
// everybody but this host out while the listener stays; Kill ends the process
// whatever manages it. Manual is what no program should do by itself: it is
// only shown.
const (
	Best     How = ""
	Stop     How = "stop"
	Rebind   How = "rebind"
	Firewall How = "firewall"
	Kill     How = "kill"
	Manual   How = "manual"
)

// Hows lists the ways that may be asked for.
func Hows() []How { return []How{Stop, Rebind, Firewall, Kill} }

// Port is a port asked for; an empty Proto is every protocol that has a
// listener there.
type Port struct {
	Proto exposure.Proto `json:"proto,omitempty"`
	Port  uint16         `json:"port"`
}

func (p Port) String() string {
	if p.Proto == "" {
		return strconv.Itoa(int(p.Port))
	}
	return strconv.Itoa(int(p.Port)) + "/" + string(p.Proto)
}

func (p Port) covers(proto exposure.Proto, port uint16) bool {
	return p.Port == port && (p.Proto == "" || p.Proto == proto)
}

// Options say what is to be closed and how. The zero value of each seam is
// the machine itself.
type Options struct {
	// StateDir holds the journal.
	StateDir string
	Ports    []Port
	How      How
	// Now puts a firewall rule first, so that strangers are out at once.
	Now bool
	// Force ends a process by SIGKILL that SIGTERM does not end.
	Force bool
	// Override names the refusals that a person takes upon himself.
	Override []string
	// Policy may protect ports and say what should be local; nil for none.
	Policy *policy.Policy
	// Usage is who used what in the past, where that is known.
	Usage []exposure.Usage

	Machine
}

// Machine are the seams towards the machine. Undo, Recover and List need no
// more than this.
type Machine struct {
	remedy.Machine
	// Book tells services; nil opens one.
	Book *knowledge.Book
	// Look lists this namespace's sockets, connections too; nil for the
	// machine's own.
	Look func(context.Context) (exposure.Snapshot, error)
	// Ask asks endpoints of this host from outside of loopback as far as that
	// goes, and gives those that still answer; nil for the machine's own.
	Ask func(context.Context, []exposure.Endpoint) ([]exposure.Endpoint, error)
	// Files reads configuration; nil for the host's own.
	Files serverconf.Root
	// DockerSocket is the Docker engine's socket; "/run/docker.sock" when
	// empty.
	DockerSocket string
	// Patience is how long is waited for a server to end, to come, or to let
	// go of its port; 10 s when 0.
	Patience time.Duration
}

const patience = 10 * time.Second

func (m Machine) filled() Machine {
	if m.Run == nil {
		m.Run = runDetached
	}
	if m.Proc == "" {
		m.Proc = "/proc"
	}
	if m.Clock == nil {
		m.Clock = remedy.OwnClock()
	}
	if m.Step == nil {
		m.Step = func(string) {}
	}
	if m.Book == nil {
		m.Book = knowledge.Open()
	}
	if m.Look == nil {
		m.Look = look
	}
	if m.Ask == nil {
		m.Ask = ask
	}
	if m.Files == nil {
		m.Files = serverconf.OS{}
	}
	if m.DockerSocket == "" {
		m.DockerSocket = "/run/docker.sock"
	}
	if m.Patience == 0 {
		m.Patience = patience
	}
	return m
}

// Plan is what Apply would do. Nothing was changed yet.
type Plan struct {
	Closures []Closure `json:"ports"`
	Steps    []Step    `json:"steps"`
	// Breaks is what stops working, one sentence each. Also are the other
	// endpoints that go with it.
	Breaks []string `json:"breaks"`
	Also   []string `json:"also_closes"`
	// Refused are the reasons not to; those that were not overridden forbid
	// Apply.
	Refused []Refusal `json:"refused"`
	// Manual is what a person has to do, Notes what he should know.
	Manual []exposure.Fix `json:"manual"`
	Notes  []string       `json:"notes"`
	Gaps   []exposure.Gap `json:"-"`

	o    Options
	seen *seen
	// gone are the sockets that are to be gone, kept those that must go on.
	gone, kept []exposure.Endpoint
}

// Closure is one port asked for, and what is done about it.
type Closure struct {
	Port
	How       How      `json:"how"`
	Why       string   `json:"why"`
	Endpoints []string `json:"endpoints"`
	Owner     string   `json:"owner"`
	Unit      string   `json:"unit"`
	Socket    string   `json:"socket_unit"`
	Bind      []string `json:"bind"`
	Published []string `json:"published,omitempty"`
	Service   string   `json:"service"`
	Clients   []string `json:"clients"`
	sockets   []*exposure.Socket
	published []exposure.PublishedPort
}

// Refusal is a reason not to carry out a plan. Name is what overrides it.
type Refusal struct {
	Name       string `json:"name"`
	Why        string `json:"why"`
	Overridden bool   `json:"overridden"`
}

// Forbidden lists the refusals that nobody has overridden.
func (p *Plan) Forbidden() (out []Refusal) {
	for _, r := range p.Refused {
		if !r.Overridden {
			out = append(out, r)
		}
	}
	return out
}

// Err is the error of a plan that must not be carried out; nil without one.
func (p *Plan) Err() error {
	list := p.Forbidden()
	if len(list) == 0 {
		return nil
	}
	var whys, words []string
	for _, r := range list {
		whys = append(whys, r.Why)
		words = append(words, "--override "+r.Name)
	}
	return &remedy.Error{Reason: remedy.Refused, Text: "refused, and nothing was changed: " + strings.Join(whys, "; "),
		Hint: "if you are sure, add exactly: " + strings.Join(words, " ")}
}

func (p *Plan) note(s string) {
	if !slices.Contains(p.Notes, s) {
		p.Notes = append(p.Notes, s)
	}
}

func (p *Plan) breaks(s string) {
	if !slices.Contains(p.Breaks, s) {
		p.Breaks = append(p.Breaks, s)
	}
}

func (p *Plan) manual(what, command string) {
	f := exposure.Fix{What: what, Command: command}
	if !slices.Contains(p.Manual, f) {
		p.Manual = append(p.Manual, f)
	}
}

// Step is one thing that is done, with its inverse. Exactly one of the parts
// below it is set, by Kind.
type Step struct {
	Kind string `json:"kind"`
	What string `json:"what"`
	// Commands are what is done, as a person would type it; Undo likewise.
	Commands []string `json:"commands"`
	Undo     []string `json:"undo"`
	// Diffs are the changes of files.
	Diffs []Diff `json:"diffs,omitempty"`

	Units     *unitsStep     `json:"units,omitempty"`
	Script    *scriptStep    `json:"script,omitempty"`
	Config    *configStep    `json:"config,omitempty"`
	Processes *processStep   `json:"processes,omitempty"`
	Wall      *wallStep      `json:"firewall,omitempty"`
	Container *containerStep `json:"container,omitempty"`
}

// Diff is a change of one file. A line begins with ' ', '-' or '+'.
type Diff struct {
	Path  string   `json:"path"`
	Lines []string `json:"lines"`
}

// doer carries a step out. Undo may come after a do that was cut off anywhere,
// and twice.
type doer interface {
	do(ctx context.Context, r *run) error
	undo(ctx context.Context, r *run) error
	// changed lists what others changed since, which undo must not overwrite.
	changed(ctx context.Context, r *run) ([]Diff, error)
}

func (s *Step) doer() doer {
	switch {
	case s.Units != nil:
		return s.Units
	case s.Script != nil:
		return s.Script
	case s.Config != nil:
		return s.Config
	case s.Processes != nil:
		return s.Processes
	case s.Wall != nil:
		return s.Wall
	case s.Container != nil:
		return s.Container
	}
	return nil
}

// run is a closing or an undoing under way.
type run struct {
	Machine
	dir   string // of the entry
	id    string
	keep  bool // leave what others changed as it is
	kept  bool // there is something that others changed
	notes []string
	lost  []string // what could not be brought back, and never can
}

// lose notes what cannot be brought back.
func (r *run) lose(s string) {
	r.note(s)
	r.lost = append(r.lost, s)
}

func (r *run) note(s string) {
	if !slices.Contains(r.notes, s) {
		r.notes = append(r.notes, s)
	}
}

func fail(reason remedy.Reason, text string, err error) *remedy.Error {
	return &remedy.Error{Reason: reason, Text: text, Err: err}
}

func hinted(e *remedy.Error, hint string) *remedy.Error {
	e.Hint = hint
	return e
}
