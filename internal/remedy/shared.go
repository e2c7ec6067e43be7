package remedy

import (
	"context"
)

// What the rooms below this one use of it: sessions, programs, differences,
// and the habits of the journal.

// Found are the remote sessions of this network namespace.
type Found struct {
	Sessions []Session
	// Notes are sentences for people.
	Notes []string
	// Ancestors are this process, its parent, and so on.
	Ancestors []int
}

// Sessions finds the remote sessions of this network namespace: SSH_CONNECTION
// of this process and its ancestors, and the connections that sshd holds.
func Sessions(ctx context.Context, m Machine) (*Found, error) {
	m = m.filled()
	f, err := sessions(ctx, m)
	if err != nil {
		return nil, err
	}
	out := &Found{Sessions: f.sessions, Notes: f.notes}
	for _, a := range ancestors(m.Proc) {
		out.Ancestors = append(out.Ancestors, a.pid)
	}
	return out, nil
}

// Compare compares two texts line by line: the fewest lines that go or come.
func Compare(before, after []byte) []Line { return difference(before, after) }

// RunProgram is the machine's own Runner: it looks where administrators'
// programs are even when PATH does not, and its error holds what the program
// said.
func RunProgram(ctx context.Context, stdin []byte, name string, args ...string) ([]byte, error) {
	return run(ctx, stdin, name, args...)
}

// Lock takes an exclusive lock on a file, which it makes, and waits for it
// until ctx ends. The lock ends with this process.
func Lock(ctx context.Context, path string) (unlock func(), err error) { return lock(ctx, path) }

// WriteNew writes and syncs a file that must not exist.
func WriteNew(path string, data []byte) error { return writeFile(path, data) }

// SyncDir writes a folder's names to disk.
func SyncDir(dir string) error { return syncDir(dir) }

// OwnClock is the machine's own clock.
func OwnClock() Clock { return machineClock{} }
