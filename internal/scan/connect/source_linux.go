package connect

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
)

// source is a socket that asks.
type source struct {
	fd    int
	local uint16

	port     uint16 // pending probe
	deadline time.Time
	began    time.Time
}

// openSource makes a non-blocking socket bound to addr that resets what it
// connects to when it is closed.
func openSource(addr netip.Addr, device string) (*source, error) {
	fd, err := unix.Socket(family(addr), unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, unix.IPPROTO_TCP)
	if err != nil {
		return nil, fmt.Errorf("open a socket: %w", err)
	}
	s := &source{fd: fd}
	if err := s.prepare(addr, device); err != nil {
		s.close()
		return nil, err
	}
	return s, nil
}

func (s *source) prepare(addr netip.Addr, device string) error {
	if err := unix.SetsockoptLinger(s.fd, unix.SOL_SOCKET, unix.SO_LINGER, &unix.Linger{Onoff: 1}); err != nil {
		return fmt.Errorf("set SO_LINGER: %w", err)
	}
	level, option := unix.IPPROTO_IPV6, unix.IPV6_RECVERR
	if addr.Is4() {
		level, option = unix.IPPROTO_IP, unix.IP_RECVERR
	}
	if err := unix.SetsockoptInt(s.fd, level, option, 1); err != nil {
		return fmt.Errorf("ask for ICMP errors: %w", err)
	}
	if device != "" {
		if err := unix.BindToDevice(s.fd, device); err != nil {
			return fmt.Errorf("bind to interface %s: %w", device, err)
		}
	}
	sa, err := sockaddr(netip.AddrPortFrom(addr, 0))
	if err != nil {
		return err
	}
	if err := unix.Bind(s.fd, sa); err != nil {
		return fmt.Errorf("bind to %s: %w", addr, err)
	}
	s.local, err = localPort(s.fd)
	return err
}

func (s *source) close() { _ = unix.Close(s.fd) }

// selfConnected compares both ends of a connection.
func (s *source) selfConnected() bool {
	local, err := unix.Getsockname(s.fd)
	if err != nil {
		return false
	}
	peer, err := unix.Getpeername(s.fd)
	return err == nil && portOf(local) == portOf(peer) && sameAddr(local, peer)
}

// byICMP reads the socket's error queue: whether the last error came in an
// ICMP message, and which.
func (s *source) byICMP() (origin, kind, code byte, ok bool) {
	var oob [256]byte
	_, n, _, _, err := unix.Recvmsg(s.fd, nil, oob[:], unix.MSG_ERRQUEUE|unix.MSG_DONTWAIT)
	if err != nil {
		return 0, 0, 0, false
	}
	msgs, err := unix.ParseSocketControlMessage(oob[:n])
	if err != nil {
		return 0, 0, 0, false
	}
	for _, m := range msgs {
		isErr := m.Header.Level == unix.IPPROTO_IP && m.Header.Type == unix.IP_RECVERR ||
			m.Header.Level == unix.IPPROTO_IPV6 && m.Header.Type == unix.IPV6_RECVERR
		if isErr && len(m.Data) >= 16 { // struct sock_extended_err, linux/errqueue.h
			return m.Data[4], m.Data[5], m.Data[6], true
		}
	}
	return 0, 0, 0, false
}

func family(addr netip.Addr) int {
	if addr.Is4() {
		return unix.AF_INET
	}
	return unix.AF_INET6
}

func sockaddr(ap netip.AddrPort) (unix.Sockaddr, error) {
	addr := ap.Addr()
	if addr.Is4() {
		return &unix.SockaddrInet4{Addr: addr.As4(), Port: int(ap.Port())}, nil
	}
	zone, err := zoneIndex(addr.Zone())
	return &unix.SockaddrInet6{Addr: addr.As16(), Port: int(ap.Port()), ZoneId: zone}, err
}

// zoneIndex is the interface index of a zone that is a name or a number.
func zoneIndex(zone string) (uint32, error) {
	if zone == "" {
		return 0, nil
	}
	if n, err := strconv.ParseUint(zone, 10, 32); err == nil {
		return uint32(n), nil
	}
	iface, err := net.InterfaceByName(zone)
	if err != nil {
		return 0, fmt.Errorf("zone %s: %w", zone, err)
	}
	return uint32(iface.Index), nil
}

func localPort(fd int) (uint16, error) {
	sa, err := unix.Getsockname(fd)
	if err != nil {
		return 0, fmt.Errorf("read the local port: %w", err)
	}
	return portOf(sa), nil
}

func portOf(sa unix.Sockaddr) uint16 {
	switch sa := sa.(type) {
	case *unix.SockaddrInet4:
		return uint16(sa.Port)
	case *unix.SockaddrInet6:
		return uint16(sa.Port)
	}
	return 0
}

func sameAddr(a, b unix.Sockaddr) bool {
	switch a := a.(type) {
	case *unix.SockaddrInet4:
		b, ok := b.(*unix.SockaddrInet4)
		return ok && a.Addr == b.Addr
	case *unix.SockaddrInet6:
		b, ok := b.(*unix.SockaddrInet6)
		return ok && a.Addr == b.Addr
	}
	return false
}

// exhausted tells an error of the asker's own means, which says nothing of
// the port.
func exhausted(err error) bool {
	for _, e := range []unix.Errno{unix.EMFILE, unix.ENFILE, unix.ENOBUFS, unix.ENOMEM, unix.EAGAIN, unix.EADDRINUSE} {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}

// refusal gives the reason of an error that says the way is barred.
func refusal(err error) string {
	switch {
	case errors.Is(err, unix.EHOSTUNREACH), errors.Is(err, unix.EHOSTDOWN):
		return "host-unreach"
	case errors.Is(err, unix.ENETUNREACH), errors.Is(err, unix.ENETDOWN):
		return "net-unreach"
	case errors.Is(err, unix.EACCES), errors.Is(err, unix.EPERM):
		return "not-permitted"
	case errors.Is(err, unix.ENOPROTOOPT), errors.Is(err, unix.EPROTO):
		return "proto-unreach"
	case errors.Is(err, unix.ETIMEDOUT):
		return "no-response"
	}
	return ""
}
