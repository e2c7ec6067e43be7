package udp

import (
	"errors"
	"fmt"
	"net/netip"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/portreeve/portreeve/internal/scan/sockaddr"
)

// Sockets of one family: several share the receiving, and one more asks
// protocols that answer from another port.
const (
	perFamily  = 4
	strayIndex = perFamily
	queueBytes = 4 << 20 // wanted receive buffer of each
	bindTries  = 64
)

// sockets are the unconnected sockets of a sweep, opened when first needed.
type sockets struct {
	t     *Transport
	used  map[uint16]bool // ports of an earlier part of the sweep, not bound again
	fds   [2][perFamily + 1]int
	open  [2]error // of each family: errNotOpened, what failed, or nil
	ports map[uint16]bool
	polls []unix.PollFd
	stray map[int32]bool
	buf   [maxReply]byte
	oob   [512]byte
}

var errNotOpened = errors.New("not opened yet")

func newSockets(t *Transport, used map[uint16]bool) *sockets {
	return &sockets{t: t, used: used, open: [2]error{errNotOpened, errNotOpened}, ports: map[uint16]bool{}, stray: map[int32]bool{}}
}

func (s *sockets) close() {
	for _, p := range s.polls {
		_ = unix.Close(int(p.Fd))
	}
}

// openFamily opens the sockets of a family, once.
func (s *sockets) openFamily(f int) error {
	if !errors.Is(s.open[f], errNotOpened) {
		return s.open[f]
	}
	s.open[f] = nil
	for i := range s.fds[f] {
		fd, err := s.openOne(f)
		if err != nil {
			s.open[f] = err
			return err
		}
		s.fds[f][i] = fd
		s.polls = append(s.polls, unix.PollFd{Fd: int32(fd), Events: unix.POLLIN})
		s.stray[int32(fd)] = i == strayIndex
	}
	return nil
}

// openOne opens one socket on a port that no part of the sweep had before, so
// that the port itself can be asked later.
func (s *sockets) openOne(f int) (int, error) {
	var avoided []int
	defer func() {
		for _, fd := range avoided {
			_ = unix.Close(fd)
		}
	}()
	for range bindTries {
		fd, err := s.bound(f)
		if err != nil {
			return -1, err
		}
		port, err := sockaddr.LocalPort(fd)
		if err == nil && !s.used[port] {
			s.ports[port] = true
			return fd, nil
		}
		avoided = append(avoided, fd)
		if err != nil {
			return -1, err
		}
	}
	return -1, fmt.Errorf("find a local port that was not used before: %w", unix.EADDRINUSE)
}

func (s *sockets) bound(f int) (int, error) {
	domain := []int{unix.AF_INET, unix.AF_INET6}[f]
	fd, err := unix.Socket(domain, unix.SOCK_DGRAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, unix.IPPROTO_UDP)
	if err != nil {
		return -1, fmt.Errorf("open a UDP socket: %w", err)
	}
	if err := s.prepare(fd, f); err != nil {
		_ = unix.Close(fd)
		return -1, err
	}
	return fd, nil
}

type sockopt struct {
	what        string
	level, name int
	value       int
}

func options(f int) []sockopt {
	if f == 0 {
		return []sockopt{{what: "ask for ICMP errors", level: unix.IPPROTO_IP, name: unix.IP_RECVERR, value: 1},
			{what: "ask for the time to live", level: unix.IPPROTO_IP, name: unix.IP_RECVTTL, value: 1}}
	}
	return []sockopt{{what: "ask for ICMPv6 errors", level: unix.IPPROTO_IPV6, name: unix.IPV6_RECVERR, value: 1},
		{what: "ask for the hop limit", level: unix.IPPROTO_IPV6, name: unix.IPV6_RECVHOPLIMIT, value: 1},
		{what: "leave IPv4 alone", level: unix.IPPROTO_IPV6, name: unix.IPV6_V6ONLY, value: 1}}
}

