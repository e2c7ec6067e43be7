package route

import (
	"encoding/binary"
	"errors"
	"fmt"

	"golang.org/x/sys/unix"
)

// conn is a route netlink socket that keeps nothing of a dump: tables of a
// million routes pass through its buffer. Requests are answered by the kernel
// at once, so it blocks.
type conn struct {
	fd  int
	seq uint32
	buf []byte
}

const (
	netlinkBuffer = 64 << 10 // above what the kernel puts into one datagram of a dump
	dumpTries     = 5        // interrupted dumps are repeated
)

var errCut = errors.New("netlink message is cut short")

// dial opens a socket in the calling thread's namespace, subscribed to groups.
func dial(groups ...int) (*conn, error) {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.NETLINK_ROUTE)
	if err != nil {
		return nil, fmt.Errorf("open a route netlink socket: %w", err)
	}
	c := &conn{fd: fd, buf: make([]byte, netlinkBuffer)}
	err = unix.Bind(fd, &unix.SockaddrNetlink{Family: unix.AF_NETLINK})
	if err == nil {
		err = unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &unix.Timeval{Sec: 5})
	}
	for _, g := range groups {
		if err == nil {
			err = unix.SetsockoptInt(fd, unix.SOL_NETLINK, unix.NETLINK_ADD_MEMBERSHIP, g)
		}
	}
	if err != nil {
		c.close()
		return nil, fmt.Errorf("open a route netlink socket: %w", err)
	}
	return c, nil
}

func (c *conn) close() { _ = unix.Close(c.fd) }

// dump asks for a whole table and hands each message's body to each.
func (c *conn) dump(kind uint16, body []byte, each func(body []byte) error) error {
	for try := 1; ; try++ {
		interrupted, err := c.exchange(kind, unix.NLM_F_DUMP, body, each)
		if err != nil || !interrupted {
			return err
		}
		if try == dumpTries {
			return errors.New("interrupted by changes again and again")
		}
	}
}

// exchange sends one request and reads until its end: the end of a dump, an
// acknowledgment or error, or the only answer. A kernel's error is a
// unix.Errno.
func (c *conn) exchange(kind, flags uint16, body []byte, each func([]byte) error) (interrupted bool, err error) {
	c.seq++
	if err := c.send(kind, flags|unix.NLM_F_REQUEST, body); err != nil {
		return false, err
	}
	for done := false; !done; {
		b, err := c.receive(0)
		if err != nil {
			return false, err
		}
		err = walk(b, func(m message) error {
			if m.seq != c.seq {
				return nil // the rest of an exchange that was given up
			}
			interrupted = interrupted || m.flags&unix.NLM_F_DUMP_INTR != 0
			done = done || m.kind == unix.NLMSG_DONE || m.flags&unix.NLM_F_MULTI == 0
			if m.kind == unix.NLMSG_ERROR {
				return m.errno()
			}
			if m.kind < unix.NLMSG_MIN_TYPE {
				return nil
			}
			return each(m.body)
		})
		if err != nil {
			return interrupted, err
		}
	}
	return interrupted, nil
}

func (c *conn) send(kind, flags uint16, body []byte) error {
	b := make([]byte, unix.NLMSG_HDRLEN, unix.NLMSG_HDRLEN+len(body))
	binary.NativeEndian.PutUint32(b[0:], uint32(cap(b)))
	binary.NativeEndian.PutUint16(b[4:], kind)
	binary.NativeEndian.PutUint16(b[6:], flags)
	binary.NativeEndian.PutUint32(b[8:], c.seq)
	b = append(b, body...)
	if err := unix.Sendto(c.fd, b, 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
		return fmt.Errorf("send to the kernel: %w", err)
	}
	return nil
}

// receive reads one datagram from the kernel; it is valid until the next.
func (c *conn) receive(flags int) ([]byte, error) {
	for {
		n, from, err := unix.Recvfrom(c.fd, c.buf, flags|unix.MSG_TRUNC)
		switch sender, _ := from.(*unix.SockaddrNetlink); {
		case errors.Is(err, unix.EINTR):
		case err != nil:
			return nil, fmt.Errorf("receive from the kernel: %w", err)
		case sender == nil || sender.Pid != 0: // another process's
		case n > len(c.buf):
			c.buf = make([]byte, n)
			return nil, errCut
		default:
			return c.buf[:n], nil
		}
	}
}

// message is one netlink message (struct nlmsghdr, linux/netlink.h).
type message struct {
	kind, flags uint16
	seq         uint32
	body        []byte
}

// errno reads struct nlmsgerr; nil is an acknowledgment.
func (m message) errno() error {
	if len(m.body) < 4 {
		return errCut
	}
	if n := int32(binary.NativeEndian.Uint32(m.body)); n != 0 {
		return unix.Errno(-n)
	}
	return nil
}

// walk hands each message of a datagram to each.
func walk(b []byte, each func(message) error) error {
	for len(b) >= unix.NLMSG_HDRLEN {
		n := int(binary.NativeEndian.Uint32(b))
		if n < unix.NLMSG_HDRLEN || n > len(b) {
			return errCut
		}
		m := message{
			kind: binary.NativeEndian.Uint16(b[4:]), flags: binary.NativeEndian.Uint16(b[6:]),
			seq: binary.NativeEndian.Uint32(b[8:]), body: b[unix.NLMSG_HDRLEN:n],
		}
		if err := each(m); err != nil {
			return err
		}
		b = b[min(len(b), (n+unix.NLMSG_ALIGNTO-1)&^(unix.NLMSG_ALIGNTO-1)):]
	}
	return nil
}
