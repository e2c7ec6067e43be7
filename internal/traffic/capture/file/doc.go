// Package file reads and writes capture files: pcap and pcapng, from anything
// that can be read, a pipe included.
//
// Terms. A record is a packet as pcap stores it, a block any piece of pcapng;
// framing is finding where they begin and end. Stored is how much of a packet
// the file holds, wire how long it was. A section is a part of a pcapng file
// with its own byte order and interfaces; files put together by cat have
// several.
//
// What is read. pcap 2.0 to 2.4 in both byte orders, micro- and nanoseconds,
// the swapped lengths of versions before 2.4 and of DG/UX, AIX's nanoseconds
// and interface types, Kuznetzov's modified records (both kinds under magic
// a1b2cd34) and Ixia's lcap. pcapng 1.x: enhanced, simple and the obsolete
// packet blocks; interface descriptions and statistics; all other blocks are
// stepped over. Compression is the caller's, so is closing what is read.
//
// Damage. What was read before it is handed over first; then Next gives a
// *capture.DamageError that is capture.ErrCutOff or capture.ErrDamaged. A
// pcap has nothing by which to go on after a wrong length. In a pcapng a block
// whose content is wrong but whose two lengths agree is stepped over, and told
// at the end instead of io.EOF. Lengths beyond what libpcap and Wireshark
// accept are damage. Nothing is allocated because a file names a length: room
// grows with bytes that were really there.
//
// Storage. Packets are slices of large buffers, each shared by the batches cut
// from it and returned to the source's pool when the last one is released. A
// batch holds one buffer (128 KiB; more only for a larger packet). Only the
// record that lies across the end of a buffer is copied.
//
// Locking. Next belongs to one goroutine at a time; batches may be released,
// and Interfaces and Stats asked, from any.
//
// It never maps files, never seeks, never starts a goroutine, never waits for
// more than the next complete packet.
package file
