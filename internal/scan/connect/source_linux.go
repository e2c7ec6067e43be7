package connect

import (
	"errors"
	"fmt"
	"net/netip"
	"time"

	"golang.org/x/sys/unix"

	"github.com/portreeve/portreeve/internal/scan/sockaddr"
	"github.com/portreeve/portreeve/internal/scan/unreach"
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
// connects to when it is closed. The port is bound by number: one that the
// kernel chose would be given up after the first refused connect, and the next
// one chosen might be the asked port.
func openSource(addr netip.Addr) (*source, error) {
	for range bindTries {
		s, err := bindSource(addr, 0)
		if err != nil {
			return nil, err
		}
		local := s.local
		s.close()
		if s, err = bindSource(addr, local); !errors.Is(err, unix.EADDRINUSE) {
			return s, err
		}
	}
	return nil, fmt.Errorf("bind to a free port of %s: %w", addr, unix.EADDRINUSE)
}

// bindTries bounds the race for a port between choosing and binding it.
const bindTries = 8

func bindSource(addr netip.Addr, port uint16) (*source, error) {
	fd, err := unix.Socket(sockaddr.Family(addr), unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, unix.IPPROTO_TCP)
	if err != nil {
		return nil, fmt.Errorf("open a socket: %w", err)
	}
	s := &source{fd: fd}
	if err := s.prepare(netip.AddrPortFrom(addr, port)); err != nil {
		s.close()
		return nil, err
	}
	return s, nil
}

func (s *source) prepare(from netip.AddrPort) error {
	if err := unix.SetsockoptLinger(s.fd, unix.SOL_SOCKET, unix.SO_LINGER, &unix.Linger{Onoff: 1}); err != nil {
		return fmt.Errorf("set SO_LINGER: %w", err)
	}
	level, option := unix.IPPROTO_IPV6, unix.IPV6_RECVERR
	if from.Addr().Is4() {
		level, option = unix.IPPROTO_IP, unix.IP_RECVERR
	}
	if err := unix.SetsockoptInt(s.fd, level, option, 1); err != nil {
		return fmt.Errorf("ask for ICMP errors: %w", err)
	}
	sa, err := sockaddr.New(from)
	if err != nil {
		return err
	}
	if err := unix.Bind(s.fd, sa); err != nil {
		return fmt.Errorf("bind to %s: %w", from, err)
	}
	s.local, err = sockaddr.LocalPort(s.fd)
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
	return err == nil && sockaddr.AddrPort(local) == sockaddr.AddrPort(peer)
}

// unreachable gives the reason where the last error came in an ICMP message:
// the kernel reports a port-unreachable and a RST alike.
func (s *source) unreachable() (reason string, ok bool) {
	e, ok := sockaddr.LastICMP(s.fd)
	if !ok {
		return "", false
	}
	return unreach.Reason(e.V6, e.Type, e.Code)
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
