//go:build !linux

package rtnl

// Conn is a route netlink socket; here there is none.
type Conn struct{}

// Dial opens a socket in the calling thread's network namespace.
func Dial() (*Conn, error) { return nil, ErrUnsupported }

// Close frees the socket.
func (*Conn) Close() error { return nil }

// Links lists the namespace's interfaces.
func (*Conn) Links() ([]Link, error) { return nil, ErrUnsupported }

// Addresses lists the namespace's addresses.
func (*Conn) Addresses() ([]Address, error) { return nil, ErrUnsupported }

// NSID is the number by which this namespace knows another.
func (*Conn) NSID(int) (int32, error) { return NoNSID, ErrUnsupported }

// WireGuardPort asks a WireGuard device for its listening port.
func WireGuardPort(uint32) (uint16, error) { return 0, ErrUnsupported }

// FOUPorts lists the ports of foo-over-UDP receivers.
func FOUPorts() ([]uint16, error) { return nil, ErrUnsupported }
