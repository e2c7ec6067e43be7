// Package traffic is the traffic view: who talks to whom. It takes packets
// from capture files or interfaces, selects them by a filter, decodes them
// and hands them to a Sink, which counts flows, prints lines or writes a
// file.
//
// Its rooms: capture (where packets come from), filter (which ones), wire
// (what their headers say), flow (whose conversation they are), meter
// (counting inside the kernel), negotiate and inventory (what the payload
// tells), mirror and span (port monitors).
//
// Locking: Run reads each source in a goroutine of its own and calls the Sink
// from one goroutine, the caller's. A Sink that others look at meanwhile
// needs a lock of its own.
//
// It never sends a packet, and changes nothing but the promiscuous mode of
// interfaces it was asked to listen on.
package traffic
