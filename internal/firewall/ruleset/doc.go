// Package ruleset is the model of a packet filter and answers what it does
// with a packet. Dialect readers (nftables, iptables) translate into it; it
// knows no dialect and does no I/O.
//
// Terms. A chain is a list of rules; a base chain is bound to a hook with a
// priority and a default policy. A rule is a list of steps, taken in order: a
// match that fails ends the rule, a verdict ends it with a decision, and
// other steps change the packet (mark, destination). A match compares fields
// of the packet with sets of values; what the model does not understand is an
// atom: a condition that may be true or false, with the reason.
//
// The walk is symbolic. A class is a set of packets that have met the same
// rules: for every field the values it may have, and the atoms that it
// assumes. A match that splits a class makes two. At the end every class is
// accepted or dropped, and the answer follows from which classes there are:
// all accepted, none, some (it depends on what the sender may choose or
// where he is), or undecided (only classes that assume an atom which is not
// understood make the difference).
//
// What a packet "of a stranger" is, field by field, is told in stranger.go.
// Two regions are kept apart: everything that a stranger could send, and what
// an ordinary stranger sends (source ports from 1024, no IP options, …). A
// verdict is permit when every ordinary stranger passes, deny when no
// stranger at all does.
//
// A RuleSet is built by one goroutine and must not change after Prepare;
// then any number of goroutines may ask. Nothing here logs, reads the clock
// or keeps global state.
package ruleset
