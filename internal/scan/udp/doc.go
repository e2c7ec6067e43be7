// Package udp asks UDP endpoints of this host one by one.
//
// Terms. A request is a well-formed first message of the protocol that a
// port's number suggests, chosen so that a server answers it without logging
// in and without changing anything; the table is payloads.txt. Ports without
// one get an empty datagram. An answer makes the endpoint open, an ICMP
// port-unreachable closed, another ICMP unreachable filtered; silence after
// all tries is open|filtered, never open.
//
// Requests are repeated, because servers and the kernel's ICMP rate limits
// lose some. A server may answer from another port (TFTP does): any datagram
// from the asked address to the asking socket is an answer.
//
// Locking: none. Ask runs in the goroutine that called it and opens all its
// sockets there, so a caller on a locked thread asks in that thread's network
// namespace.
package udp
