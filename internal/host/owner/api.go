package owner

import (
	"cmp"
	"context"
	"slices"
)

// Query says which sockets to find holders for.
type Query struct {
	// ProcRoot is the proc file system to read; "" is /proc. Any other root
	// is walked, since the kernel numbers processes as /proc does.
	ProcRoot string
	// Listening asks only for sockets that may be listeners: TCP, MPTCP,
	// SCTP and DCCP in LISTEN, unconnected UDP and UDP-Lite, raw, packet and
	// every socket of another kind. The walk cannot tell and gives all.
	Listening bool
	// Method is MethodBPF, MethodWalk, or "" to choose by size.
	Method string
}

// Methods of Find.
const (
	MethodBPF  = "bpf"
	MethodWalk = "walk"
)

// Holder is one descriptor of one process (thread group).
type Holder struct{ PID, FD int32 }

// Table maps a socket's inode to its holders. It is immutable.
type Table struct {
	inodes  []uint64 // sorted, one for each holder
	holders []Holder // by inode, then PID, then FD
	method  string
	denied  int
	why     string
}

// Find reads the holders of every socket on the host.
func Find(ctx context.Context, q Query) (*Table, error) {
	return find(ctx, q)
}

// Holders lists who holds the socket, by PID and descriptor. The slice is
// shared: do not change it.
func (t *Table) Holders(inode uint64) []Holder {
	lo, _ := slices.BinarySearch(t.inodes, inode)
	n, _ := slices.BinarySearchFunc(t.inodes[lo:], inode, func(have, want uint64) int {
		if have <= want {
			return -1
		}
		return cmp.Compare(have, want)
	})
	return t.holders[lo : lo+n : lo+n]
}

// Method is how the table was made: MethodBPF or MethodWalk.
func (t *Table) Method() string { return t.method }

// Denied counts the processes whose descriptors could not be read.
func (t *Table) Denied() int { return t.denied }

// Why says what was not seen and which capability would show it; "" when all
// was seen.
func (t *Table) Why() string { return t.why }
