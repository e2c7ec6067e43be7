// Package negotiate learns from control connections which endpoints two sides
// agreed on, so that a flow on an ephemeral port can be named by what it is
// part of ("ftp-data", "nlockmgr", "rtp") and nobody writes a rule per port.
//
// A Watcher is fed decoded packets in the order of their capture and asked
// about flows. It reads, from their standards:
//
//	FTP (PORT, EPRT, LPRT, 227, 228, 229), ONC RPC portmapper and rpcbind
//	2 to 4, the MS-RPC endpoint mapper and DCOM's string bindings, SIP and
//	MGCP with SDP, RTSP, TFTP, IRC's DCC, PPTP, TURN, NAT-PMP and PCP, Oracle
//	TNS redirects.
//
// # Terms
//
// A control flow is where the agreement is made; an expectation is an endpoint
// that was agreed, with the address of who is to use it (or anyone, for an
// endpoint mapper that speaks of its own host), from when and until when.
//
// # What counts
//
// A wrong name is worse than none. An address and a port must be exactly what
// was agreed; an answer counts only with its question where the protocol has
// transaction numbers; an SDP offer counts once it was answered; nobody can
// speak for another host's port but to the peer he told it; ports below 1024
// are believed only from endpoint mappers, for their own host. A flow that
// began before the agreement or long after it is none of it.
//
// # Bounds
//
// Control connections, the bytes kept of them, questions that wait for their
// answers, calls and expectations are limited in number (Options); the oldest
// go first. Bytes come from outside: whatever they are, nothing panics and
// nothing grows beyond these limits. A segment that was lost costs what was in
// it: reading goes on with the next.
//
// A Watcher is not safe for use by several goroutines.
package negotiate
