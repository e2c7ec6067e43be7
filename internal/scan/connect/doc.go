// Package connect asks TCP ports with connect(2), for those who hold no
// privilege. Transport asks this host's own addresses; Network asks other
// hosts.
//
// Terms. A source is a socket bound to the asked address and a free port; a
// refused connect leaves it usable, so one source asks
// thousands of ports and no local port is used up. A probe is pending while
// the kernel waits for an answer. Exhaustion, or shortage, is one of the
// asker's own means (descriptors, memory, local ports): it slows the sweep
// and, if it lasts, is a gap; it is never a state of the port. Trouble is a
// host that this one has no way to. A canary is a probe of a port that is
// known to answer.
//
// An open port sees a complete connection that is reset at once (SO_LINGER
// 0, or AF_UNSPEC), so nothing lingers in TIME_WAIT and no byte is sent. A
// Transport never asks a port from a source of the same number, so no socket
// connects to itself; every connection made is compared with its peer all the
// same.
//
// # A network sweep
//
// One goroutine, the caller's, keeps all state: which probes are pending and
// until when, what is known of each host, the measured loss. Only the system
// calls of a batch are made by several (crew). Sockets are never closed
// between probes. The first tries of an eager sweep come from sockets that
// hold a port of their own; a second try always comes from another port,
// since a target that remembers half a connection refuses the same one anew.
//
// Where answers come within connect(2) itself (no latency, as on a veth) a
// second connect(2) at once returns them, and epoll is not needed; where that
// finds nothing it is given up but for a sample, and up to MaxInFlight probes
// are left to epoll.
//
// A silent port is asked again after a wait that follows the host's round
// trip (RFC 6298); how often depends on the loss. Loss is that of the round
// trip: the share of probes to ports that do answer to which no answer came,
// lost on the way there or back or answered too late. It is measured by
// canaries and by ports that answered only to a later try. ICMP errors do not
// count, because hosts limit their rate.
//
// A host whose canaries all go unanswered has fallen silent; its other ports
// are a gap rather than filtered.
//
// Port states and reasons: open syn-ack; closed conn-refused; filtered
// no-response, not-permitted (this host's own policy), or the reason of an
// ICMP error, as package unreach names them.
//
// # Limits
//
// What it cannot see: an answer that the kernel's own RST forestalls, such as
// that of a program on a packet socket (package syn can); for a Transport, on
// a host that refuses by ICMP, the reason of a refusal that came while
// connect(2) held the socket is known only where few ports are silent (they
// are asked again for longer); a link that loses its carrier shows as silence.
//
// Locking: none that callers see. A sweep runs in the goroutine that called it
// and opens all its sockets there, so a caller on a locked thread scans that
// thread's network namespace.
package connect
