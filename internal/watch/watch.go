package watch

import (
	"context"

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
}

// Sink takes notices somewhere. Send may block no longer than ctx allows; a
// notice for which it returned nil is the sink's to deliver. Close flushes.
type Sink interface {
	Send(ctx context.Context, n *Notice) error
	Close(ctx context.Context) error
}
