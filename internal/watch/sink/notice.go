package sink

import (
	"bytes"
	"context"
	"encoding/json"
	"time"

	"github.com/portreeve/portreeve/internal/exposure"
	"github.com/portreeve/portreeve/internal/history/drift"
	"github.com/portreeve/portreeve/internal/report"
)

// Notice is one thing that the watch tells: a change, judged.
type Notice struct {
	// ID names the notice: the same ID is the same notice, also when it is
	// sent again after a restart or a lost answer.
	ID string
	drift.Change
	// Finding is what the change means by the policy and the baseline; nil
	// for a change that needs nobody.
	Finding *exposure.Finding
	// Resolved: the finding is over with this change.
	Resolved bool
	// Repeats is how many changes of the same kind on the same endpoint were
	// held back since the last notice (flapping).
	Repeats int
	// Maintenance names the window that was open; nobody is paged.
	Maintenance string
	Host        string
}

// Sink takes notices somewhere. Send may block no longer than ctx allows; a
// notice for which it returned nil is the sink's to deliver. Close flushes
// what it can before ctx ends.
type Sink interface {
	Send(ctx context.Context, n *Notice) error
	Close(ctx context.Context) error
}

// document is a notice as the contract writes a change, with what the watch
// adds.
type document struct {
	ID          string            `json:"id"`
	Kind        drift.Kind        `json:"kind"`
	Endpoint    string            `json:"endpoint"`
	Before      *exposure.Socket  `json:"before"`
	After       *exposure.Socket  `json:"after"`
	At          time.Time         `json:"at"`
	Finding     *exposure.Finding `json:"finding"`
	Resolved    bool              `json:"resolved,omitempty"`
	Repeats     int               `json:"repeats,omitempty"`
	Maintenance string            `json:"maintenance,omitempty"`
	Host        string            `json:"host"`
}

// MarshalJSON writes {id, kind, endpoint, before, after, at, finding,
// resolved, repeats, maintenance, host}; the endpoint is proto/addr:port.
func (n *Notice) MarshalJSON() ([]byte, error) {
	return json.Marshal(document{
		ID: n.ID, Kind: n.Kind, Endpoint: n.Endpoint.String(), Before: n.Before, After: n.After, At: n.At.UTC(),
		Finding: n.Finding, Resolved: n.Resolved, Repeats: n.Repeats, Maintenance: n.Maintenance, Host: n.Host,
	})
}

// Line is the notice as one line of JSON with its newline: valid UTF-8, and
// whatever a terminal might obey is escaped.
func (n *Notice) Line() ([]byte, error) {
	var indented bytes.Buffer
	if err := report.JSON(&indented, n); err != nil {
		return nil, err
	}
	var line bytes.Buffer
	if err := json.Compact(&line, indented.Bytes()); err != nil {
		return nil, err
	}
	return append(line.Bytes(), '\n'), nil
}

// Severity is the finding's; info without one, and for a finding that is over.
func (n *Notice) Severity() exposure.Severity {
	if n.Finding == nil || n.Resolved {
		return exposure.Info
	}
	return n.Finding.Severity
}

// socket is the end that there is: afterwards, else before. It is never nil.
func (n *Notice) socket() *exposure.Socket {
	switch {
	case n.After != nil:
		return n.After
	case n.Before != nil:
		return n.Before
	}
	return new(exposure.Socket)
}
