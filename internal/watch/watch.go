package watch

import (
	"encoding/json"
	"time"

	"github.com/portreeve/portreeve/internal/exposure"
	"github.com/portreeve/portreeve/internal/history/drift"
	"github.com/portreeve/portreeve/internal/watch/sink"
)

// Notice and Sink live with the sinks.
type (
	Notice = sink.Notice
	Sink   = sink.Sink
)

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
	// Group is who found it and Place where: what Resume wants back.
	Group string
	Place exposure.Endpoint
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
