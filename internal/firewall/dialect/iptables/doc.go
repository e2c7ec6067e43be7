// Package iptables reads what iptables-save(8) and ip6tables-save(8) print,
// of the legacy and of the nft variant, and files in that format, into the
// rule model of package ruleset. IP sets are read from `ipset save`.
//
// Every line is untrusted. A line that cannot be read is reported with its
// number and becomes a rule that may do anything, so that it can only make a
// verdict unknown, never wrong. A match that is not understood is an atom
// that names it.
//
// The semantics are those of iptables-extensions(8); where the manual is
// silent, of the kernel's net/netfilter/xt_*.c.
package iptables
