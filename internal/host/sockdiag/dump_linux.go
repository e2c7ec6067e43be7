package sockdiag

import (
	"errors"
	"time"

	"golang.org/x/sys/unix"
)

type socket struct{ fd int }

// patience bounds one read: a dump's answers are made while they are read,
// so a healthy kernel never makes a reader wait.
const patience = 10 * time.Second

func dial() (transport, uint32, error) {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.NETLINK_SOCK_DIAG)
	if err != nil {
		return nil, 0, describe("open", err)
	}
	portID, err := bind(fd)
	if err != nil {
		_ = unix.Close(fd)
		return nil, 0, describe("open", err)
	}
	return socket{fd}, portID, nil
}

func bind(fd int) (uint32, error) {
	if err := unix.Bind(fd, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
		return 0, err
	}
	timeout := unix.NsecToTimeval(patience.Nanoseconds())
	if err := unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &timeout); err != nil {
		return 0, err
	}
	sa, err := unix.Getsockname(fd)
	if err != nil {
		return 0, err
	}
	nl, ok := sa.(*unix.SockaddrNetlink)
	if !ok {
		return 0, unix.EAFNOSUPPORT
	}
	return nl.Pid, nil
}

func (s socket) close() error { return unix.Close(s.fd) }

// send writes without an address: an unconnected netlink socket's default
// peer is the kernel.
func (s socket) send(b []byte) error {
	for {
		_, err := unix.Write(s.fd, b)
		if !errors.Is(err, unix.EINTR) {
			return err
		}
	}
}

// receive reads one datagram with read(2), which allocates no address. A
// datagram longer than the buffer is cut by the kernel and then fails the
// length check of its last message.
func (s socket) receive(b []byte) (int, error) {
	for {
		n, err := unix.Read(s.fd, b)
		if !errors.Is(err, unix.EINTR) {
			return n, err
		}
	}
}

func kernelError(op string, errno int) error {
	if errno == 0 {
		return nil
	}
	return describe(op, unix.Errno(errno))
}

// describe sorts a kernel error into the kinds that callers act on.
func describe(op string, err error) error {
	e := &OpError{Op: op, Err: err}
	switch {
	case isAny(err, unix.ENOENT, unix.EINVAL, unix.EOPNOTSUPP, unix.EPROTONOSUPPORT, unix.EAFNOSUPPORT, unix.ENOSYS, unix.ENOPROTOOPT):
		e.Kind = ErrUnsupported
	case isAny(err, unix.EPERM, unix.EACCES, unix.ECONNREFUSED):
		e.Kind = ErrRefused
	case isAny(err, unix.ENOBUFS, unix.EAGAIN):
		e.Kind = ErrInterrupted
	}
	return e
}

func isAny(err error, errnos ...unix.Errno) bool {
	for _, errno := range errnos {
		if errors.Is(err, errno) {
			return true
		}
	}
	return false
}
