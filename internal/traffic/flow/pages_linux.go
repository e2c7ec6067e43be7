package flow

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

const (
	smallPage = 4096
	largePage = 2 << 20
)

// inLargePages asks for memory that is about to be filled to be backed by
// large pages (madvise(2), MADV_HUGEPAGE). It is advice: without them all goes
// on, slower.
func inLargePages(start unsafe.Pointer, size uintptr) {
	skip := -uintptr(start) & (smallPage - 1)
	if size < largePage || size-skip < largePage {
		return
	}
	whole := (size - skip) &^ (smallPage - 1)
	_ = unix.Madvise(unsafe.Slice((*byte)(start), size)[skip:skip+whole], unix.MADV_HUGEPAGE)
}
