// Package nmapos reads an installed nmap-os-db (the second-generation format
// that nmap's reference guide describes in its chapter on remote OS detection)
// and judges what a plain SYN-ACK shows.
//
// Terms. A fingerprint is one system's answers to nmap's sixteen probes, test
// by test; a test holds attributes, each an expression of permitted values. A
// class is vendor, family, generation and kind of device. MatchPoints are the
// attributes' weights, read from the file itself.
//
// Only attributes that an ordinary handshake shows are compared: OPS.O1,
// WIN.W1 and T1.DF, T1.TG (nmap's first probe is a SYN with the same options
// as ours), SEQ.TI as far as "always zero" goes, ECN.CC where our SYN was an
// ECN-setup SYN, T5.DF, T5.TG and T5.W where a closed port answered RST, and
// IE.TG where an echo was answered. Everything else (T2 to T4, T6, T7, U1, the
// sequences over six probes) needs packets that this program does not send, so
// many fingerprints fit equally well: what is told is the families among the
// best, with the generations they span, never a single fingerprint's name.
//
// The segment size of O1 belongs to the link and is not compared where both
// are usual ones; the same options in the same order with other numbers earn
// half. The file describes IPv4 only.
//
// The data belongs to its owner and is read where it is installed; no part of
// it is here. A Table is not changed once read. It opens nothing by itself.
package nmapos
