//go:build !linux

package scan

import (
	"net"
	"net/netip"
)

// dialer opens connections from an address, where one is given; routing
// chooses the interface.
func dialer(from netip.Addr, _ string) *net.Dialer {
	d := new(net.Dialer)
	if from.IsValid() {
		d.LocalAddr = net.TCPAddrFromAddrPort(netip.AddrPortFrom(from, 0))
	}
	return d
}
