package udp

import (
	"encoding/binary"
	"net/netip"

	"golang.org/x/sys/unix"

	"github.com/portreeve/portreeve/internal/scan/sockaddr"
	"github.com/portreeve/portreeve/internal/scan/unreach"
)

// spotOf reads a socket address.
func spotOf(sa unix.Sockaddr) (spot, bool) {
	ap := sockaddr.AddrPort(sa)
	if !ap.IsValid() {
		return spot{}, false
	}
	s := spot{place{addr: ap.Addr().Unmap()}, ap.Port()}
	if six, ok := sa.(*unix.SockaddrInet6); ok && ap.Addr().IsLinkLocalUnicast() {
		s.zone = six.ZoneId
	}
	return s, true
}

// sockaddrOf makes a socket address.
func sockaddrOf(s spot) unix.Sockaddr {
	if s.addr.Is4() {
		return &unix.SockaddrInet4{Addr: s.addr.As4(), Port: int(s.port)}
	}
	return &unix.SockaddrInet6{Addr: s.addr.As16(), Port: int(s.port), ZoneId: s.zone}
}

// refusalReason reads the control messages of an entry of the error queue
// (ip(7), ipv6(7): struct sock_extended_err of linux/errqueue.h) and names the
// ICMP error; ok is false for anything else.
func refusalReason(oob []byte) (reason string, ok bool) {
	eachControl(oob, func(level, kind int32, data []byte) {
		four := level == unix.IPPROTO_IP && kind == unix.IP_RECVERR
		six := level == unix.IPPROTO_IPV6 && kind == unix.IPV6_RECVERR
		if ok || !four && !six || len(data) < 16 {
			return
		}
		switch origin := data[4]; origin {
		case unix.SO_EE_ORIGIN_ICMP, unix.SO_EE_ORIGIN_ICMP6:
			reason, ok = unreach.Reason(origin == unix.SO_EE_ORIGIN_ICMP6, data[5], data[6])
		}
	})
	return reason, ok
}

// hops reads the time to live (hop limit) of a datagram, 0 if it is not told.
func hops(oob []byte) (ttl uint8) {
	eachControl(oob, func(level, kind int32, data []byte) {
		four := level == unix.IPPROTO_IP && kind == unix.IP_TTL
		six := level == unix.IPPROTO_IPV6 && kind == unix.IPV6_HOPLIMIT
		if (four || six) && len(data) >= 4 {
			ttl = uint8(min(binary.NativeEndian.Uint32(data), 255))
		}
	})
	return ttl
}

// eachControl walks struct cmsghdr entries (cmsg(3)); it stops at the first
// that does not fit.
func eachControl(oob []byte, see func(level, kind int32, data []byte)) {
	head := unix.CmsgLen(0)
	for len(oob) >= head {
		size := nativeLen(oob)
		if size < uint64(head) || size > uint64(len(oob)) {
			return
		}
		level := int32(binary.NativeEndian.Uint32(oob[head-8:]))
		kind := int32(binary.NativeEndian.Uint32(oob[head-4:]))
		see(level, kind, oob[head:size])
		oob = oob[min(len(oob), unix.CmsgSpace(int(size)-head)):]
	}
}

// nativeLen reads cmsg_len, a size_t.
func nativeLen(oob []byte) uint64 {
	if unix.SizeofPtr == 8 {
		return binary.NativeEndian.Uint64(oob)
	}
	return uint64(binary.NativeEndian.Uint32(oob))
}

// family is the index of an address family's sockets.
func family(addr netip.Addr) int {
	if addr.Is4() {
		return 0
	}
	return 1
}
