// Package exposure is the vocabulary that every room speaks: Socket, Process,
// PortState, Permit, Usage, Finding. A view (host, scan, firewall, …)
// translates what its kernel, wire or file said into these values; the join
// reads nothing else.
//
// Terms. An endpoint is where a stranger may knock: protocol, address, port,
// and the network namespace and bound device that make it one of its kind. A
// socket is one row of the host view: one service, however many kernel
// sockets and processes hold it. A port state is what the network answered. A
// permit is what the firewall says of a stranger's new packet. A gap is
// something that a view could not see, with the reason.
//
// Everything here is plain data: no I/O, no clock, nothing but the standard
// library, safe for concurrent reading. JSON tags are the fields of the
// command contract; a field may be added, none may change meaning within a
// schema number.
package exposure
