package owner

import (
	"sort"

	"github.com/portreeve/portreeve/internal/host/owner/holders"
)

// Query says which sockets to find holders for.
type Query struct {
	// ProcRoot is the proc file system to read; "" is /proc. One that
	// numbers processes otherwise than the caller's PID namespace does (a
	// copy, a container's) is walked.
	ProcRoot string
	// Listening asks only for sockets that may be listeners: TCP, MPTCP,
	// SCTP and DCCP in LISTEN, unconnected UDP and UDP-Lite, raw, packet and
	// other families but Unix and netlink. The walk cannot tell and gives
	// all.
	Listening bool
	// Method is MethodBPF, MethodWalk, or "" to choose by size.
	Method string
	// Enough, where set, may be content with a walk that was denied some
	// processes: the caller knows which sockets matter and that each has a
	// holder. It saves loading the iterator.
	Enough func(*Table) bool
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
	records  []holders.Record // sorted
	method   string
	denied   int
	why      string
	fallback error
}

// Holders lists who holds the socket, by PID and descriptor.
func (t *Table) Holders(inode uint64) []Holder { return t.AppendHolders(nil, inode) }

// AppendHolders appends who holds the socket to list, which may be reused.
func (t *Table) AppendHolders(list []Holder, inode uint64) []Holder {
	from := sort.Search(len(t.records), func(i int) bool { return t.records[i].Inode >= inode })
	for _, r := range t.records[from:] {
		if r.Inode != inode {
			break
		}
		list = append(list, Holder{PID: r.PID, FD: r.FD})
	}
	return list
}

// Len counts the descriptors in the table.
func (t *Table) Len() int { return len(t.records) }

// Method is how the table was made: MethodBPF or MethodWalk.
func (t *Table) Method() string { return t.method }

// Denied counts the processes whose descriptors could not be read.
func (t *Table) Denied() int { return t.denied }

// Why says what was not seen and which capability would show it; "" when all
// was seen. A reader in a PID namespace of its own sees all of that
// namespace; Outside tells whether there is more.
func (t *Table) Why() string { return t.why }

// Fallback is why the BPF iterator was tried and not used: a
// *holders.LoadError. It is nil when it was used or not wanted.
func (t *Table) Fallback() error { return t.fallback }
