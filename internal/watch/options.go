package watch

import (
	"time"

	"github.com/portreeve/portreeve/internal/exposure"
)

// Defaults of Options.
const (
	DefaultSettle  = 2 * time.Second
	DefaultHold    = 10 * time.Second
	DefaultMissing = time.Minute
	DefaultClear   = 30 * time.Second
)

// Options say how changes are joined and judged.
type Options struct {
	Host string
	// Self is the namespace that jobs (audits) are about.
	Self string
	// Settle is how long a closing waits for the same program to come back;
	// 0 tells each closing at once.
	Settle time.Duration
	// Hold is how long a finding must hold before it is told, Missing the same
	// for what should listen and does not, Clear how long it must be gone.
	Hold, Missing, Clear time.Duration
	// Notify is the least severity that the sinks get; all are recorded.
	Notify exposure.Severity
	Flap   Flapping
	Judge  Judge // nil: nothing is judged
	// Maintenance names the window that is open for a socket at a time; nil or
	// "" none. The socket is nil for what is about the whole host.
	Maintenance func(at time.Time, s *exposure.Socket) string
	Limits      Limits
}

// Flapping says when an endpoint changes too often: more than Changes times
// Within. Then it is told each First, twice that, … up to Most.
type Flapping struct {
	Changes int
	Within  time.Duration
	First   time.Duration
	Most    time.Duration
}

// DefaultFlapping is used for zero fields.
var DefaultFlapping = Flapping{Changes: 6, Within: time.Minute, First: time.Minute, Most: time.Hour}

// Limits bound what is kept.
type Limits struct {
	Rows      int // listeners
	Members   int // kernel sockets of one row that are told apart
	Findings  int
	Endpoints int // endpoints whose recent changes are remembered
}

// DefaultLimits are used for zero fields: some 300 MiB if all are full.
var DefaultLimits = Limits{Rows: 100_000, Members: 4096, Findings: 20_000, Endpoints: 16_384}

func (o Options) withDefaults() Options {
	o.Flap.Changes = orInt(o.Flap.Changes, DefaultFlapping.Changes)
	o.Flap.Within = orTime(o.Flap.Within, DefaultFlapping.Within)
	o.Flap.First = orTime(o.Flap.First, DefaultFlapping.First)
	o.Flap.Most = max(orTime(o.Flap.Most, DefaultFlapping.Most), o.Flap.First)
	o.Limits.Rows = orInt(o.Limits.Rows, DefaultLimits.Rows)
	o.Limits.Members = orInt(o.Limits.Members, DefaultLimits.Members)
	o.Limits.Findings = orInt(o.Limits.Findings, DefaultLimits.Findings)
	o.Limits.Endpoints = orInt(o.Limits.Endpoints, DefaultLimits.Endpoints)
	if o.Notify == "" {
		o.Notify = exposure.Medium
	}
	return o
}

func orInt(n, or int) int {
	if n <= 0 {
		return or
	}
	return n
}

func orTime(d, or time.Duration) time.Duration {
	if d <= 0 {
		return or
	}
	return d
}