func (s *sockets) prepare(fd, f int) error {
	for _, o := range options(f) {
		if err := unix.SetsockoptInt(fd, o.level, o.name, o.value); err != nil {
			return fmt.Errorf("%s: %w", o.what, err)
		}
	}
	// A small buffer only means more retries.
	_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUF, queueBytes)
	if s.t.Iface != "" {
		if err := unix.BindToDevice(fd, s.t.Iface); err != nil {
			return fmt.Errorf("bind to interface %s: %w", s.t.Iface, err)
		}
	}
	sa, err := s.from(f)
	if err != nil {
		return err
	}
	if err := unix.Bind(fd, sa); err != nil {
		return fmt.Errorf("bind to %s: %w", s.t.From, err)
	}
	return nil
}

// from is the address to bind to.
func (s *sockets) from(f int) (unix.Sockaddr, error) {
	from := s.t.From.Unmap()
	if !from.IsValid() {
		from = []netip.Addr{netip.IPv4Unspecified(), netip.IPv6Unspecified()}[f]
	}
	if family(from) != f {
		return nil, fmt.Errorf("ask from %s: the target is of the other family", from)
	}
	if from.IsLinkLocalUnicast() && from.Is6() && from.Zone() == "" {
		from = from.WithZone(s.t.Iface)
	}
	return sockaddr.New(netip.AddrPortFrom(from, 0))
}

// sendTries bounds how often errors of earlier datagrams, which the kernel
// reports on the next call, are skipped.
const sendTries = 16

// send sends one datagram; the error is about this one.
func (s *sockets) send(to spot, stray bool, message []byte) error {
	f := family(to.addr)
	if err := s.openFamily(f); err != nil {
		return err
	}
	i := int(to.port) % perFamily
	if stray {
		i = strayIndex
	}
	sa := sockaddrOf(to)
	var err error
	for range sendTries {
		if err = unix.Sendto(s.fds[f][i], message, unix.MSG_DONTWAIT, sa); !pendingError(err) {
			break
		}
	}
	if err != nil {
		return fmt.Errorf("send a datagram: %w", err)
	}
	return nil
}

// pendingError tells an error that may be an earlier datagram's. The kernel
// clears it by reporting it; asked again the call tells of its own.
func pendingError(err error) bool {
	for _, e := range []unix.Errno{unix.ECONNREFUSED, unix.EHOSTUNREACH, unix.ENETUNREACH, unix.EACCES, unix.ENOPROTOOPT, unix.EHOSTDOWN, unix.EPROTO, unix.EMSGSIZE} {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}

// wait sleeps until something is heard, at most d.
func (s *sockets) wait(d time.Duration) error {
	ts := unix.NsecToTimespec(int64(max(d, 0)))
	_, err := unix.Ppoll(s.polls, &ts, nil)
	if err != nil && !errors.Is(err, syscall.EINTR) {
		return fmt.Errorf("wait for answers: %w", err)
	}
	return nil
}

// heard takes what a poll showed: answers first, for a datagram outweighs an
// error.
func (s *sockets) heard(answer func(from spot, stray bool, b []byte, ttl uint8), refusal func(to spot, reason string)) {
	for i := range s.polls {
		p := &s.polls[i]
		if p.Revents == 0 {
			continue
		}
		p.Revents = 0
		s.answers(p.Fd, answer)
		s.refusals(int(p.Fd), refusal)
	}
}

// readMost bounds what is read of one socket before the others have a turn.
const readMost = 256

func (s *sockets) answers(fd int32, answer func(spot, bool, []byte, uint8)) {
	for range readMost {
		n, oobn, _, from, err := unix.Recvmsg(int(fd), s.buf[:], s.oob[:], unix.MSG_DONTWAIT)
		if pendingError(err) {
			continue
		}
		if err != nil {
			return
		}
		if sp, ok := spotOf(from); ok {
			answer(sp, s.stray[fd], s.buf[:n], hops(s.oob[:oobn]))
		}
	}
}

func (s *sockets) refusals(fd int, refusal func(spot, string)) {
	for range readMost {
		_, oobn, _, to, err := unix.Recvmsg(fd, s.buf[:1], s.oob[:], unix.MSG_ERRQUEUE|unix.MSG_DONTWAIT)
		if err != nil {
			return
		}
		sp, ok := spotOf(to)
		if reason, is := refusalReason(s.oob[:oobn]); ok && is {
			refusal(sp, reason)
		}
	}
}
