// Package closing shuts a port by its real owner, so that it can be opened
// again: it plans, applies, verifies, and undoes.
//
// Terms. The owner is what makes a port open: a systemd unit and the socket
// unit that starts it, an init script, an entry of inetd, a container's
// published port, a process that nothing manages, a part of the kernel. A
// plan is a list of steps, each with its inverse. A refusal is a reason for
// which a plan must not be carried out; it has a name by which a person may
// override exactly this one. A closing is one plan carried out: an entry of
// the journal.
//
// The way of a closing:
//
//  1. Prepare looks at this network namespace, finds the owners of the ports
//     asked for, and says what would be done, what that breaks, which other
//     ports it shuts too, and what forbids it. It changes nothing.
//  2. Apply takes the lock, finishes what a killed process left, and writes
//     the whole entry to disk: every step with its inverse and what was there
//     before. Only then the first step is begun. A step's state (planned,
//     begun, done) is a file that is renamed, which needs no space.
//  3. Then it looks again, as a stranger would: nothing may listen there, and
//     nothing may answer on this host's own addresses. If it does, or a step
//     fails, every step begun is undone, the last one first.
//  4. Undo undoes the newest closing. What somebody else has changed since is
//     never overwritten: it says what differs and stops before anything is
//     done.
//
// Locking. One lock in the journal's folder, held through Apply, Undo and
// Recover, which the kernel frees when the process dies. An entry that is open
// while nobody holds the lock is one whose process died: Recover takes it
// back. Every inverse may be run twice, and after a step of which it is not
// known how far it came.
//
// It never touches a port of another network namespace, never asks anything of
// a person, and never removes what it did not put there.
package closing
