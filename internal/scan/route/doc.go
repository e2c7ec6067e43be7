// Package route says which way a packet to an address leaves this host, and
// who the neighbours on a link are: what an asker that builds its own frames
// must know beforehand.
//
// Terms. A path is the kernel's answer for one destination: interface, source
// address, gateway, link kind. A next hop is the gateway or, on the link, the
// destination. A cell is a range of destinations between two neighbouring
// cuts; a cut is an end of any route's or rule's prefix, of an own address's
// match length (IPv6 source choice, RFC 6724 section 5 rule 8), or of an
// address label. All destinations of a cell have the same path, so the kernel
// is asked once a cell (RTM_GETROUTE) and never guessed at: policy rules, VRFs
// and source choice are its own. Of several equal next hops it picks one; any
// is right. Rules that look at protocol, port or mark are answered as for a
// packet that has none.
//
// As connect(2) does for IPv4, where rules look at the source address the
// kernel is asked a second time with the source it chose.
//
// Neighbours. Resolve takes what the kernel's neighbour table knows and asks
// the rest itself (ARP, RFC 826; neighbour solicitation, RFC 4861) from a
// packet socket, so that the kernel's table does not grow. Answers are what
// the link says: anyone on it can lie, as to the kernel.
//
// Changes. The answers are those of when they were asked. Down and Check read
// what the kernel has announced since: an interface down or without carrier,
// a route gone. Both cost one system call where nothing happened.
//
// Locking: a Table may be used by several goroutines. Open and Resolve open
// their sockets in the calling goroutine, in its thread's network namespace;
// later use from any thread stays there. It changes no route, neighbour or
// setting.
package route
