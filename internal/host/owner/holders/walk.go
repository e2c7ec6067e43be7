package holders

import (
	"bytes"
	"encoding/binary"
	"iter"
)

// WalkOptions says what to walk.
type WalkOptions struct {
	ProcRoot string // "" is /proc
	// Budget ends the walk with ErrOverBudget after so many descriptors of
	// any kind; 0 is no budget.
	Budget int
}

// Walked is what a walk saw.
type Walked struct {
	Records   []Record
	Processes int // listed, kernel threads included
	// DeniedOpen counts processes whose fd directory could not be opened
	// (directory permission: CAP_DAC_READ_SEARCH), DeniedRead those whose
	// links could not be read (ptrace permission: CAP_SYS_PTRACE).
	DeniedOpen, DeniedRead int
}

// maxVisited bounds the descriptors of any kind that one walk reads.
const maxVisited = 4 * MaxRecords

// socketInode reads the link text of a socket's descriptor, "socket:[N]"
// (sockfs_dname, net/socket.c). A path cannot look like it: it begins with
// a slash.
func socketInode(link []byte) (uint64, bool) {
	digits, ok := bytes.CutPrefix(link, []byte("socket:["))
	if !ok || len(digits) < 2 || len(digits) > 21 || digits[len(digits)-1] != ']' {
		return 0, false
	}
	var n uint64
	for _, c := range digits[:len(digits)-1] {
		d := uint64(c - '0')
		if d > 9 || n > (1<<64-1-d)/10 {
			return 0, false
		}
		n = n*10 + d
	}
	return n, true
}

// number reads a name that is all digits, and ends with NUL, as a positive
// int32 or zero.
func number(name []byte) (int32, bool) {
	digits := name[:len(name)-1]
	if len(digits) == 0 || len(digits) > 10 {
		return 0, false
	}
	var n int64
	for _, c := range digits {
		if c < '0' || c > '9' {
			return 0, false
		}
		n = n*10 + int64(c-'0')
	}
	return int32(n), n <= 1<<31-1
}

// direntHeader is the length of struct linux_dirent64 before its name:
// d_ino, d_off, d_reclen, d_type (getdents64(2)).
const direntHeader = 8 + 8 + 2 + 1

// entryNames gives the names in a block that getdents64 filled, each with the
// NUL that ends it. It stops at the first entry that does not fit.
func entryNames(block []byte) iter.Seq[[]byte] {
	return func(yield func([]byte) bool) {
		for len(block) > direntHeader {
			size := int(binary.NativeEndian.Uint16(block[16:]))
			if size <= direntHeader || size > len(block) {
				return
			}
			name := block[direntHeader:size]
			end := bytes.IndexByte(name, 0)
			if end < 0 || !yield(name[:end+1]) {
				return
			}
			block = block[size:]
		}
	}
}
