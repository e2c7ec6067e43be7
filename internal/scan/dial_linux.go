package scan

import (
	"net"
	"net/netip"
	"syscall"

	"golang.org/x/sys/unix"
)

// dialer opens connections from an address and through an interface, where
// they are given.
func dialer(from netip.Addr, iface string) *net.Dialer {
	d := new(net.Dialer)
	if from.IsValid() {
		d.LocalAddr = net.TCPAddrFromAddrPort(netip.AddrPortFrom(from, 0))
	}
	if iface != "" {
		d.Control = func(_, _ string, c syscall.RawConn) error {
			var bound error
			err := c.Control(func(fd uintptr) {
				bound = unix.SetsockoptString(int(fd), unix.SOL_SOCKET, unix.SO_BINDTODEVICE, iface)
			})
			if err == nil {
				err = bound
			}
			return err
		}
	}
	return d
}
