package sockaddr

import (
	"fmt"
	"net/netip"
	"unsafe"

	"golang.org/x/sys/unix"
)

// maxStale bounds how many entries about other destinations Take throws away.
const maxStale = 32

// ErrorQueue reads the error queues of sockets with IP_RECVERR or
// IPV6_RECVERR. Its buffers are used again by every call; the zero value is
// ready.
type ErrorQueue struct {
	oob  [512]byte
	data [1]byte
}

// Take gives the oldest ICMP error about a packet that fd sent to to (its zone
// does not count), and throws away older entries about others. ok is false
// where there is none.
func (q *ErrorQueue) Take(fd int, to netip.AddrPort) (e ICMPError, ok bool) {
	to = netip.AddrPortFrom(to.Addr().WithZone(""), to.Port())
	for range maxStale {
		_, n, _, about, err := unix.Recvmsg(fd, q.data[:], q.oob[:], unix.MSG_ERRQUEUE|unix.MSG_DONTWAIT)
		if err != nil {
			return ICMPError{}, false
		}
		if AddrPort(about) != to {
			continue
		}
		if e, ok := icmpIn(q.oob[:n]); ok {
			return e, true
		}
	}
	return ICMPError{}, false
}

// icmpIn finds the ICMP error among control messages.
func icmpIn(oob []byte) (ICMPError, bool) {
	msgs, err := unix.ParseSocketControlMessage(oob)
	if err != nil {
		return ICMPError{}, false
	}
	for _, m := range msgs {
		if e, ok := extendedError(m); ok {
			return e, true
		}
	}
	return ICMPError{}, false
}

// Disconnect dissolves a TCP socket's connection or attempt with AF_UNSPEC
// (connect(2)): an established connection is reset, an attempt forgotten, and
// the socket may connect again, from another port where the kernel chose it.
func Disconnect(fd int) error {
	unspec := unix.RawSockaddr{Family: unix.AF_UNSPEC}
	_, _, errno := unix.Syscall(unix.SYS_CONNECT, uintptr(fd), uintptr(unsafe.Pointer(&unspec)), unsafe.Sizeof(unspec))
	if errno != 0 {
		return fmt.Errorf("dissolve a connection: %w", errno)
	}
	return nil
}
