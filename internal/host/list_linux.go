package host

import (
	"errors"
	"io/fs"
	"net/netip"

	"github.com/portreeve/portreeve/internal/exposure"
	"github.com/portreeve/portreeve/internal/host/procfs"
	"github.com/portreeve/portreeve/internal/host/sockdiag"
)

// dial opens sock_diag in the thread's namespace; nil where it is refused.
func (v *survey) dial(ns *space) *sockdiag.Conn {
	if v.r.noDiag || ns.outside {
		return nil
	}
	conn, err := sockdiag.Dial()
	if err != nil {
		return nil
	}
	return conn
}

// errRefused stands for a netlink socket that could not be opened.
var errRefused error = &sockdiag.OpError{Op: "open", Kind: sockdiag.ErrRefused}

// list gathers a namespace's listening sockets; the calling thread is in it.
func (v *survey) list(ns *space) error {
	conn := v.dial(ns)
	if conn != nil {
		defer conn.Close()
	}
	names, err := procfs.Dir{Root: ns.dir}.Protocols()
	if err != nil {
		names = nil
	}
	for _, s := range plainSources() {
		if err := v.ctx.Err(); err != nil {
			return err
		}
		raw := s.request.Protocol == sockdiag.Raw
		if s.has(names) && (!raw || v.o.All || v.o.Packet) {
			v.listSource(ns, conn, s)
		}
	}
	// The kernel searches all of its MPTCP tokens for this, which takes longer
	// than everything else; every MPTCP socket shows itself in TCP's list.
	for _, s := range mptcpSources() {
		if ns.mptcp && s.has(names) {
			v.listSource(ns, conn, s)
		}
	}
	if v.o.All || v.o.Packet {
		v.listPacket(ns, conn)
	}
	if v.o.All {
		v.listPing(ns)
	}
	return v.ctx.Err()
}

// listSource asks one protocol by netlink, and /proc where that is refused.
func (v *survey) listSource(ns *space, conn *sockdiag.Conn, s source) {
	request := s.request
	request.States = s.listStates(v.o.All)
	request.Info = request.Protocol == sockdiag.TCP // with it comes the upper layer protocol
	err := v.repeat(func() error {
		if conn == nil {
			return errRefused
		}
		return conn.Inet(v.ctx, request, func(d *sockdiag.Socket) error {
			v.add(ns, request.Protocol, d)
			return nil
		})
	})
	if request.Protocol == sockdiag.MPTCP && !ns.subflows && errors.Is(err, sockdiag.ErrUnsupported) {
		return // nothing says that there is an MPTCP socket
	}
	if refused(err) {
		err = v.listTwin(ns, s, request.States, err)
	}
	if err != nil && v.ctx.Err() == nil {
		v.gap("%s sockets of namespace %s: %v", request, cmpName(ns), err)
	}
}

func refused(err error) bool {
	return errors.Is(err, sockdiag.ErrUnsupported) || errors.Is(err, sockdiag.ErrRefused)
}

// maxRepeats bounds how often an interrupted dump is taken again.
const maxRepeats = 5

// repeat runs a dump that adds to v.sockets, again while the kernel says that
// it was interrupted; what an interrupted one added is forgotten.
func (v *survey) repeat(dump func() error) error {
	before := len(v.sockets)
	for try := 1; ; try++ {
		err := dump()
		if !errors.Is(err, sockdiag.ErrInterrupted) || try == maxRepeats || v.ctx.Err() != nil {
			return err
		}
		v.sockets = v.sockets[:before]
	}
}

func (v *survey) add(ns *space, proto sockdiag.Protocol, d *sockdiag.Socket) {
	if proto == sockdiag.SCTP && d.State != sockdiag.StateListen {
		return // an endpoint with associations; they come in the second pass
	}
	if d.Interface != 0 && ns.links == nil {
		v.loadLinks(ns)
	}
	c := new(candidate)
	c.fromDiag(ns, proto, d)
	ns.subflows = ns.subflows || c.subflow
	ns.mptcp = ns.mptcp || c.subflow || !d.HasMark
	v.sockets = append(v.sockets, c)
}

