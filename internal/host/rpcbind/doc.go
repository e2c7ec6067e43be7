// Package rpcbind asks the host's RPC port mapper which services are
// registered with it (RFC 1833, version 3, procedure RPCBPROC_DUMP), over its
// local socket.
//
// A registration tells two things that the kernel does not: that a datagram
// socket on a port which the kernel chose is a server all the same, and which
// of the kernel's RPC services (NFS, lock manager) listens on a port.
//
// Terms. A netid names transport and family ("udp", "tcp6"); a universal
// address is a host address with the port's two bytes appended in decimal,
// "0.0.0.0.0.111" (RFC 5665).
//
// The answer is hostile input: its length, its number of entries and every
// string are bounded. Nothing is ever registered or unset. Connecting to the
// socket of a port mapper that is not running may start it by systemd's socket
// activation; callers connect only when it runs.
package rpcbind
