// Package serverconf knows the configuration files of common servers and of
// inetd and xinetd: which lines make a socket listen, and how they are changed
// so that the server listens elsewhere or no more. It plans edits as values;
// it writes nothing, starts nothing and signals nothing.
//
// Terms. An edit is one file as it is and as it will be, with the server's own
// check and what makes the server read it. A place is a spot of a
// configuration that makes the server listen: a word of a list, a statement,
// or the spot where a setting that is absent would stand, its default being
// every address. A root is where files are read; OS is the host's, FS a copy,
// Overlay a root with edits already made.
//
// How a plan comes about. The process of the socket tells the server and, by
// its command line, title or unit, the file. The server's reader follows the
// includes and gives every place with the addresses and ports that it binds.
// A place that binds the socket's own address and port is rewritten for the
// new address, and nothing else of the file changes: comments, order, line
// endings and other addresses stay. Where no place explains the socket, where
// a name or a range might be it, or where the answer is on a command line, the
// plan is declined with what was looked at: an edit of the wrong file is worse
// than none.
//
// To add a server: a reader func(*view) (*setup, error) and a row in servers;
// golden cases in testdata/NAME (go test -update writes what comes out), and a
// line in docs/rebind.md.
//
// Nothing is shared between calls, so all functions may be used at the same
// time. Files are bounded in number, size and depth; text of files and
// processes is given as it is and must be escaped before it is shown.
package serverconf
