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

// parse reads one line of bpf/sockets.c: inode, locks, kernel, callback.
func parse(line []byte) (Socket, error) {
	word := func() []byte {
		w, rest, _ := bytes.Cut(line, []byte(" "))
		line = rest
		return w
	}
	inode, err1 := strconv.ParseUint(string(word()), 10, 64)
	locks, err2 := strconv.ParseUint(string(word()), 10, 8)
	kernel, err3 := strconv.ParseUint(string(word()), 10, 8)
	if err := errors.Join(err1, err2, err3); err != nil {
		return Socket{}, fmt.Errorf("%w: %w", errLine, err)
	}
	return Socket{inode, uint8(locks), kernel != 0, string(line)}, nil
}
