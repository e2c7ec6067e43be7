package host

import (
	"context"
	"errors"

	"github.com/portreeve/portreeve/internal/exposure"
	"github.com/portreeve/portreeve/internal/host/sockdiag"
	"golang.org/x/sync/errgroup"
	"golang.org/x/sys/unix"
)

// portSet is a bit for each port.
type portSet [1 << 10]uint64

func (s *portSet) add(port uint16)      { s[port>>6] |= 1 << (port & 63) }
func (s *portSet) has(port uint16) bool { return s[port>>6]&(1<<(port&63)) != 0 }

// usage is what sock_diag lists by port.
type usage struct {
	any     map[exposure.Proto]*portSet // a socket of any state
	listens map[exposure.Proto]*portSet
}

func (x *crosscheck) usage() (usage, error) {
	u := usage{map[exposure.Proto]*portSet{}, map[exposure.Proto]*portSet{}}
	for _, proto := range probed() {
		u.any[proto.proto], u.listens[proto.proto] = new(portSet), new(portSet)
	}
	err := x.dumpAll(func(proto exposure.Proto, s *sockdiag.Socket) {
		u.any[proto].add(s.SrcPort)
		// A socket of one device, or one that ends, need not be in the way.
		if listens(proto, uint8(s.State)) && s.Interface == 0 {
			u.listens[proto].add(s.SrcPort)
		}
	})
	return u, err
}

type probedProto struct {
	proto    exposure.Proto
	kind     int
	protocol int
}

func probed() []probedProto {
	return []probedProto{
		{exposure.TCP, unix.SOCK_STREAM, unix.IPPROTO_TCP},
		{exposure.UDP, unix.SOCK_DGRAM, unix.IPPROTO_UDP},
	}
}

// probeBinds tries every port, and what contradicts sock_diag again.
func (x *crosscheck) probeBinds(out *[]Disagreement) error {
	if x.conn == nil {
		return nil // the gap is noted
	}
	if !x.seesBound() {
		x.v.gap("bind probing left out: this kernel does not list TCP sockets that are bound and do not listen (Linux 6.8 does), so a port in use proves nothing")
		return nil
	}
	doubts, err := x.probeRound(nil)
	for round := 1; round < rounds && err == nil && len(doubts) > 0; round++ {
		if err = sleep(x.v.ctx, pause); err == nil {
			doubts, err = x.probeRound(doubts)
		}
	}
	for _, d := range doubts {
		*out = append(*out, d.disagreement(SourceDiag))
	}
	return err
}

// seesBound makes sure, with a socket of our own, that bound sockets are
// listed.
func (x *crosscheck) seesBound() bool {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return false
	}
	defer unix.Close(fd)
	if err := unix.Bind(fd, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		return false
	}
	sa, err := unix.Getsockname(fd)
	own, ok := sa.(*unix.SockaddrInet4)
	if err != nil || !ok {
		return false
	}
	u, err := x.usage()
	return err == nil && u.any[exposure.TCP].has(uint16(own.Port))
}

// probeRound tries the ports of doubts, or all of them when it is nil, between
// two listings: a port that either lists is no contradiction.
func (x *crosscheck) probeRound(doubts []bindDoubt) ([]bindDoubt, error) {
	before, err := x.usage()
	if err != nil {
		return nil, err
	}
	found, err := x.tryPorts(before, doubts)
	if err != nil || len(found) == 0 {
		return nil, err
	}
	after, err := x.usage()
	if err != nil {
		return nil, err
	}
	var out []bindDoubt
	for _, d := range found {
		listed := after.any[d.proto].has(d.port)
		if d.free {
			listed = !after.listens[d.proto].has(d.port)
		}
		if !listed {
			out = append(out, d)
		}
	}
	return out, nil
}

// tryPorts tries the ports of doubts, or all of them when it is nil.
func (x *crosscheck) tryPorts(u usage, doubts []bindDoubt) ([]bindDoubt, error) {
	if doubts == nil {
		return x.tryAll(u)
	}
	var out prober
	for _, d := range doubts {
		out.try(u, protoOfProbe(d.proto), d.port)
	}
	return out.doubts, nil
}

// tryAll tries every port, a protocol on a thread of its own.
func (x *crosscheck) tryAll(u usage) ([]bindDoubt, error) {
	probers := make([]prober, len(probed()))
	var g errgroup.Group
	for i, p := range probed() {
		g.Go(func() error {
			return inside(x.v.places[0], func() error { return probers[i].all(x.v.ctx, u, p) })
		})
	}
	err := g.Wait()
	var out []bindDoubt
	for _, p := range probers {
		out = append(out, p.doubts...)
		if p.denied {
			x.v.gap("ports below 1024 were not probed by binding: it needs CAP_NET_BIND_SERVICE (run as root)")
		}
	}
	return out, err
}

func protoOfProbe(proto exposure.Proto) probedProto {
	for _, p := range probed() {
		if p.proto == proto {
			return p
		}
	}
	return probedProto{}
}

// prober gathers what trial binds say.
type prober struct {
	doubts []bindDoubt
	denied bool // a port below 1024 may not be bound
}

func (b *prober) all(ctx context.Context, u usage, p probedProto) error {
	for port := 1; port <= 0xffff; port++ {
		if port&1023 == 0 && ctx.Err() != nil {
			return ctx.Err()
		}
		b.try(u, p, uint16(port))
	}
	return nil
}

// try binds one port on every address of both families at once. Only "in use"
// (EADDRINUSE) and success say something.
func (b *prober) try(u usage, p probedProto, port uint16) {
	listed, listens := u.any[p.proto].has(port), u.listens[p.proto].has(port)
	if listed && !listens {
		return // whether it can be bound depends on addresses and states
	}
	err := tryBind(p, port, unix.AF_INET6)
	if errors.Is(err, unix.EAFNOSUPPORT) || errors.Is(err, unix.EADDRNOTAVAIL) {
		err = tryBind(p, port, unix.AF_INET)
	}
	switch {
	case listens && err == nil:
		b.doubts = append(b.doubts, bindDoubt{proto: p.proto, port: port, free: true})
	case !listed && errors.Is(err, unix.EADDRINUSE):
		only6 := tryBind(p, port, unix.AF_INET) == nil
		b.doubts = append(b.doubts, bindDoubt{proto: p.proto, port: port, ipv6: only6})
	case port < 1024 && (errors.Is(err, unix.EACCES) || errors.Is(err, unix.EPERM)):
		b.denied = true
	}
}

// tryBind binds and closes at once, without SO_REUSEADDR or SO_REUSEPORT: two
// sockets on one port then always collide.
func tryBind(p probedProto, port uint16, family int) error {
	fd, err := unix.Socket(family, p.kind|unix.SOCK_CLOEXEC, p.protocol)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	if family == unix.AF_INET {
		return unix.Bind(fd, &unix.SockaddrInet4{Port: int(port)})
	}
	if err := unix.SetsockoptInt(fd, unix.IPPROTO_IPV6, unix.IPV6_V6ONLY, 0); err != nil {
		return err
	}
	return unix.Bind(fd, &unix.SockaddrInet6{Port: int(port)})
}
