package tui

import (
	"time"

	"github.com/portreeve/portreeve/internal/traffic/flow"
)

// Feed is where the view's flows come from.
type Feed interface {
	// Read hands every flow of now to visit, until that returns false, and
	// tells how the source fares. Totals are cumulative: a flow's begin with
	// the flow, the Status's with the source. A flow that is not handed over
	// any more is taken for forgotten; what was counted of it stays counted.
	//
	// The flow is used during the call only. visit is quick (about 0.2 µs),
	// does not block and calls nothing of the feed, so a lock may be held.
	// Read is called by one goroutine at a time.
	Read(visit func(*flow.Flow) bool) Status
}

// Status is how the source fares. Texts may come from outside.
type Status struct {
	Interfaces []string
	Source     string    // how it counts, in two words or so ("in-kernel counters"); may be empty
	Since      time.Time // when counting began
	// Packets and Bytes are all that was counted, also what is of no flow.
	Packets, Bytes uint64
	// Dropped is how many packets were lost before they could be counted;
	// DropsKnown is false where the source cannot tell.
	Dropped    uint64
	DropsKnown bool
	// Grade is what flow.Judge says; without a letter the view judges by the
	// drops alone.
	Grade flow.Grade
	// Err is why the source has ended; nil while it goes on.
	Err error
}
