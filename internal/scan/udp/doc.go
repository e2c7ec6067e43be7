// Package udp asks UDP ports: of other hosts over the network (Transport), or
// of this host one by one (Asker).
//
// Terms. A request is a well-formed first message of the protocol that a
// port's number suggests, chosen so that a server answers it without logging
// in and without changing anything; the table is payloads.txt, and
// docs/udp-probes.md lists it. Ports without one get an empty datagram first,
// then the few requests marked always. An answer makes a port open, an ICMP
// port-unreachable closed, another ICMP unreachable filtered; silence is
// open|filtered, never open.
//
// A refusal is any ICMP unreachable. Hosts limit those: a token is the right to
// send one. A probe that meets a closed port without a token is lost, so
// silence is valid only where a token was there. A control is a port known to
// refuse, asked to learn whether a token is there; a walk asks the ports that
// are still unknown again (type host); the estimate of a host's bucket and of
// the time of its next token is type limit. A canary is a service that answered
// and is asked again, to measure loss. A stray answer comes from another port
// than the asked one (TFTP does that by design).
//
// How it is made. The engine decides what is sent when and what an answer
// means; it knows no socket and no clock, so a test can run it against a
// simulated network. It asks numbers of a Work as its window allows and keeps
// one host value per address. Sweep is the loop around it: a few unconnected
// sockets for any number of hosts, whose error queues (IP_RECVERR, ip(7)) name
// the destination that an ICMP error is about, so no privilege is needed.
//
// What it cannot do faster: each closed port needs a token of its own. With
// Linux's one per second after six, n closed ports take n-6 seconds; Patience
// cuts that short and says so in a gap.
//
// Locking: none. Sweep and Ask run in the goroutine that called them and open
// all their sockets there, so a caller on a locked thread asks in that
// thread's network namespace. tell and Progress are called from it.
//
// It never sends from an address that is not this host's, never logs in, and
// sends nothing but what docs/udp-probes.md lists.
package udp
