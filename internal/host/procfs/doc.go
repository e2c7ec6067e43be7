// Package procfs reads socket tables, and the few other facts that the host
// view needs, from files of Linux's /proc. It is the fallback where netlink is
// refused, and the second witness beside it.
//
// Two halves. Parsers take an io.Reader and call back for every line, so that
// a table copied from another machine is read like the live one; the byte
// order of that machine is an argument, since the kernel prints addresses as
// its own 32-bit words. Dir opens the files under a root that the caller
// chooses: /proc/thread-self for the calling thread's network namespace, or a
// copy.
//
// Terms. A table is one file (net/tcp, net/packet); an entry is one line of
// it. A line that does not parse is skipped and counted with its number:
// losing one line must not lose the table, and must not be silent.
//
// Memory. Lines are read one by one, at most 4 KiB each; nothing is allocated
// for an entry, and an entry is valid during the callback only.
//
// It holds no state and is safe for concurrent use. It never writes, and never
// tells a bound TCP socket that does not listen: these tables have none.
package procfs
