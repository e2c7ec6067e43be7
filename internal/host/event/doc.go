// Package event tells of listeners as they open and close, by the kernel's own
// events where it has them, else by what it announces and by listing often.
//
//	stream, err := event.Open(ctx, event.Options{}) // needs privilege
//	// list the sockets (internal/host), give up every capability that
//	// stream.Capabilities() does not name
//	err = stream.Run(ctx, func(e event.Event) error { … })
//
// Sources, best first; Open takes the first that works, Gaps says why it is
// not a better one.
//
// bpf: programs at the tracepoint sock:inet_sock_set_state (TCP, MPTCP, SCTP,
// DCCP) and at the root of the cgroup tree (UDP and UDP-Lite by bind, connect
// and release; TCP sockets that listen without having been bound) write into
// a ring buffer. Every event comes with the process that caused it: number,
// name, user, start, program, first 256 bytes of the arguments and cgroup are
// read by the kernel at that very moment, the rest from /proc if the process
// still lives. Needs Linux 5.8, CAP_BPF, CAP_PERFMON and CAP_NET_ADMIN (or
// CAP_SYS_ADMIN) while it opens.
//
// sock_diag: the kernel's multicast of ended sockets (SKNLGRP_INET_TCP_DESTROY
// and its like) in every namespace, with a listing for those that open. A
// listener that lives shorter than the interval is not seen but for datagram
// sockets on a port that the kernel does not choose.
//
// listing: the listing alone; needs no privilege in the own namespace.
//
// What counts. A stream socket in state listen. A datagram socket whose port
// or address a program chose, as internal/host counts; bind to port 0 of every
// address is a client's. A datagram socket that gets a peer is told as closed
// a tenth of a second later. Of the sources that list, a datagram socket with
// a port that the kernel may have chosen is told from the second listing on.
// Several sockets on one endpoint (SO_REUSEPORT) are several events; an MPTCP
// listener is one, the TCP socket that it listens by is none.
//
// Terms. A record is what a BPF program writes; a person is a process as it
// was at one moment; a follower turns records into events and knows who opened
// what, since a socket may be closed by a process that is already gone. Loss
// is what did not fit into the ring, and what the kernel left out because a
// program was preempted by itself: both are counted, and told as a Lost event,
// after which the sockets should be listed again.
//
// Delay and order. Events are told in the order in which the kernel wrote
// them. The bpf source wakes once for all that came meanwhile; what it must
// look up (package databases, a container's name) delays those behind it, and
// nothing is lost while the ring (4 MiB, some 15,000 events) has room.
//
// Memory is bounded by the listeners that are open, the ring, and caches of a
// few thousand entries.
//
// Locking. A Stream runs once, in one goroutine; Lost may be called meanwhile.
//
// It never changes or closes a socket, pins no BPF object (when the process
// ends its programs are gone), refuses no bind or connect that it is asked
// about, and writes to no disk. Where no mount of the cgroup tree can be seen
// it makes one that only its own descriptor refers to.
package event
