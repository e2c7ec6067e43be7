package connect

import (
	"errors"
	"fmt"
	"net/netip"
	"os"

	"golang.org/x/sys/unix"

	"github.com/portreeve/portreeve/internal/scan/sockaddr"
)

// rangeShare is the part of the ephemeral ports that may be held.
const rangeShare = 16

// mostAnchors is how many sockets may hold a port of their own: they spare the
// kernel the search for one with every probe, and two threads the wait for
// each other in it. Every first try of a port may come from the same source
// port; a second one may not, for a target that still remembers the first
// would refuse it with a RST though the port is open.
func mostAnchors() int {
	var first, last int
	text, err := os.ReadFile("/proc/sys/net/ipv4/ip_local_port_range") // IPv6 shares it
	if err != nil {
		return 0
	}
	if _, err := fmt.Sscan(string(text), &first, &last); err != nil || last < first {
		return 0
	}
	return min(launchBatch, (last-first+1)/rangeShare)
}

// anchor opens a socket bound by number to a port that was free a moment ago:
// one that the kernel chose would be given up after the first refused connect.
// nil where that cannot be.
func (p *pool) anchor(k kind) *probe {
	for range bindTries {
		if p.anchors <= 0 {
			return nil
		}
		port := p.freePort(k)
		if port == 0 {
			return nil
		}
		s, err := p.open(k, port)
		if err == nil {
			p.anchors--
			return s
		}
		if !errors.Is(err, unix.EADDRINUSE) {
			return nil
		}
	}
	p.anchors = 0
	return nil
}

// freePort asks the kernel for a port by binding to none.
func (p *pool) freePort(k kind) uint16 {
	family := unix.AF_INET
	if k.v6 {
		family = unix.AF_INET6
	}
	fd, err := unix.Socket(family, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, unix.IPPROTO_TCP)
	if err != nil {
		return 0
	}
	defer func() { _ = unix.Close(fd) }()
	if bind(fd, netip.AddrPortFrom(p.sourceAddr(k), 0)) != nil {
		return 0
	}
	port, err := sockaddr.LocalPort(fd)
	if err != nil {
		return 0
	}
	return port
}
