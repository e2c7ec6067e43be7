// Package wide asks TCP ports of other machines with raw SYN segments, many
// at a time, for those who hold CAP_NET_RAW.
//
// Terms. A probe is one pair of address and port of the work list, known by
// its number; a try is one SYN for it. The window is the run of probe numbers
// that have begun and are not all settled. A hop is how packets reach an
// address: interface, link header, own address. A canary is a SYN to a port
// that has answered before, so that its silence is loss.
//
// How it is made. One thread sends: it takes probes from the list in order,
// builds their frames and hands them to the kernel in batches (sendmmsg on a
// packet socket past the queueing discipline, or on a raw IP socket where a
// device has no link header). Another thread reads answers from memory that
// the kernel fills (TPACKET_V3), chosen by a filter in the kernel. The number
// of the probe is in the sequence number, which every answer brings back, with
// a keyed check; the try is in the source port. So nothing is stored of what
// was sent but a few bytes for each probe of the window, and memory does not
// grow with the range. An answer counts only where address and port are those
// that the list has under its number.
//
// What is silent is asked again after a time-out that follows the measured
// round trip, as often as the measured loss makes it likely that an answer was
// lost (two to eight tries). Because the try is known, an answer to the second
// try proves that the first was lost: loss is measured by all of them and by
// the canaries. Package pace turns it into speed.
//
// A SYN-ACK wins over a RST, whichever came first, within a short grace. The
// kernel answers a SYN-ACK with RST, because the source ports are bound and
// never listen: no connection is made.
//
// Locking: the sender owns everything but the answers, which the receiver
// writes and the sender reads atomically. A Sweep opens its sockets in the
// goroutine that called it, so a caller on a locked thread scans that thread's
// network namespace.
//
// It never sends from an address that is not this host's, never completes a
// handshake and sends no payload.
package wide
