// Package cisco reads access lists of Cisco systems (IOS, IOS-XE, IOS-XR,
// NX-OS, ASA, FTD, PIX) and of Arista EOS, which writes them alike: out of
// configurations, and out of what "show access-lists" and its relatives print.
//
// Every list becomes a chain of its own, bound to the interfaces that the
// configuration applies it to. Entries are in the order of their sequence
// numbers; what no entry fits is denied (Policy), after the neighbour
// discovery that IPv6 lists permit by themselves. A list without entries
// permits all on IOS. ASA lists see the first packet of a connection only
// (Stateful); the others see every packet.
//
// Masks are taken as each system writes them: wildcard bits on IOS, netmasks
// on ASA, prefixes everywhere. A mask with holes is exact. Object groups may
// nest; a circle is a problem and makes the entry one that may do anything.
// Host names (fqdn) are not resolved: they may be any address.
//
// An entry that holds a word which is not understood is a problem with its
// line and column; the entry then fits or not, nobody knows. Times, reflexive
// lists and other conditions that are understood but depend on more than the
// packet are atoms.
//
// Sources: the vendors' command references for "access-list", "ip
// access-list", "ipv6 access-list", "object-group" and "access-group"; the
// tables of names are in ports.tsv, icmp.tsv and protocols.tsv.
package cisco
