package host

import (
	"errors"
	"fmt"

	"github.com/portreeve/portreeve/internal/exposure"
	"github.com/portreeve/portreeve/internal/host/procfs"
	"github.com/portreeve/portreeve/internal/host/rtnl"
	"github.com/portreeve/portreeve/internal/host/sockiter"
	"golang.org/x/sys/unix"
)

// kernelUsers explains the listeners that no process holds: first by what the
// network's own configuration says, then by what the kernel's services list,
// last by the sockets themselves.
func (v *survey) kernelUsers() {
	without := v.ownerless()
	if len(without) == 0 {
		return
	}
	explain(without, v.claims())
	v.bySymbol(without)
}

// ownerless are the listeners that have a file and no holder.
func (v *survey) ownerless() []*candidate {
	var out []*candidate
	for _, c := range v.sockets {
		if c.inode != 0 && len(c.holders) == 0 && c.IsListener() {
			out = append(out, c)
		}
	}
	return out
}

// claims are the ports that the kernel's parts say they listen on.
func (v *survey) claims() []kernelPort {
	var out []kernelPort
	byNSID := map[uint64]map[int32]uint64{}
	for i, ns := range v.spaces {
		if ns == nil || ns.outside {
			continue
		}
		// A namespace that ended since the first pass claims nothing.
		_ = inside(v.places[i], func() error {
			out = append(out, v.tunnelClaims(ns, byNSID)...)
			out = append(out, fouClaims(ns)...)
			return nil
		})
	}
	return append(append(out, v.nfsClaims()...), v.mapperClaims()...)
}

// tunnelClaims are the ports of the namespace's tunnel links. A link's socket
// lives where the link was made, which IFLA_LINK_NETNSID tells of a link that
// has been moved.
func (v *survey) tunnelClaims(ns *space, byNSID map[uint64]map[int32]uint64) []kernelPort {
	c, err := rtnl.Dial()
	if err != nil {
		return nil
	}
	defer c.Close()
	links, err := c.Links()
	if err != nil {
		return nil
	}
	var out []kernelPort
	for _, l := range links {
		home := ns.inode
		if l.LinkNSID != rtnl.NoNSID {
			home = v.namespaceOf(c, ns, l.LinkNSID, byNSID)
		}
		for _, port := range tunnelPorts(l) {
			out = append(out, kernelPort{home, exposure.UDP, port, exposure.KernelUser{User: l.Kind, Detail: linkName(l, ns, home), Source: "rtnetlink"}})
		}
	}
	return out
}

func tunnelPorts(l rtnl.Link) []uint16 {
	if l.Kind != "wireguard" {
		return l.Ports
	}
	port, err := rtnl.WireGuardPort(l.Index)
	if err != nil || port == 0 {
		return nil
	}
	return []uint16{port}
}

func linkName(l rtnl.Link, ns *space, home uint64) string {
	if home == ns.inode {
		return l.Name
	}
	return fmt.Sprintf("%s in namespace %s", l.Name, cmpName(ns))
}

// namespaceOf finds which namespace another one knows by a number; 0 when it
// is none of those that are read.
func (v *survey) namespaceOf(c *rtnl.Conn, ns *space, nsid int32, known map[uint64]map[int32]uint64) uint64 {
	if known[ns.inode] == nil {
		known[ns.inode] = map[int32]uint64{}
		for _, p := range v.places {
			if id, err := nsidOf(c, p); err == nil && id != rtnl.NoNSID {
				known[ns.inode][id] = p.inode
			}
		}
	}
	return known[ns.inode][nsid]
}

func nsidOf(c *rtnl.Conn, p place) (int32, error) {
	for _, path := range p.paths {
		fd, err := p.open(path)
		if err != nil {
			continue
		}
		id, err := c.NSID(fd)
		return id, errors.Join(err, unix.Close(fd))
	}
	return rtnl.NoNSID, errVanished
}

func fouClaims(ns *space) []kernelPort {
	ports, err := rtnl.FOUPorts()
	if err != nil {
		return nil // the kernel has no FOU
	}
	var out []kernelPort
	for _, port := range ports {
		out = append(out, kernelPort{ns.inode, exposure.UDP, port, exposure.KernelUser{User: "fou", Detail: "foo-over-UDP receiver", Source: "generic netlink"}})
	}
	return out
}

// nfsClaims are the listeners of the kernel's NFS server.
func (v *survey) nfsClaims() []kernelPort {
	var out []kernelPort
	_ = procfs.Dir{Root: v.r.proc()}.NFSDPorts(func(transport string, port uint16) {
		proto := exposure.TCP
		if transport == "udp" {
			proto = exposure.UDP
		}
		out = append(out, kernelPort{0, proto, port, exposure.KernelUser{User: "nfsd", Detail: "NFS server over " + transport, Source: "/proc/fs/nfsd/portlist"}})
	})
	return out
}

// bySymbol asks the sockets that are still unexplained what they are.
func (v *survey) bySymbol(without []*candidate) {
	for i, ns := range v.spaces {
		if ns == nil || ns.outside {
			continue
		}
		v.symbolsIn(v.places[i], ns, exposure.UDP, sockiter.Datagrams, without)
		v.symbolsIn(v.places[i], ns, exposure.TCP, sockiter.Listeners, without)
	}
}

func (v *survey) symbolsIn(p place, ns *space, proto exposure.Proto, kind sockiter.Kind, without []*candidate) {
	var open []*candidate
	for _, c := range without {
		if c.ns == ns && c.Proto == proto && c.Kernel == nil && !c.MPTCP {
			open = append(open, c)
		}
	}
	if len(open) == 0 {
		return
	}
	seen := v.witness(p, kind)
	for _, c := range open {
		if s, ok := seen[c.inode]; ok && s.Kernel {
			c.Kernel = kernelUser(s.Callback)
		}
	}
}

// witness asks the BPF iterator about the sockets of one namespace; nothing
// is known where it cannot be used.
func (v *survey) witness(p place, kind sockiter.Kind) map[uint64]sockiter.Socket {
	if v.r.noBPF {
		return nil
	}
	it, err := v.iterator(kind)
	if err != nil {
		return nil
	}
	out := map[uint64]sockiter.Socket{}
	err = inside(p, func() error {
		return it.Read(v.ctx, func(s sockiter.Socket) { out[s.Inode] = s })
	})
	if err != nil {
		return nil
	}
	return out
}

// iterator loads a program once for a survey.
func (v *survey) iterator(kind sockiter.Kind) (*sockiter.Iterator, error) {
	loaded, ok := v.iterators[kind]
	if !ok {
		loaded.it, loaded.err = sockiter.Open(kind)
		v.iterators[kind] = loaded
	}
	return loaded.it, loaded.err
}

// closeIterators frees them.
func (v *survey) closeIterators() {
	for _, loaded := range v.iterators {
		if loaded.err == nil {
			_ = loaded.it.Close()
		}
	}
}
