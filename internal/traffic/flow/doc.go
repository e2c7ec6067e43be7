// Package flow joins packets to flows and tells who is client and who server.
//
// A Table takes every packet that a filter selected (Add), decoded or not, and
// keeps one record per conversation. Reading it (Each, Finish) gives Flow
// values; Ports and Pairs sum those; Quality says what the packets as evidence
// are worth, and Judge puts that in words.
//
// Terms. A flow is what Zeek calls a connection: packets between two endpoints
// (address, port) of one protocol, until they end it or are silent for so long
// that Zeek would begin another row: one minute, five for TCP that was
// established, five seconds for an attempt that nobody answered and after a
// connection has ended. A SYN after the end, or with another sequence number,
// begins another flow. ICMP requests and their answers are one flow whose ports
// are the two types; other ICMP messages have type and code for ports and no
// way back. VLAN tags and tunnels are no part of a flow's identity. Side 0 is
// the sender of a flow's first packet.
//
// Orientation is decided when a flow is read, so that what came later helps. A
// SYN settles it. Of a connection caught in the middle the sender of a SYN-ACK
// is the server, unless the LISTEN table says that the other one listens (a
// stealth scan). Then the LISTEN table, then the port's fame (Likely, and
// Options.Registry), then the sender of the first packet. Multicast and
// broadcast destinations are servers. History and state follow the
// orientation; the history of a flow that was turned round begins with ^.
//
// State and history are Zeek's, but for checksums, which are never looked at:
// a sender's own packets have wrong ones where the card computes them.
//
// Fragments. Later fragments carry no ports; they are counted in the flow of
// their first one, also when they come before it, and where the packet in
// fragments carries that flow in a tunnel. Those whose first fragment
// does not come within half a minute (IPv6: a minute) are counted in Quality
// only.
//
// Memory is bounded whatever comes. Records hold no pointers and lie in slabs;
// when Options.MaxFlows are in use, ended and unanswered flows make room first,
// then those that were silent longest, each of them through Options.Emit. What
// was emitted is not counted again: the sum of all emitted and all remaining
// flows is the sum of the packets, always.
//
// Locking: none; a Table belongs to one goroutine, and so do Ports and Pairs.
// It reads no clock: times are the packets' own.
package flow
