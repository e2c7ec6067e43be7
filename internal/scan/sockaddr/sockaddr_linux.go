package sockaddr

import (
	"fmt"
	"net"
	"net/netip"
	"strconv"

	"golang.org/x/sys/unix"
)

// Family is AF_INET or AF_INET6.
func Family(addr netip.Addr) int {
	if addr.Is4() {
		return unix.AF_INET
	}
	return unix.AF_INET6
}

// New makes a socket address; a zone must name an interface or be its index.
func New(ap netip.AddrPort) (unix.Sockaddr, error) {
	addr := ap.Addr()
	if addr.Is4() {
		return &unix.SockaddrInet4{Addr: addr.As4(), Port: int(ap.Port())}, nil
	}
	zone, err := Zone(addr.Zone())
	return &unix.SockaddrInet6{Addr: addr.As16(), Port: int(ap.Port()), ZoneId: zone}, err
}

// Zone is the interface index of a zone that is a name or a number.
func Zone(zone string) (uint32, error) {
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

// AddrPort reads a socket address, without zone; the zero AddrPort for one
// that is no IP address.
func AddrPort(sa unix.Sockaddr) netip.AddrPort {
	switch sa := sa.(type) {
	case *unix.SockaddrInet4:
		return netip.AddrPortFrom(netip.AddrFrom4(sa.Addr), uint16(sa.Port))
	case *unix.SockaddrInet6:
		return netip.AddrPortFrom(netip.AddrFrom16(sa.Addr), uint16(sa.Port))
	}
	return netip.AddrPort{}
}

// LocalPort is the port that a socket is bound to.
func LocalPort(fd int) (uint16, error) {
	sa, err := unix.Getsockname(fd)
	if err != nil {
		return 0, fmt.Errorf("read the local port: %w", err)
	}
	return AddrPort(sa).Port(), nil
}

// Ours tells whether addr may be bound now, that is, whether it is an address
// of this host in the calling thread's namespace (and of no VRF).
func Ours(addr netip.Addr) error {
	fd, err := unix.Socket(Family(addr), unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("check %s: %w", addr, err)
	}
	defer func() { _ = unix.Close(fd) }()
	sa, err := New(netip.AddrPortFrom(addr, 0))
	if err == nil {
		err = unix.Bind(fd, sa)
	}
	if err != nil {
		return fmt.Errorf("%s is no address of this host now: %w", addr, err)
	}
	return nil
}

// ICMPError is an ICMP error that a socket with IP_RECVERR or IPV6_RECVERR
// received.
type ICMPError struct {
	V6         bool
	Type, Code byte
}

// LastICMP takes the oldest entry of a socket's error queue (ip(7)); ok is
// false where there is none or it is no ICMP error.
func LastICMP(fd int) (e ICMPError, ok bool) {
	var oob [512]byte
	var b [1]byte
	_, n, _, _, err := unix.Recvmsg(fd, b[:], oob[:], unix.MSG_ERRQUEUE|unix.MSG_DONTWAIT)
	if err != nil {
		return ICMPError{}, false
	}
	return icmpIn(oob[:n])
}

// extendedError reads struct sock_extended_err (linux/errqueue.h).
func extendedError(m unix.SocketControlMessage) (ICMPError, bool) {
	four := m.Header.Level == unix.IPPROTO_IP && m.Header.Type == unix.IP_RECVERR
	six := m.Header.Level == unix.IPPROTO_IPV6 && m.Header.Type == unix.IPV6_RECVERR
	if !four && !six || len(m.Data) < 16 {
		return ICMPError{}, false
	}
	origin := m.Data[4]
	if origin != unix.SO_EE_ORIGIN_ICMP && origin != unix.SO_EE_ORIGIN_ICMP6 {
		return ICMPError{}, false
	}
	return ICMPError{V6: origin == unix.SO_EE_ORIGIN_ICMP6, Type: m.Data[5], Code: m.Data[6]}, true
}
