// Package connect asks TCP ports of this host's own addresses with connect(2),
// for those who hold no privilege.
//
// Terms. A source is a socket bound to the asked address and a free port; a
// refused connect leaves it usable, so one source asks
// thousands of ports and no local port is used up. A probe is pending while
// the kernel waits for an answer. Exhaustion is a shortage of the asker's own
// means (descriptors, memory, local ports): it slows the sweep and, if it
// lasts, is a gap; it is never a state of the port.
//
// An open port sees a complete connection that is reset at once (SO_LINGER
// 0), so nothing lingers in TIME_WAIT. A port is never asked from a source of
// the same number, so no socket connects to itself; every connection made is
// compared with its peer all the same.
//
// What it cannot see: an answer that the kernel's own RST forestalls, such as
// that of a program on a packet socket (package syn can); on a host that
// refuses by ICMP, the reason of a refusal that came while connect(2) held the
// socket is known only where few ports are silent (they are asked again for
// longer).
//
// Locking: none. A Sweep runs in the goroutine that called it and opens all
// its sockets there, so a caller on a locked thread scans that thread's
// network namespace.
package connect
