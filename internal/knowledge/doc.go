// Package knowledge says what a port means: the name that the registry gives
// it, and advice on the services that people really meet there: who runs
// them, why they may be safe, when they are not, what closing them breaks and
// how they are closed.
//
// Terms. The registry is IANA's table of service names; an Entry is one
// assignment of it. Advice is our own table: one Advice describes one
// service. A port may be claimed by several services: at most one claims it as
// its own (Ports), others may be met there too (Also). Candidates gives all of
// them, Advice the one that owns the port, AdviceAt the one that fits what is
// known of the process or of the protocol that was spoken.
//
// A port number proves nothing. What the table says of a port is what is
// usually there; what is there on this host is the word of the other views.
//
// A Book is immutable after Open and safe for concurrent use. Names are
// answered straight from the embedded table and cost no start-up; the advice
// table is unpacked at the first question that needs it (Advice, AdviceFor,
// AdviceAt, Candidates, All, and ByName), once.
//
// The package does no I/O, asks no clock and never judges: severity, verdicts
// and plans are the work of the rooms above. Sources and the way to add an
// entry are in docs/knowledge.md; the generator is in gen.
package knowledge

//go:generate go run ./gen
