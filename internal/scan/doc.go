// Package scan asks what answers: the network view.
//
// Terms. A vantage is where the questions come from; Self asks this host's
// own addresses from this host. A probe is one question; a port state is what
// an answer (or its absence) says, with the reason. A control is a random
// high port, asked to learn whether everything answers. A gap is what could
// not be asked; it is never a state.
//
// How it is made. A Transport asks ports one way: raw SYN (package syn) where
// CAP_NET_RAW is held, connect(2) (package connect) elsewhere; package udp
// asks UDP endpoints one by one. Self and Ask choose one, split the work and
// put the answers together as exposure values. ReadVantage reads what a scan
// made elsewhere saw.
//
// Limits. A self-scan goes over loopback: it does not meet the hooks, rules
// and interfaces that a stranger's packets meet (docs/scan.md). A listener
// bound to a device hears what is asked of that device's addresses (the kernel
// counts such a packet as received there), not what is asked of others.
//
// Locking: none; every function may be called from several goroutines. All
// sockets are opened by the calling goroutine, so a caller on a locked thread
// scans that thread's network namespace.
//
// It never logs in, never sends anything but the probes that docs/scan.md
// lists, and never sends to an address that is not among those given.
package scan
