// Package target says what a scan asks: which addresses, which ports, and
// whether the scan may be that large.
//
// Terms. A spec is one target as a person types it: a name, an address, a
// CIDR prefix, a range, nmap's octet lists. A Set is the addresses that specs
// stand for, as disjoint ranges in order: IPv4 before IPv6, link-local
// addresses by zone (interface) after those without. A hole is what is taken
// out: --exclude, the policy's never-scan. A note is for the person to read; a
// gap is what was wanted and cannot be scanned.
//
// What specs mean. The first and last address of a prefix are asked like all
// others, as nmap does: on a point-to-point link or behind a router they may
// be hosts. Overlaps count once. IPv4-mapped IPv6 (::ffff:10.0.0.1) is the
// IPv4 address in it. A name stands for one address, IPv4 before IPv6, unless
// the request says otherwise; a note tells of its other addresses. Under
// exclusion a name stands for all its addresses, an address without zone for
// itself on every interface, and nothing is too large. What no port can be
// asked of (multicast, 255.255.255.255, the unspecified address) is refused,
// also inside of a range. An IPv6 range of more than 65,536 addresses is
// refused: sweeping a /64 takes longer than anybody waits, and its hosts are
// known from names or evidence.
//
// Files hold specs between white space, # begins a comment; or they are one
// portreeve.host/1, portreeve.scan/1 or portreeve.audit/1 document, told apart
// by content.
//
// The scope guard (Guard) counts the addresses that are neither reserved for
// other than public use (special.txt, from IANA's special-purpose registries)
// nor owned. What is not known to be reserved counts as public: 6to4, Teredo
// and NAT64 lead to the public IPv4 network, and unassigned space may be
// assigned tomorrow. It counts the whole set, however it was cut up, so
// callers guard the set before they cut it into shards.
//
// Memory. A set costs 56 bytes a range and never depends on how many
// addresses there are; the bounds are in limits.go.
//
// Locking: none. A Set never changes after it was made and may be used from
// several goroutines. Parse looks names up from several goroutines, so the
// Resolver must allow that (*net.Resolver does).
//
// It never sends anything; only the Resolver that is handed in does. It opens
// no file and knows no clock.
package target
