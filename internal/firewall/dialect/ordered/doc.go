// Package ordered prepares a rule file for languages of ordered rules, in which
// the first rule that fits decides (nftables, iptables, access lists, pf with
// quick): the active rules with their lists put in order and joined, texts
// that are safe to stand in a comment, and what a language cannot say.
//
// What a language cannot say never makes the result permit more: a permit is
// left out, a deny loses the condition and denies more. Either is a note.
package ordered
