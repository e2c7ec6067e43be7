// Package syn asks TCP ports of this host's own addresses with raw SYN
// segments, for those who hold CAP_NET_RAW.
//
// Terms. A probe is one SYN from a reserved source port of the address that
// is asked; its sequence number is a cookie from which an answer's port can
// be told even where address translation rewrote the rest. A session is one
// set of sockets with its own reserved ports and cookie key; a sweep makes up
// to three sessions, each asking what the one before left without an answer.
// The grace is how long a session listens on after its last probe. A canary
// is a probe to a port that this process itself holds closed: its answer is
// known, so a missing one is loss.
//
// Why not connect(2). A program may answer from a packet socket with a
// SYN-ACK of its own while the kernel, which knows no such listener, answers
// RST, usually first. connect sees the RST only. Here a SYN-ACK wins over a
// RST whichever came first, and nothing is settled before the grace is over.
// Such a program has a receive queue like everyone; a QueueWatch tells how
// full it is, and the sweep waits rather than overrun it.
//
// How answers are heard. A raw socket hears what passed address translation
// and the input rules (so a port that is only a DNAT rule is seen as the
// caller would see it); a packet socket on loopback hears SYN-ACKs before any
// rule may drop them; an ICMP socket hears refusals.
//
// Locking: none. A Sweep runs in the goroutine that called it and opens all
// its sockets there, so a caller on a locked thread scans that thread's
// network namespace. One Transport serves one Sweep at a time.
//
// It never sends from an address that is not this host's (the kernel checks
// each probe), never completes a handshake (the kernel answers a SYN-ACK to
// the reserved port with RST) and sends no payload.
package syn
