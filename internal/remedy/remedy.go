package remedy

import (
	"context"
	"time"

	"github.com/portreeve/portreeve/internal/exposure"
)

// Default figures.
const (
	DefaultWithin = 60 * time.Second
	shortest      = time.Second
	longest       = 24 * time.Hour
)

// Options say what is applied and how; the zero value of each seam is the
// machine itself.
type Options struct {
	// StateDir holds the journal: $XDG_STATE_HOME/portreeve, as root
	// /var/lib/portreeve.
	StateDir string
	// Load are the rules, by backend.
	Load []Load
	// Within is the time to confirm; 0 is DefaultWithin.
	Within time.Duration
	// Guard is the command that runs Guard, to which the entry's folder is
	// appended: the program itself, "rules", "guard", "--journal".
	Guard []string
	// Verify is asked after the rules are loaded, besides the checks of this
	// package; its error takes the change back. nil asks nothing more.
	Verify func(context.Context) error
	// Flows and Usage are who used what; the plan says which of them the new
	// rules would refuse.
	Flows []exposure.Flow
	Usage []exposure.Usage
	// MayCutOthers lets rules through that cut sessions other than the
	// caller's own.
	MayCutOthers bool

	Machine
}

// Load is a text for a backend, as its own tool reads it: for nft a text with
// the one table "inet portreeve", for the others the filter table as
// iptables-save writes it. Backend is a name that Backends lists.
type Load struct {
	Backend string
	Text    []byte
}

// Machine are the seams towards the machine. Confirm, Undo and List need no
// more than this and StateDir.
type Machine struct {
	// Run runs a program; nil for the machine's own.
	Run Runner
	// Proc is where proc(5) is mounted; "/proc" when empty.
	Proc string
	// Clock tells the time; nil for the machine's own.
	Clock Clock
	// Step, when set, is called before each step of a change, by name. Tests
	// stop there.
	Step func(name string)
}

// Runner runs a program with an input and gives its standard output. Its
// error wraps exec.ErrNotFound when there is no such program.
type Runner func(ctx context.Context, stdin []byte, name string, args ...string) ([]byte, error)

// Clock is what time it is.
type Clock interface {
	// Now is the time of day, for people.
	Now() time.Time
	// SinceBoot runs on while the machine sleeps, and is never set.
	SinceBoot() (time.Duration, error)
	// Boot names this run of the kernel.
	Boot() (string, error)
	// Sleep waits, or until ctx ends.
	Sleep(ctx context.Context, d time.Duration)
}

func (m Machine) filled() Machine {
	if m.Run == nil {
		m.Run = run
	}
	if m.Proc == "" {
		m.Proc = "/proc"
	}
	if m.Clock == nil {
		m.Clock = machineClock{}
	}
	if m.Step == nil {
		m.Step = func(string) {}
	}
	return m
}

func (o Options) filled() (Options, error) {
	o.Machine = o.Machine.filled()
	if o.Within == 0 {
		o.Within = DefaultWithin
	}
	switch {
	case o.Within < shortest || o.Within > longest:
		return o, fail(Invalid, "the time to confirm is "+o.Within.String()+": it must be between "+shortest.String()+" and "+longest.String(), nil)
	case len(o.Load) == 0:
		return o, fail(Invalid, "there are no rules to apply", nil)
	case o.StateDir == "":
		return o, fail(State, "no folder for the journal was given", nil)
	}
	return o, nil
}