// listTwin reads the protocol's table under /proc/net. refusal is why netlink
// did not answer; it is the gap's reason where there is no table either.
func (v *survey) listTwin(ns *space, s source, states uint32, refusal error) error {
	if s.request.Protocol == sockdiag.SCTP && s.request.Family == sockdiag.INET {
		return v.listSCTP(ns)
	}
	if s.request.Protocol == sockdiag.SCTP {
		return nil // read with the other family
	}
	if s.twin == "" {
		return refusal
	}
	skipped, err := procfs.Dir{Root: ns.dir}.Inet(s.twin, func(e *procfs.Entry) error {
		if states&(1<<e.State) != 0 {
			v.addTwin(ns, s.request, e)
		}
		return nil
	})
	if errors.Is(err, fs.ErrNotExist) {
		return nil // the kernel has no such family
	}
	if skipped.Count > 0 {
		v.gap("/proc/net/%s of namespace %s: %v", s.twin, cmpName(ns), skipped)
	}
	return err
}

func (v *survey) addTwin(ns *space, r sockdiag.Request, e *procfs.Entry) {
	c := new(candidate)
	c.fromTwin(ns, r, e)
	v.sockets = append(v.sockets, c)
}

// fromTwin translates a line of /proc/net, which tells neither the device nor
// whether an IPv6 socket takes IPv4 too.
func (c *candidate) fromTwin(ns *space, r sockdiag.Request, e *procfs.Entry) {
	c.fromDiag(ns, r.Protocol, &sockdiag.Socket{
		Family: r.Family, State: sockdiag.State(e.State),
		Src: e.Local.Addr(), SrcPort: e.Local.Port(), Dst: e.Remote.Addr(), DstPort: e.Remote.Port(),
		UID: e.UID, Inode: e.Inode,
	})
	c.Uncertain = []string{"device"}
	if e.Local.Addr() == netip.IPv6Unspecified() && c.State != exposure.Raw {
		c.Uncertain = append(c.Uncertain, "dual_stack")
	}
}

func (v *survey) listSCTP(ns *space) error {
	_, err := procfs.Dir{Root: ns.dir}.SCTPEndpoints(func(e *procfs.SCTPEntry) error {
		if sockdiag.State(e.State) != sockdiag.StateListen {
			return nil
		}
		for _, ip := range e.Addrs {
			v.addTwin(ns, sockdiag.Request{Protocol: sockdiag.SCTP, Family: familyOf(ip)}, &procfs.Entry{
				Local: netip.AddrPortFrom(ip, e.Port), Remote: netip.AddrPort{}, State: e.State, UID: e.UID, Inode: e.Inode})
		}
		return nil
	})
	return err
}

func familyOf(ip netip.Addr) sockdiag.Family {
	if ip.Is4() {
		return sockdiag.INET
	}
	return sockdiag.INET6
}

// listPacket gathers packet sockets.
func (v *survey) listPacket(ns *space, conn *sockdiag.Conn) {
	err := v.repeat(func() error {
		if conn == nil {
			return errRefused
		}
		return conn.Packet(v.ctx, func(p *sockdiag.PacketSocket) error {
			v.addPacket(ns, p)
			return nil
		})
	})
	if refused(err) {
		err = v.packetTwin(ns)
	}
	if err != nil && v.ctx.Err() == nil {
		v.gap("packet sockets of namespace %s: %v", cmpName(ns), err)
	}
}

func (v *survey) addPacket(ns *space, p *sockdiag.PacketSocket) {
	if p.Interface != 0 && ns.links == nil {
		v.loadLinks(ns)
	}
	c := new(candidate)
	c.fromPacket(ns, p)
	v.sockets = append(v.sockets, c)
}

func (v *survey) packetTwin(ns *space) error {
	_, err := procfs.Dir{Root: ns.dir}.Packet(func(e *procfs.PacketEntry) error {
		v.addPacket(ns, &sockdiag.PacketSocket{Type: e.Type, EtherType: e.EtherType,
			Interface: e.Interface, UID: e.UID, Inode: e.Inode})
		return nil
	})
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// listPing gathers ping sockets (SOCK_DGRAM of ICMP), which only /proc lists.
func (v *survey) listPing(ns *space) {
	for _, t := range []struct {
		table  string
		number uint16
		family sockdiag.Family
	}{{"icmp", 1, sockdiag.INET}, {"icmp6", 58, sockdiag.INET6}} {
		_, err := procfs.Dir{Root: ns.dir}.Inet(t.table, func(e *procfs.Entry) error {
			e.Local = netip.AddrPortFrom(e.Local.Addr(), t.number)
			v.addTwin(ns, sockdiag.Request{Protocol: sockdiag.Raw, Family: t.family}, e)
			return nil
		})
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			v.gap("/proc/net/%s of namespace %s: %v", t.table, cmpName(ns), err)
		}
	}
}
