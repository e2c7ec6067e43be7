package rawsock

import (
	"fmt"

	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"

	"github.com/portreeve/portreeve/internal/scan/sockaddr"
)

// Attach sets a classic BPF filter on a socket (socket(7), SO_ATTACH_FILTER).
// Errors are of the assembler or the kernel, as they are.
func Attach(fd int, program []bpf.Instruction) error {
	raw, err := bpf.Assemble(program)
	if err != nil {
		return err
	}
	filter := make([]unix.SockFilter, len(raw))
	for i, r := range raw {
		filter[i] = unix.SockFilter{Code: r.Op, Jt: r.Jt, Jf: r.Jf, K: r.K}
	}
	return unix.SetsockoptSockFprog(fd, unix.SOL_SOCKET, unix.SO_ATTACH_FILTER,
		&unix.SockFprog{Len: uint16(len(filter)), Filter: &filter[0]})
}

// Keep binds a TCP socket of one family to a free port, which is kept until
// fd is closed.
func Keep(is4 bool) (fd int, port uint16, err error) {
	family, sa := unix.AF_INET6, unix.Sockaddr(&unix.SockaddrInet6{})
	if is4 {
		family, sa = unix.AF_INET, &unix.SockaddrInet4{}
	}
	fd, err = unix.Socket(family, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, unix.IPPROTO_TCP)
	if err != nil {
		return -1, 0, fmt.Errorf("reserve a source port: %w", err)
	}
	if !is4 {
		err = unix.SetsockoptInt(fd, unix.IPPROTO_IPV6, unix.IPV6_V6ONLY, 1)
	}
	if err == nil {
		err = unix.Bind(fd, sa)
	}
	if err == nil {
		port, err = sockaddr.LocalPort(fd)
	}
	if err != nil {
		_ = unix.Close(fd)
		return -1, 0, fmt.Errorf("reserve a source port: %w", err)
	}
	return fd, port, nil
}
