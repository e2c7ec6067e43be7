package event

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"slices"
	"strings"
	"sync/atomic"

	"github.com/portreeve/portreeve/internal/exposure"
	"github.com/portreeve/portreeve/internal/host"
	"github.com/portreeve/portreeve/internal/host/sockdiag"
)

// counter counts losses of two kinds, read while it counts.
type counter struct{ n, missed atomic.Uint64 }

func (c *counter) load() uint64 { return c.n.Load() + c.missed.Load() }

// entry is one socket of a plain listing.
type entry struct {
	socket exposure.Socket // without owners
	cookie uint64
	// doubtful: a datagram socket whose port the kernel may have chosen.
	doubtful bool
}

// space is a namespace that is listed.
type space struct {
	exposure.NetNS
	conn    *sockdiag.Conn
	refusal error // why it cannot be listed
	low     uint16
	high    uint16 // the ports that the kernel chooses from
	sources []sockdiag.Request
	// doubtful are the datagram sockets of the last listing whose port the
	// kernel may have chosen: those of clients rarely live for two.
	doubtful map[uint64]bool
	last     map[uint64]entry // the last whole listing
	subflows map[uint64]bool  // cookies of TCP sockets that MPTCP listens by
	ended    *groups          // nil where it does not listen for ends
}

func (l *listing) dial(f host.Space) *space {
	s := &space{NetNS: f.NetNS, doubtful: map[uint64]bool{}, last: map[uint64]entry{}}
	s.refusal = f.Inside(func() error {
		conn, err := sockdiag.Dial()
		if err != nil {
			return err
		}
		s.conn = conn
		s.low, s.high = portRange()
		s.sources = requests()
		if l.destroyed != nil {
			return l.join(s)
		}
		return nil
	})
	return s
}

func (s *space) close() {
	if s.conn != nil {
		_ = s.conn.Close()
		s.conn = nil
	}
	if s.ended != nil {
		s.ended.close()
		s.ended = nil
	}
}

// portRange reads the ports that the kernel chooses from in the calling
// thread's namespace; Linux's default where it cannot be read.
func portRange() (low, high uint16) {
	text, err := os.ReadFile("/proc/sys/net/ipv4/ip_local_port_range")
	if err == nil {
		if n, _ := fmt.Sscan(string(text), &low, &high); n == 2 {
			return low, high
		}
	}
	return 32768, 60999
}

// requests are the protocols that this kernel has: to ask for another would
// load its module.
func requests() []sockdiag.Request {
	text, err := os.ReadFile("/proc/thread-self/net/protocols")
	has := func(names ...string) bool {
		return slices.ContainsFunc(names, func(n string) bool { return strings.Contains("\n"+string(text), "\n"+n+" ") })
	}
	protocols := []sockdiag.Protocol{sockdiag.TCP, sockdiag.UDP}
	if err == nil && has("UDPLITE", "UDP-Lite") {
		protocols = append(protocols, sockdiag.UDPLite)
	}
	if err == nil && has("SCTP") {
		protocols = append(protocols, sockdiag.SCTP)
	}
	if err == nil && has("DCCP") {
		protocols = append(protocols, sockdiag.DCCP)
	}
	var out []sockdiag.Request
	for _, p := range protocols {
		for _, f := range []sockdiag.Family{sockdiag.INET, sockdiag.INET6} {
			out = append(out, request(p, f))
		}
	}
	return out
}

func request(p sockdiag.Protocol, f sockdiag.Family) sockdiag.Request {
	r := sockdiag.Request{Family: f, Protocol: p, States: sockdiag.StateListen.Mask()}
	switch p {
	case sockdiag.UDP, sockdiag.UDPLite:
		r.States = sockdiag.StateClose.Mask()
	case sockdiag.TCP:
		r.Info = true // tells a subflow of MPTCP
	}
	return r
}

// list adds the namespace's sockets to now. When the kernel could not list
// them whole, those of the last time stand: nothing is told closed by doubt.
func (s *space) list(ctx context.Context, now map[uint64]entry) {
	if s.conn == nil {
		return
	}
	d := &dump{space: s, doubtful: map[uint64]bool{}, found: map[uint64]entry{}, subflows: map[uint64]bool{}}
	err := d.run(ctx)
	if err != nil {
		for inode, e := range s.last {
			d.found[inode] = e
		}
	} else {
		s.doubtful, s.subflows = d.doubtful, d.subflows
	}
	s.last = d.found
	for inode, e := range d.found {
		now[inode] = e
	}
}

// dump is one listing of a namespace.
type dump struct {
	space    *space
	found    map[uint64]entry
	doubtful map[uint64]bool
	subflows map[uint64]bool
}

func (d *dump) run(ctx context.Context) error {
	for _, r := range d.space.sources {
		if err := d.ask(ctx, r); err != nil {
			return err
		}
	}
	if len(d.subflows) == 0 {
		return nil
	}
	for _, f := range []sockdiag.Family{sockdiag.INET, sockdiag.INET6} {
		if err := d.ask(ctx, request(sockdiag.MPTCP, f)); err != nil {
			return err
		}
	}
	return nil
}

func (d *dump) ask(ctx context.Context, r sockdiag.Request) error {
	const tries = 5
	var err error
	for range tries {
		err = d.space.conn.Inet(ctx, r, func(s *sockdiag.Socket) error {
			d.add(r.Protocol, s)
			return nil
		})
		if !errors.Is(err, sockdiag.ErrInterrupted) {
			break
		}
	}
	if errors.Is(err, sockdiag.ErrUnsupported) {
		return nil // the kernel has no such family
	}
	return err
}

func (d *dump) add(p sockdiag.Protocol, s *sockdiag.Socket) {
	if s.Inode == 0 {
		return
	}
	if p == sockdiag.TCP && string(s.ULP) == "mptcp" {
		d.subflows[s.Cookie] = true
		return
	}
	e := entry{socket: plain(d.space.NetNS, p, s), cookie: s.Cookie}
	if (p == sockdiag.UDP || p == sockdiag.UDPLite) && s.SrcPort >= d.space.low && s.SrcPort <= d.space.high {
		d.doubtful[s.Inode] = true
		e.doubtful = true
		if !d.space.doubtful[s.Inode] {
			return
		}
	}
	d.found[s.Inode] = e
}

// plain is what a listing tells of a socket.
func plain(ns exposure.NetNS, p sockdiag.Protocol, s *sockdiag.Socket) exposure.Socket {
	out := exposure.Socket{
		Proto: protocol(uint16(p)), State: exposure.Listen, Addr: exposure.IPAddress(s.Src), Port: s.SrcPort,
		PeerAddr: exposure.IPAddress(unspecified(s.Src)), Scope: exposure.ScopeOf(s.Src), NetNS: ns, UID: s.UID, Sockets: 1, MPTCP: p == sockdiag.MPTCP,
	}
	if s.Inode != 0 {
		out.Inodes = []uint64{s.Inode}
	}
	out.DualStack = s.Src == netip.IPv6Unspecified() && s.HasV6Only && !s.V6Only
	if out.Proto == exposure.UDP || out.Proto == exposure.UDPLite {
		out.State = exposure.Unconnected
	}
	return out
}

// zoned puts the device's name into a link-local address, as internal/host
// does.
func zoned(ip netip.Addr, device string) netip.Addr {
	if device == "" || !ip.Is6() || ip.Is4In6() || !(ip.IsLinkLocalUnicast() || ip.IsLinkLocalMulticast() || ip.IsInterfaceLocalMulticast()) {
		return ip
	}
	return ip.WithZone(device)
}
