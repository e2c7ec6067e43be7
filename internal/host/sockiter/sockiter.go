package sockiter

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"
)

// ErrUnsupported: no BPF socket iterator here: another system, an older
// kernel, or no privilege. It wraps the reason.
var ErrUnsupported = errors.New("BPF socket iterators cannot be used")

// User locks (SOCK_BINDADDR_LOCK and SOCK_BINDPORT_LOCK, net/sock.h).
const (
	lockAddr = 4
	lockPort = 8
)

// Socket is what an iterator tells of one socket.
type Socket struct {
	Inode     uint64
	Port      uint16
	IPv6      bool
	UserLocks uint8
	Kernel    bool   // made by the kernel (sk_kern_sock)
	Callback  string // kernel symbol
}

// BoundByProgram reports that a program named the socket's port or address.
func (s Socket) BoundByProgram() bool { return s.UserLocks&(lockAddr|lockPort) != 0 }

// Kind is a kind of socket that has an iterator.
type Kind int

// Kinds.
const (
	Datagrams Kind = iota // UDP sockets
	Listeners             // listening TCP sockets
)

var errLine = errors.New("malformed line")

// parse reads one line of bpf/sockets.c: inode, port, family, locks, kernel,
// callback.
func parse(line []byte) (Socket, error) {
	var n [5]uint64
	for i, bits := range [5]int{64, 16, 16, 8, 8} {
		word, rest, _ := bytes.Cut(line, []byte(" "))
		v, err := strconv.ParseUint(string(word), 10, bits)
		if err != nil {
			return Socket{}, fmt.Errorf("%w: %w", errLine, err)
		}
		n[i], line = v, rest
	}
	return Socket{Inode: n[0], Port: uint16(n[1]), IPv6: n[2] == familyIPv6,
		UserLocks: uint8(n[3]), Kernel: n[4] != 0, Callback: string(line)}, nil
}

const familyIPv6 = 10 // AF_INET6 (linux/socket.h)
