// Package inventory tells from packets alone which servers there are, what
// speaks at their ports, and what hosts are called.
//
// An Inventory is fed decoded packets. Of each conversation with an endpoint
// that is not known yet it keeps the first bytes of both directions, a few
// hundred (more of a TLS server's certificate), and looks in them for what a
// protocol cannot do without: signatures.txt for protocols of text or with a
// fixed beginning, a reader each for the others. An endpoint is settled when
// the server itself said what it is, or given up after a few conversations;
// from then on its packets cost a few nanoseconds.
//
// # Terms
//
// An endpoint is transport protocol, address and port of a server. Which side
// is the server is for the caller to say (package flow knows better): here it
// is only guessed, from SYN-ACK, from what was said and from the ports, to
// choose where to keep what was found. A host is an address with its hardware
// address and the names it gave itself in DHCP, mDNS and NetBIOS.
//
// # What it never does
//
// It sends nothing, keeps no payload once a conversation is understood, and
// keeps no names of users nor passwords. Product, Version and Detail come from
// strangers: they are valid UTF-8 of limited length, and whoever prints them
// escapes them. Endpoints, hosts, conversations and bytes are limited in
// number (Options); what finds no room is counted.
//
// An Inventory is not safe for use by several goroutines.
package inventory
