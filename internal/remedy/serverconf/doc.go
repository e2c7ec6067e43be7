// Package serverconf knows the configuration files of common servers and of
// inetd and xinetd: which lines bind a port, and how they are changed so that
// the server listens elsewhere or no more. It plans edits as values; it writes
// nothing, starts nothing and signals nothing.
//
// Terms. An edit is one file as it is and as it will be, with the server's own
// check and what makes the server read it.
package serverconf
