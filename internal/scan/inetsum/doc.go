// Package inetsum computes the Internet checksum (RFC 1071) in steps, so that
// what many packets share is summed once.
//
// A sum is the ones' complement sum of 16-bit words, not yet folded. The
// checksum of a packet is ^Fold of the sum of its words and, for TCP, UDP and
// ICMPv6, of the pseudo header (RFC 9293 section 3.1, RFC 8200 section 8.1).
// A sum holds some 65,000 words without overflow, more than a packet has.
//
// Locking: none; there is no state.
package inetsum
