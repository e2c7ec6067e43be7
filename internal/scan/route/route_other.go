//go:build !linux

package route

import (
	"context"
	"net"
	"net/netip"

	"github.com/portreeve/portreeve/internal/scan/discover/rounds"
)

// Table answers for the routes of this host; here there is none.
type Table struct{}

// Open lists interfaces, routes and rules.
func Open(Options) (*Table, error) { return nil, ErrUnsupported }

// Close frees the sockets.
func (*Table) Close() error { return nil }

// Path is the way to a destination.
func (*Table) Path(netip.Addr) (Path, error) { return Path{}, ErrUnsupported }

// NextHop is the gateway towards a destination or, on the link, itself.
func (*Table) NextHop(netip.Addr) (netip.Addr, error) { return netip.Addr{}, ErrUnsupported }

// Down says why nothing passes an interface now.
func (*Table) Down(int) error { return ErrUnsupported }

// Check says why a path holds no longer.
func (*Table) Check(netip.Addr, Path) error { return ErrUnsupported }

// Resolve finds the hardware addresses of next hops.
func Resolve(context.Context, Path, []netip.Addr, ResolveOptions) (map[netip.Addr]net.HardwareAddr, error) {
	return nil, ErrUnsupported
}

// Ask asks an Ethernet link who has each of the addresses.
func Ask(context.Context, Path, []netip.Addr, ResolveOptions, func(int, Neighbour)) (rounds.Stats, error) {
	return rounds.Stats{}, ErrUnsupported
}
