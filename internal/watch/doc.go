// Package watch follows the listeners of this host, judges each change by
// policy and baseline, and tells it to sinks so that flapping and restarts
// page nobody.
//
//	e := watch.NewEngine(watch.Options{…})
//	e.Start(listing)             // what is open now; changes are told from here
//	e.Event(ev)                  // the kernel said that something changed
//	e.Listed(rows, begun, now)   // what events missed
//	e.Tick(now)                  // what is due: e.Next() says when
//	out := e.Take()              // changes, notices, findings, what was let go
//
// Terms. A row is one service on one endpoint: the kernel sockets (members) of
// one program. A change is a row that opened or closed, or whose owner or
// address became another (drift.Kind). A finding is what a row, or the whole
// host, means by the policy and the baseline. A notice is what the sinks get:
// a change, or a finding that is told or over.
//
// Settling. A listener that has been open for longer than Options.Settle and
// closes may be restarting: its closing waits that long. When the same program
// opens the same endpoint again the two are one change, replaced; another
// program there is owner-changed; the same program on another address of the
// port is scope-changed. A listener that lived shorter than half a second is told
// as opened and closed at once. Whenever a line comes, its time is the real one.
//
// Hysteresis. A finding is told when it has held for Options.Hold, and is over
// when it has been gone for Options.Clear. Until it is over it is told once,
// also over a restart of the program (Resume). In a maintenance window nothing
// is told; what still holds after it is told then.
//
// Flapping. An endpoint that changes more than Flap.Changes times within
// Flap.Within gets one notice with the count, and then one each interval,
// which doubles from Flap.First to Flap.Most. The changes themselves are all in
// Out.Changes.
//
// Memory. Every table is bounded (Limits); what does not fit is said in
// Out.Lost, never dropped in silence.
//
// Locking. An Engine belongs to one goroutine. It has no clock and does no
// I/O: each call carries the time. Run is the loop that gives it events,
// listings and the clock, and may be stopped by its context only.
//
// It never changes a socket, a file or a service.
package watch
