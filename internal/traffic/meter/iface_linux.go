package meter

import (
	"errors"
	"fmt"
	"io"
	"os"
	"slices"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"
)

// iface is an interface to be metered.
type iface struct {
	name         string
	index        int
	loopback     bool
	noLinkHeader bool
	offload      offload
}

// variant is the program for one way through the interface. What the kernel
// cuts for want of the device's help it cuts after the egress hook and before
// packet sockets see it.
func (i iface) variant(way ebpf.AttachType) variant {
	v := variant{noLinkHeader: i.noLinkHeader}
	if way == ebpf.AttachTCXEgress {
		v.cutTCP4, v.cutTCP6, v.cutUDP = !i.offload.tcp4, !i.offload.tcp6, !i.offload.udp
	}
	return v
}

var errInterfaces = errors.New("a meter needs at least one interface, each once")

// resolve looks the interfaces up in the calling thread's namespace.
func resolve(names []string) ([]iface, error) {
	if len(names) == 0 {
		return nil, errInterfaces
	}
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, os.NewSyscallError("socket", err)
	}
	defer unix.Close(fd)
	var out []iface
	for n, name := range names {
		if slices.Contains(names[:n], name) {
			return nil, fmt.Errorf("%w: %s is named twice", errInterfaces, name)
		}
		i, err := lookUp(fd, name)
		if err != nil {
			return nil, err
		}
		out = append(out, i)
	}
	return out, nil
}

func lookUp(fd int, name string) (iface, error) {
	req, err := unix.NewIfreq(name)
	if err != nil {
		return iface{}, fmt.Errorf("interface %s: %w", name, err)
	}
	if err := unix.IoctlIfreq(fd, unix.SIOCGIFINDEX, req); err != nil {
		return iface{}, fmt.Errorf("interface %s: %w", name, err)
	}
	i := iface{name: name, index: int(req.Uint32()), offload: offloads(fd, name)}
	if err := unix.IoctlIfreq(fd, unix.SIOCGIFHWADDR, req); err != nil {
		return iface{}, fmt.Errorf("interface %s: link type: %w", name, err)
	}
	kind := req.Uint16() // sa_family of ifr_hwaddr
	i.loopback = kind == unix.ARPHRD_LOOPBACK
	if i.noLinkHeader, err = linkHeader(kind); err != nil {
		return iface{}, fmt.Errorf("interface %s: %w", name, err)
	}
	return i, nil
}

// linkHeader says whether frames of a device type (ARPHRD_, linux/if_arp.h)
// begin with the IP header, or with Ethernet's.
func linkHeader(kind uint16) (none bool, err error) {
	switch kind {
	case unix.ARPHRD_ETHER, unix.ARPHRD_LOOPBACK:
		return false, nil
	case unix.ARPHRD_NONE, unix.ARPHRD_RAWIP, unix.ARPHRD_TUNNEL, unix.ARPHRD_TUNNEL6, unix.ARPHRD_SIT:
		return true, nil
	}
	return false, &UnsupportedError{Feature: fmt.Sprintf("reader for link type %d (ARPHRD)", kind)}
}

// promiscuous keeps interfaces in promiscuous mode until it is closed. The
// socket has protocol 0: it receives nothing.
func promiscuous(ifaces []iface) (io.Closer, error) {
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, refused("open a packet socket", "CAP_NET_RAW", "packet sockets", err)
	}
	holder := os.NewFile(uintptr(fd), "promiscuous")
	for _, i := range ifaces {
		req := unix.PacketMreq{Ifindex: int32(i.index), Type: unix.PACKET_MR_PROMISC}
		if err := unix.SetsockoptPacketMreq(fd, unix.SOL_PACKET, unix.PACKET_ADD_MEMBERSHIP, &req); err != nil {
			_ = holder.Close()
			return nil, fmt.Errorf("promiscuous mode of %s: %w", i.name, err)
		}
	}
	return holder, nil
}
