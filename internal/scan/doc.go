// Package scan asks what answers: the network view.
//
// Terms. A vantage is where the questions come from. A probe is one question;
// a port state is what an answer (or its absence) says, with the reason, in
// nmap's words. A control is a random high port, asked to learn whether
// everything answers. A canary is a probe of which the answer is known, so
// that a missing one is loss. A gap is what could not be asked; it is never a
// state.
//
// Three ways in. Self asks this host's own addresses from this host, for the
// audit, and Ask asks single endpoints of it again. Survey asks other
// machines, for `portreeve scan`; own addresses among its targets it asks as
// Self does. ReadVantage reads what a scan made elsewhere saw, and Merge joins
// several.
//
// # A survey
//
// Its stages, in order: look for hosts, ask TCP ports, ask controls, ask UDP
// ports, recognise services, guess systems. Each leaves what it learned in the
// survey; a cancelled ctx or a way that is gone ends it after a stage with a
// gap, and what is known is the result. What is asked is a work list (Work):
// probe number i, already permuted. An Asker asks one and tells each settled
// probe once. A ledger keeps the answers, little of each, since there may be
// millions; a cursor knows which numbers are settled, which with the ledgers
// is all that a saved State needs to go on.
//
// The rooms:
//
//	target      what is asked: addresses, ports, exclusions; the scope guard
//	order       which probe comes when: a computed permutation, shards
//	pace        how many may be sent now: capacity from loss, trackers' budget
//	route       which way a packet leaves: paths, neighbours, links that go down
//	discover    which hosts are up
//	syn         raw SYN to own addresses
//	syn/wide    raw SYN to other machines
//	connect     connect(2), for those without privilege
//	udp         UDP requests, ICMP limits waited for
//	unreach     reasons of ICMP errors
//	identify    what speaks at a port; signatures of others that are installed
//	osguess     which system a host runs
//	nmapxml     nmap's formats, in and out
//	sockaddr    addresses for system calls
//
// Rooms do not know this package: each says in interfaces of its own what it
// needs, and ways.go and sweep.go fit them together.
//
// # Limits
//
// A self-scan goes over loopback: it does not meet the hooks, rules and
// interfaces that a stranger's packets meet (docs/scan.md). A listener bound to
// a device hears what is asked of that device's addresses (the kernel counts
// such a packet as received there), not what is asked of others. A survey keeps
// at most 4,194,304 hosts.
//
// Locking: none; every function may be called from several goroutines. All
// sockets are opened by the calling goroutine, so a caller on a locked thread
// scans that thread's network namespace. A survey's Progress and Save are
// called one at a time, while it waits for them.
//
// It never logs in, never sends anything but the probes that docs/scan.md
// lists, and never sends to an address that is not among those given, but for
// the neighbours on the way to them (ARP and neighbour solicitations).
package scan
