// Package wire decodes the headers of captured frames, for every link type,
// tunnel and transport that portreeve counts traffic by.
//
// [Decoder.Decode] fills one [Packet] from one frame: the innermost IP packet's
// addresses, ports and flags, how it was wrapped, and what an ICMP error
// quotes. It allocates nothing, keeps no state, and takes some 20 to 50
// nanoseconds for an ordinary frame. Both the Decoder and the Packet are
// values of the caller's: several goroutines may share the first, not the
// second.
//
// # Terms
//
// The stored length is what the capture holds of a frame, the wire length what
// the frame had. A header that is missing because fewer bytes were stored is
// [Cut]; one that the frame itself ends in is [Short].
//
// A packet is of [KindIP] once an IP header was read: then its addresses and
// protocol number are right, and [Packet.Problem] may tell what behind it was
// not. Ports, ICMP types and TCP fields are there only where HasPorts, HasICMP
// and HasTCP say so, and never guessed.
//
// Lengths follow the IP header, not the frame: Ethernet's padding counts for
// nothing. A length of 0 (segmentation offload) means what was on the wire.
//
// # Tunnels
//
// The innermost IP packet counts. What a tunnel carries is entered when it is
// IP, or a frame that leads to IP; the packet that carries ARP or nothing
// readable in a tunnel stays the carrier's, with [BadTunnel] or [Cut] if
// something was wrong. A tunnel over UDP is known by its port, either way, and
// entered only if its header is well-formed, so that a datagram which merely
// uses such a port is left alone; Teredo between peers is known by its
// addresses. L2TP version 3 says nothing of what it carries: it is entered
// where an IP packet inside is whole to the byte. A first fragment is entered,
// a later one cannot be. With [Decoder.Outer] only MPLS and PPPoE are entered.
//
// MPLS does not tell its payload either: an IP version, or an Ethernet frame
// with or without a control word, whichever leads on.
//
// # What it never does
//
// It joins no fragments or segments, checks no checksums (offload makes them
// wrong on the sender's side), decrypts nothing, learns nothing from one frame
// for the next, and looks at no payload but a tunnel's. Of an 802.11 aggregate
// it reads the first frame only. It neither panics nor loops, whatever the
// bytes: tags, extension headers, labels and tunnels are followed to fixed
// depths ([TooDeep]).
//
// Package wiretest builds frames for tests.
package wire
