// Package synack asks a host for one handshake's first answer and describes
// what the headers of the answer say about the TCP/IP stack that made it.
//
// Terms. A question is one SYN with the options that an ordinary modern client
// sends (maximum segment size, SACK permitted, timestamps, window scale), to a
// port known open; where a port known closed is given, the same SYN goes there
// too, for its RST, and one ICMP echo request for its reply's TTL. A Print is
// all that was heard of one host. A Layout is the order of the options in a
// TCP header, one letter each.
//
// The first SYN of a question is an ECN-setup SYN (RFC 3168 section 6.1.1), as
// many clients send; the repetitions are plain ones, because some gateways
// drop the former. Every packet is well formed. A handshake is never
// completed: the source port is held by a bound socket that does not listen,
// so the kernel answers a SYN-ACK with RST.
//
// Locking: none. Ask runs in the goroutine that called it and opens all its
// sockets there, so a caller on a locked thread asks in that thread's network
// namespace. It needs CAP_NET_RAW; without it the error wraps
// fs.ErrPermission.
//
// It never sends from an address that is not this host's, never sends a
// payload, never sends flags or options that a client's kernel would not.
package synack
