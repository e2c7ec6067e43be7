package watch

import (
	"context"
	"encoding/json"
	"time"

	"github.com/portreeve/portreeve/internal/exposure"
	"github.com/portreeve/portreeve/internal/history/drift"
)

// Notice is one thing that the watch tells: a change, judged.
type Notice struct {
	// ID names the notice: the same ID is the same notice, also when it is
	// sent again after a restart or a lost answer.
	ID string `json:"id"`
	drift.Change
	// Finding is what the change means by the policy and the baseline; nil
	// for a change that needs nobody.
	Finding *exposure.Finding `json:"finding"`
	// Resolved: the finding is over with this change.
	Resolved bool `json:"resolved,omitempty"`
	// Repeats is how many changes of the same kind on the same endpoint were
	// held back since the last notice (flapping).
	Repeats int `json:"repeats,omitempty"`
	// Maintenance names the window that was open; nobody is paged.
	Maintenance string `json:"maintenance,omitempty"`
	Host        string `json:"host"`
	// Source is how the change is known: bpf, sock_diag, listing, audit,
	// baseline, schedule.
	Source string `json:"source,omitempty"`
}

// noticeFields are Notice without its methods and those of drift.Change.
type noticeFields struct {
	ID          string            `json:"id"`
	Kind        drift.Kind        `json:"kind"`
	Endpoint    string            `json:"endpoint"`
	Before      *exposure.Socket  `json:"before"`
	After       *exposure.Socket  `json:"after"`
	At          time.Time         `json:"at"`
	Host        string            `json:"host"`
	Source      string            `json:"source,omitempty"`
	Finding     *exposure.Finding `json:"finding"`
	Resolved    bool              `json:"resolved,omitempty"`
	Repeats     int               `json:"repeats,omitempty"`
	Maintenance string            `json:"maintenance,omitempty"`
}

// MarshalJSON writes one flat object: {id, kind, endpoint, before, after, at,
// host, source, finding, resolved, repeats, maintenance}.
func (n Notice) MarshalJSON() ([]byte, error) {
	return json.Marshal(noticeFields{n.ID, n.Kind, n.Endpoint.String(), n.Before, n.After, n.At.UTC(),
		n.Host, n.Source, n.Finding, n.Resolved, n.Repeats, n.Maintenance})
}

// Sink takes notices somewhere. Send may block no longer than ctx allows; a
// notice for which it returned nil is the sink's to deliver. Close flushes.
type Sink interface {
	Send(ctx context.Context, n *Notice) error
	Close(ctx context.Context) error
}

// Told is one line of change as it is printed and recorded.
type Told struct {
	drift.Change
	Source      string // bpf, sock_diag, listing, baseline
	Maintenance string // the window that was open; "" none
	Host        string
}

// MarshalJSON writes {kind, endpoint, before, after, at, host, source}.
func (t Told) MarshalJSON() ([]byte, error) {
	return json.Marshal(struct {
		Kind        drift.Kind       `json:"kind"`
		Endpoint    string           `json:"endpoint"`
		Before      *exposure.Socket `json:"before"`
		After       *exposure.Socket `json:"after"`
		At          time.Time        `json:"at"`
		Host        string           `json:"host"`
		Source      string           `json:"source"`
		Maintenance string           `json:"maintenance,omitempty"`
	}{t.Kind, t.Endpoint.String(), t.Before, t.After, t.At.UTC(), t.Host, t.Source, t.Maintenance})
}

// Verdict is a finding that was told or is over, to be recorded.
type Verdict struct {
	Finding  exposure.Finding
	Since    time.Time // when it began to hold
	At       time.Time // when it was told, or was over
	Resolved bool
	NoticeID string
}

// Out is what an engine has to say, in order.
type Out struct {
	Changes  []Told
	Notices  []Notice
	Verdicts []Verdict
	// Lost are what a full table made the engine let go, one sentence each.
	Lost []string
}

// Judge says what listeners mean. Its findings' IDs are the same for the same
// situation.
type Judge interface {
	// Listener judges one row by itself.
	Listener(s *exposure.Socket, at time.Time) []exposure.Finding
	// Host judges what is open as a whole (what is missing).
	Host(open []*exposure.Socket, at time.Time) []exposure.Finding
}
