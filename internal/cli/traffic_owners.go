package cli

import (
	"context"
	"fmt"
	"net/netip"
	"sync"
	"time"

	"github.com/portreeve/portreeve/internal/exposure"
	"github.com/portreeve/portreeve/internal/host"
	"github.com/portreeve/portreeve/internal/traffic/flow"
	"github.com/portreeve/portreeve/internal/traffic/wire"
)

// ownersPace is how old the table of owners may be: a look costs some tens of
// milliseconds.
const ownersPace = 2 * time.Second

// maxOwned bounds the sockets whose owners are kept.
const maxOwned = 200_000

// flowOwners names the process of this host that has a flow. Connections come
// first, then the listener or unconnected socket at one of its ends.
type flowOwners struct {
	mu    sync.Mutex
	taken time.Time
	conns map[ownedConn]string
	binds map[ownedEnd]string
	own   map[netip.Addr]bool
}

type ownedConn struct {
	proto       exposure.Proto
	local, peer netip.AddrPort
}

type ownedEnd struct {
	proto exposure.Proto
	addr  netip.Addr // invalid: every address
	port  uint16
}

func newFlowOwners() *flowOwners { return new(flowOwners) }

// of answers for one flow; "" where nobody here has it.
func (o *flowOwners) of(ctx context.Context, f *flow.Flow) string {
	o.mu.Lock()
	defer o.mu.Unlock()
	if time.Since(o.taken) > ownersPace {
		o.look(ctx)
	}
	proto := exposure.ProtoByNumber(f.Proto)
	client := netip.AddrPortFrom(wire.Addr(f.Client), f.ClientPort)
	server := netip.AddrPortFrom(wire.Addr(f.Server), f.ServerPort)
	for _, c := range []ownedConn{{proto, server, client}, {proto, client, server}} {
		if name := o.conns[c]; name != "" {
			return name
		}
	}
	ends := []netip.AddrPort{server, client}
	if f.Proto == protoTCP {
		ends = ends[:1] // whose connection is over had it from the listener
	}
	for _, e := range ends {
		if name := o.bound(proto, e); name != "" {
			return name
		}
	}
	return ""
}

// bound names who listens, or receives datagrams, at an address of this host.
func (o *flowOwners) bound(proto exposure.Proto, e netip.AddrPort) string {
	if !o.own[e.Addr()] {
		return "" // a wildcard socket is not at others' addresses
	}
	if name := o.binds[ownedEnd{proto, e.Addr(), e.Port()}]; name != "" {
		return name
	}
	return o.binds[ownedEnd{proto: proto, port: e.Port()}]
}

// look reads all sockets with their owners. What cannot be read stays as it
// was known.
func (o *flowOwners) look(ctx context.Context) {
	conns, binds := map[ownedConn]string{}, map[ownedEnd]string{}
	_, err := new(host.Reader).Stream(ctx, host.Options{All: true, NetNS: host.SelfNetNS}, func(s *exposure.Socket) error {
		name := holder(s)
		if name == "" || len(conns)+len(binds) >= maxOwned || !s.Addr.IP.IsValid() {
			return nil
		}
		addr := s.Addr.IP.Unmap().WithZone("")
		if s.PeerAddr.IP.IsValid() && s.PeerPort != 0 {
			conns[ownedConn{s.Proto, netip.AddrPortFrom(addr, s.Port), netip.AddrPortFrom(s.PeerAddr.IP.Unmap().WithZone(""), s.PeerPort)}] = name
			return nil
		}
		if addr.IsUnspecified() {
			addr = netip.Addr{}
		}
		binds[ownedEnd{s.Proto, addr, s.Port}] = name
		return nil
	})
	if err == nil {
		o.conns, o.binds = conns, binds
	}
	o.own = ownAddresses(ctx)
	o.taken = time.Now()
}

// protoTCP is TCP's IANA protocol number.
const protoTCP = 6

// ownAddresses are this host's, loopback included.
func ownAddresses(ctx context.Context) map[netip.Addr]bool {
	own := map[netip.Addr]bool{netip.AddrFrom4([4]byte{127, 0, 0, 1}): true, netip.IPv6Loopback(): true}
	addrs, err := host.Addresses(ctx)
	if err != nil {
		return own
	}
	for _, a := range addrs {
		own[a.Addr.WithZone("")] = true
	}
	return own
}

func holder(s *exposure.Socket) string {
	if len(s.Processes) == 0 {
		return ""
	}
	p := &s.Processes[0]
	return fmt.Sprintf("%s[%d]", p.Name, p.PID)
}
