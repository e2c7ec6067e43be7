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

// Line is a change as JSON writes it (portreeve.diff/1).
type Line struct {
	Kind     Kind             `json:"kind"`
	Endpoint string           `json:"endpoint"` // proto/addr:port
	Before   *exposure.Socket `json:"before"`
	After    *exposure.Socket `json:"after"`
	At       time.Time        `json:"at"`
}

// Line gives the change its JSON shape. Change itself has no MarshalJSON: what
// embeds it would inherit that.
func (c *Change) Line() Line {
	return Line{c.Kind, c.Endpoint.String(), c.Before, c.After, c.At}
}

// Socket is the listener that the change is about: After, or Before when it
// closed.
func (c *Change) Socket() *exposure.Socket {
	if c.After != nil {
		return c.After
	}
	return c.Before
}

// Result is what Compare found.
type Result struct {
	// Changes are sorted by namespace, protocol, port, address and kind.
	Changes []Change
	// Gaps say what could not be compared, and why.
	Gaps []exposure.Gap
	// Before and After are how many listeners were compared.
	Before, After int
}
