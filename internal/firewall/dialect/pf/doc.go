// Package pf reads pf.conf(5) of OpenBSD, FreeBSD (and what is built on it),
// NetBSD and macOS, and the rules that `pfctl -sr` prints, into the rule model
// of package ruleset.
//
// In pf the last rule that fits decides, unless one with "quick" fits before.
// The same verdicts come from the other order: the quick rules as they stand,
// then the others from the last to the first, then pass. That is how the two
// chains "in" and "out" are built; a forwarded packet meets both. Rules inside
// an anchor's braces stand where the anchor does.
//
// A rule that keeps state sees a connection's first packet only; where any
// rule keeps none, answers are not certain. Translation is read: rdr-to and
// rdr change the destination before what follows looks at it.
//
// A table holds what the file puts into it; what pfctl or a rule adds while pf
// runs is not seen.
//
// What a file does not tell is unknown, with the reason: tables filled from
// other files, anchors that other programs fill, addresses of interfaces
// ("(em0)", "em0:network") unless they are given, host names, users.
// Anything that is not understood is a problem with its line and column, and
// a rule that may do anything.
package pf
