package history

import (
	"errors"
	"net/netip"
	"time"

	"github.com/portreeve/portreeve/internal/exposure"
	"github.com/portreeve/portreeve/internal/history/drift"
)

// Errors of this package; compare with errors.Is.
var (
	// ErrUnsupported is the answer where SQLite was not built in.
	ErrUnsupported = errors.New("history: this build of portreeve has no SQLite (this system and processor have no port of it)")
	// ErrNone: there is no history yet.
	ErrNone = errors.New("no history yet")
	// ErrCorrupt: the file is no history, or a damaged one.
	ErrCorrupt = errors.New("the history file is damaged or is no history")
	// ErrNewer: a later version of the program wrote the file.
	ErrNewer = errors.New("the history was written by a newer portreeve")
	// ErrFull: the disk, or the file's size limit, is full.
	ErrFull = errors.New("no space left for the history")
	// ErrReadOnly: the file or its folder may not be opened or written.
	ErrReadOnly = errors.New("the history, or its folder, may not be opened or written")
	// ErrBusy: another process held the file for too long.
	ErrBusy = errors.New("the history is in use by another process")
	// ErrNoSnapshot: no snapshot has that name.
	ErrNoSnapshot = errors.New("no such snapshot")
	// ErrNameTaken: a snapshot has that name already.
	ErrNameTaken = errors.New("a snapshot has that name already")
)

// FileName is the history's name in the state directory.
const FileName = "history.db"

// Options say how a history is opened.
type Options struct {
	// ReadOnly never creates and never changes it; without a file the answer
	// is ErrNone.
	ReadOnly bool
	// Clock tells the time for pruning; nil never prunes.
	Clock func() time.Time
	// Busy is how long to wait for another process; 0 is 10 s.
	Busy time.Duration
	// Keep bounds what is kept; zero fields have their defaults.
	Keep Retention
}

// Snapshot is one kept snapshot, without its rows.
type Snapshot struct {
	Name     string
	Taken    time.Time
	Host     string
	View     drift.View
	Source   string // who took it: baseline, audit, watch; "" not known
	Sockets  int    // rows
	Gaps     int    // what could not be seen
	Default  bool   // what `diff` compares with unless told otherwise
	Baseline bool   // saved by a person; never pruned
}

// Minute is what one client did at one endpoint within one minute. At is cut
// to its minute.
type Minute struct {
	At       time.Time
	Endpoint exposure.Endpoint // NetNS and Device are not kept
	Client   netip.Addr
	Packets  uint64
	Bytes    uint64
	// Connections that began in this minute, as far as the source tells.
	Connections uint64
}

// Watched is a span in which every use would have been seen.
type Watched struct {
	From, To time.Time
	// What was watched: WatchUsage or WatchListeners.
	What string
	// Source says by what: "packets", "connections in the kernel's table".
	Source string
}

// What a Watched span is about.
const (
	WatchUsage     = "usage"
	WatchListeners = "listeners"
)

// Event is a change as it was seen, with where it is known from: "bpf",
// "sock_diag", "listing", "baseline", "audit".
type Event struct {
	drift.Change
	Source string
}

// Life is one listener from its opening to its end.
type Life struct {
	Endpoint exposure.Endpoint
	Socket   exposure.Socket // as last seen
	// Opened is when it opened; Exact tells that it was seen to, else it was
	// only found open then. Seen is when it was last known open. Closed is
	// zero while it is open.
	Opened, Seen, Closed time.Time
	Exact                bool
	// Ended says how: a drift.Kind; "" while it is open.
	Ended drift.Kind
	// Source is by whose word it opened, EndSource by whose it ended.
	Source, EndSource string
}

// Client is one that used a port.
type Client struct {
	Addr           netip.Addr
	First, Last    time.Time // to the minute, hour or day that is kept
	Packets, Bytes uint64
	Connections    uint64
}

// FindingLife is a finding from when it was first raised.
type FindingLife struct {
	exposure.Finding
	Source       string
	Opened, Seen time.Time
	Resolved     time.Time // zero while it stands
}

// Story is all that is known of one port.
type Story struct {
	Proto    exposure.Proto
	Port     uint16
	Since    time.Time // zero: from the beginning
	Lives    []Life    // newest first
	Events   []Event   // newest first
	Clients  []Client  // most recent first
	Findings []FindingLife
	// ClientCount and EventCount are the full numbers; Clients and Events are
	// cut to a bounded number. OtherClients were too many to be kept by their
	// address: so many of them in one minute, hour or day at least.
	ClientCount, EventCount, OtherClients int
	// From is the earliest moment that the history knows anything of; zero
	// when it is empty. Usage and Listeners are how much time since Since was
	// watched, LastUsage when that ended.
	From      time.Time
	Usage     Coverage
	Listeners Coverage
	// Snapshots since Since: how many, the first and the last.
	Snapshots                   int
	FirstSnapshot, LastSnapshot time.Time
}

// Coverage is how much of a window was watched.
type Coverage struct {
	From, To time.Time     // first and last moment watched within the window
	Watched  time.Duration // the time in between that was really watched
	Sources  []string
}

// Use is who used one endpoint since some moment.
type Use struct {
	Endpoint exposure.Endpoint
	Clients  []netip.Addr // at most a bounded number
	Count    int
	Packets  uint64
	Last     time.Time // zero: nobody came
	AtLeast  bool      // there may have been more clients than Count
}
