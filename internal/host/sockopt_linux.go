package host

import (
	"errors"
	"unsafe"

	"github.com/portreeve/portreeve/internal/host/sockdiag"
	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"
)

// getFilter reads a socket's classic filter. SO_GET_FILTER counts in
// instructions, not in bytes (net/core/filter.c: sk_get_filter), and answers
// EACCES for an eBPF program.
func getFilter(fd int) ([]bpf.RawInstruction, error) {
	buf := make([]byte, 8*4096)
	n := uint32(4096)
	_, _, errno := unix.Syscall6(unix.SYS_GETSOCKOPT, uintptr(fd), unix.SOL_SOCKET, unix.SO_GET_FILTER,
		uintptr(unsafe.Pointer(&buf[0])), uintptr(unsafe.Pointer(&n)), 0)
	switch {
	case errors.Is(errno, unix.EACCES):
		return nil, errEBPF
	case errno != 0:
		return nil, errno
	}
	return sockdiag.DecodeFilter(buf[:min(int(n)*8, len(buf))])
}
