// Package live captures packets from interfaces of this host, on Linux, from
// memory that the kernel fills (TPACKET_V3, packet(7), the kernel's
// packet_mmap document).
//
// Terms. A ring is one packet socket with its memory; it is a capture.Source.
// Its memory is cut into blocks; the kernel fills one after the other and
// hands each over when it is full or when Retire has passed since its first
// packet. A batch is one block, its packets where the kernel put them: nothing
// is copied. Release gives the block back; until then the kernel cannot fill
// it, and when no block is free it drops packets and counts them. Blocks may
// be given back in any order, by any goroutine.
//
// Frames. Ethernet and 802.11 interfaces give frames as they are. A VLAN tag
// that the kernel or the card took out of a frame is in the packet's VLAN
// fields; capture.Packet.Wire counts it. Interfaces that carry bare IP (tun,
// PPP, tunnels) give LINKTYPE_RAW, everything else, and what is no IP on
// those, LINKTYPE_LINUX_SLL, whose header is made here. The pseudo interface
// Any gives the packets of all interfaces of the network namespace, each with
// its own link type and interface. On the loopback interface every packet
// passes twice, going out and coming in; only the second is taken.
//
// Filters run in the kernel and are in place before the socket hears its first
// packet. A filter for an interface that carries bare IP is one for
// LINKTYPE_RAW, also where packets come out as LINKTYPE_LINUX_SLL.
//
// Several rings of one interface share its packets by a hash of addresses and
// ports that is the same for both directions, so a conversation has one ring.
// Exceptions: fragments are hashed by addresses only, and an ICMP error comes
// by its own addresses, not by those it quotes.
//
// The end. Close ends at once: what is in the ring is given up. Stop takes no
// more packets, gives what was taken before, then io.EOF. An interface that
// goes down or disappears ends its ring with an *Error, after everything that
// came before; a ring does not wait for it to come back. Any goes on whatever
// becomes of single interfaces.
//
// Locking: all methods may be called at any time from any goroutine; calls of
// Next wait for each other. There are no goroutines here: Next waits in the
// kernel. Sockets belong to the network namespace of the thread that called
// Open.
//
// It never sends anything, and changes nothing but promiscuous mode, which the
// kernel undoes when the ring is closed or the process ends.
package live
