package drift

import (
	"time"

	"github.com/portreeve/portreeve/internal/exposure"
)

// Kind is how a listener changed.
type Kind string

// Kinds of the command contract.
const (
	Opened       Kind = "opened"
	Closed       Kind = "closed"
	Replaced     Kind = "replaced"      // the same program on the same endpoint, a new process
	OwnerChanged Kind = "owner-changed" // another program on the same endpoint
	ScopeChanged Kind = "scope-changed" // the same program and port, another address
)

// Change is one difference between two moments. Endpoint is the one that is
// open afterwards, or was before when nothing is. Before is nil for Opened,
// After for Closed.
type Change struct {
	Kind     Kind              `json:"kind"`
	Endpoint exposure.Endpoint `json:"-"` // as text, proto/addr:port, in JSON
	Before   *exposure.Socket  `json:"before"`
	After    *exposure.Socket  `json:"after"`
	At       time.Time         `json:"at"`
}
