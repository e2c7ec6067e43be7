package holders

import (
	"cmp"
	"encoding/binary"
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

// recordSize is sizeof(struct record) of bpf/taskfile.c.
const recordSize = 16

// decode appends the whole records of buf[:n] and moves what is left to the
// start of buf. Process 0 is a task that has lost its number while it ended.
func decode(records []Record, buf []byte, n int) ([]Record, int) {
	whole := n - n%recordSize
	for b := buf[:whole]; len(b) >= recordSize; b = b[recordSize:] {
		rec := Record{
			Inode: binary.NativeEndian.Uint64(b),
			PID:   int32(binary.NativeEndian.Uint32(b[8:])),
			FD:    int32(binary.NativeEndian.Uint32(b[12:])),
		}
		if rec.PID > 0 {
			records = append(records, rec)
		}
	}
	return records, copy(buf, buf[whole:n])
}
