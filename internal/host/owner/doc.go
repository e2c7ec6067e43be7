// Package owner answers who holds a socket: from the socket's inode to the
// processes, and from a process to its program, user, systemd unit, container
// and software package.
//
// Find makes the first step, for all sockets of the host at once: by a BPF
// iterator over every task's files where the kernel has one, by a walk of
// /proc otherwise. Both give the same answer; Table.Method says which was
// used and Table.Why what was not seen. A Describer makes the second step for
// the few processes that hold a socket of interest:
//
//	table, err := owner.Find(ctx, owner.Query{Listening: true})
//	d := owner.NewDescriber(owner.Config{})
//	for _, h := range table.Holders(inode) {
//		pids = append(pids, h.PID)
//	}
//	all := d.Describe(ctx, pids) // one pass over the package database for all
//
// Terms. A holder is a process and one of its descriptors for the socket. A
// process is a thread group, as numbered by the /proc that is read. A root is
// the directory that a process sees as "/".
//
// Locking. A Table is immutable once made. A Describer may be used by several
// goroutines at once.
//
// It never writes to disk, never pins a BPF object, never signals, traces or
// stops a process, and never guesses: a name that nothing local knows stays
// empty, and what could not be asked is said with its reason.
package owner
