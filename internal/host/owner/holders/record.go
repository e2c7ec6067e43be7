package holders

import (
	"cmp"
	"slices"
)

// Record is one descriptor that refers to a socket.
type Record struct {
	Inode   uint64 // of the socket, as sock_diag and /proc/net number it
	PID, FD int32
}

// MaxRecords bounds one answer: 256 MiB of records, four times the sockets
// that the largest hosts are known to hold.
const MaxRecords = 1 << 24

// Sort orders records by inode, process and descriptor, and drops doubles (a
// table that several threads share without their leader is met several
// times).
func Sort(records []Record) []Record {
	slices.SortFunc(records, compare)
	return slices.Compact(records)
}

func compare(a, b Record) int {
	if a.Inode != b.Inode {
		return cmp.Compare(a.Inode, b.Inode)
	}
	return cmp.Compare(uint64(a.PID)<<32|uint64(uint32(a.FD)), uint64(b.PID)<<32|uint64(uint32(b.FD)))
}
