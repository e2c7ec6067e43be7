// Package registry holds the table of service names by port and transport
// (IANA "Service Name and Transport Protocol Port Number Registry") in a form
// that answers straight from the embedded bytes: nothing is unpacked, nothing
// allocated but the answer.
//
// Terms. An entry is one (transport, port) with its names, the preferred one
// first, and its description. A record is a distinct (names, description)
// pair; most entries share theirs with the same port of another transport.
//
// Layout, all integers big-endian:
//
//	8 bytes   magic "ptregis1"
//	5 × u32   records; entries of tcp, udp, sctp, dccp
//	entries   u16 port, u16 record; per transport in that order, by port
//	offsets   (records+1) × u32 into the text that follows
//	text      per record: names separated by U+0020, U+0000, description
//
// A Table is immutable and safe for concurrent use. It never trusts its
// bytes: Decode checks every offset once, so look-ups need no errors.
package registry
