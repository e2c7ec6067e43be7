// Package privilege gives up capabilities that are no longer needed, for good
// and for every thread of the process.
//
// # Terms
//
// A capability is one part of root's power (capabilities(7)). A thread has
// sets of them: effective (what counts now), permitted (what it may make
// effective), inheritable and ambient (what goes to programs it starts), and
// the bounding set (what it could ever get again). Drop takes all that is not
// kept out of each of them.
//
// # Locking
//
// Drop stops all threads of the process for some microseconds a call to the
// kernel. Threads that are made later inherit from those that are there. It
// may be called again, to drop more. It works in binaries without cgo alone:
// with cgo there are threads that Go does not know of, and the error says so.
//
// # What it never does
//
// It never changes users and never raises a capability. It has no list of
// what a command needs: that is said where the command is.
package privilege
