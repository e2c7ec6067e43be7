// Package capture says what packets from a capture are: the shapes that the
// sources hand on, and the errors by which a capture tells that it is cut off
// or damaged. Its rooms are the sources: file (pcap and pcapng, reading and
// writing) and live (interfaces, by a ring that is shared with the kernel).
//
// A Source gives packets in batches. A batch's packets point into the
// source's own storage and are valid until Release gives that back; several
// batches may be out at once. Nothing is copied on the way.
//
// Lengths: Data is what was stored, Wire what was on the wire. Where the
// system took a VLAN tag out of the frame, Wire counts it and Data has not got
// it. Times are Unix nanoseconds.
//
// Locking: a Source may be read by one goroutine while another asks for
// Stats, stops or closes it.
package capture
