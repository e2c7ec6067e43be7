package packet

import (
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"

	"github.com/portreeve/portreeve/internal/scan/rawsock"
)

// receiveBuffer is asked for; the kernel may give less.
const receiveBuffer = 4 << 20

// Socket is a packet socket.
type Socket struct {
	fd int
	to unix.SockaddrLinklayer // reused
}

// Open opens a socket that hears packets of a protocol (ETH_P_*; 0: none)
// that a filter accepts, from one interface or (index 0) all. The filter sees
// the packet from its network header on.
func Open(proto uint16, index int, filter []bpf.Instruction) (*Socket, error) {
	// Protocol 0 hears nothing until the filter is in place.
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return nil, fmt.Errorf("open a packet socket (needs CAP_NET_RAW): %w", err)
	}
	s := &Socket{fd: fd}
	if proto == 0 {
		return s, nil
	}
	if err := s.listen(proto, index, filter); err != nil {
		s.Close()
		return nil, fmt.Errorf("listen with a packet socket: %w", err)
	}
	return s, nil
}

func (s *Socket) listen(proto uint16, index int, filter []bpf.Instruction) error {
	_ = unix.SetsockoptInt(s.fd, unix.SOL_PACKET, unix.PACKET_IGNORE_OUTGOING, 1) // Linux 4.20; saves time only
	if unix.SetsockoptInt(s.fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, receiveBuffer) != nil {
		_ = unix.SetsockoptInt(s.fd, unix.SOL_SOCKET, unix.SO_RCVBUF, receiveBuffer)
	}
	if err := rawsock.Attach(s.fd, filter); err != nil {
		return err
	}
	return unix.Bind(s.fd, &unix.SockaddrLinklayer{Protocol: networkOrder(proto), Ifindex: index})
}

func networkOrder(v uint16) uint16 {
	var b [2]byte
	binary.BigEndian.PutUint16(b[:], v)
	return binary.NativeEndian.Uint16(b[:])
}

// Close frees the socket.
func (s *Socket) Close() { _ = unix.Close(s.fd) }

// Send sends a packet out of an interface, to a hardware address where the
// link has them. busy says that the kernel's queue is full just now.
func (s *Socket) Send(b []byte, proto uint16, index int, hw []byte) (busy bool, err error) {
	s.to.Protocol, s.to.Ifindex, s.to.Halen = networkOrder(proto), index, uint8(copy(s.to.Addr[:], hw))
	for {
		err = unix.Sendto(s.fd, b, unix.MSG_DONTWAIT, &s.to)
		if !errors.Is(err, unix.EINTR) {
			break
		}
	}
	switch {
	case errors.Is(err, unix.EAGAIN), errors.Is(err, unix.ENOBUFS), errors.Is(err, unix.ENOMEM):
		return true, nil
	case err != nil:
		return false, fmt.Errorf("send a packet: %w", err)
	}
	return false, nil
}

// Receive reads one packet into b, and its sender's hardware address into hw
// (empty where the link has none). ok is false where nothing is waiting.
func (s *Socket) Receive(b []byte, hw *[8]byte) (n, hwLen int, ok bool, err error) {
	n, from, err := unix.Recvfrom(s.fd, b, unix.MSG_DONTWAIT)
	switch {
	case errors.Is(err, unix.EAGAIN), errors.Is(err, unix.EINTR):
		return 0, 0, false, nil
	case err != nil:
		return 0, 0, false, fmt.Errorf("receive from a packet socket: %w", err)
	}
	if ll, is := from.(*unix.SockaddrLinklayer); is {
		hwLen = copy(hw[:], ll.Addr[:min(int(ll.Halen), len(ll.Addr))])
	}
	return n, hwLen, true, nil
}

// Poll is the socket's entry for Wait.
func (s *Socket) Poll() unix.PollFd { return unix.PollFd{Fd: int32(s.fd), Events: unix.POLLIN} }

// Wait waits up to d until one of the sockets has something to read.
func Wait(polls []unix.PollFd, d time.Duration) {
	ts := unix.NsecToTimespec(max(0, int64(d)))
	_, _ = unix.Ppoll(polls, &ts, nil) // an interruption is looked at as "nothing yet"
}
