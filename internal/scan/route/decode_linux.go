package route

import (
	"encoding/binary"
	"net"
	"net/netip"

	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"
)

// link is one interface.
type link struct {
	index int
	name  string
	kind  uint16 // ARPHRD_*
	flags uint32 // IFF_*
	mtu   int
	hw    net.HardwareAddr
}

// decodeLink reads ifinfomsg (rtnetlink(7)).
func decodeLink(b []byte) (link, error) {
	if len(b) < unix.SizeofIfInfomsg {
		return link{}, errCut
	}
	l := link{
		kind:  binary.NativeEndian.Uint16(b[2:]),
		index: int(int32(binary.NativeEndian.Uint32(b[4:]))),
		flags: binary.NativeEndian.Uint32(b[8:]),
	}
	ad, err := netlink.NewAttributeDecoder(b[unix.SizeofIfInfomsg:])
	if err != nil {
		return link{}, err
	}
	for ad.Next() {
		switch ad.Type() {
		case unix.IFLA_IFNAME:
			l.name = ad.String()
		case unix.IFLA_MTU:
			l.mtu = int(ad.Uint32())
		case unix.IFLA_ADDRESS:
			l.hw = net.HardwareAddr(ad.Bytes())
		}
	}
	return l, ad.Err()
}

// frame says what a frame on the link looks like (ARPHRD_* of
// linux/if_arp.h).
func (l *link) frame() Kind {
	switch l.kind {
	case unix.ARPHRD_LOOPBACK:
		return Loopback
	case unix.ARPHRD_ETHER:
		if len(l.hw) == 6 {
			return Ethernet
		}
	case unix.ARPHRD_NONE, unix.ARPHRD_PPP, unix.ARPHRD_TUNNEL, unix.ARPHRD_TUNNEL6, unix.ARPHRD_SIT,
		unix.ARPHRD_IPGRE, unix.ARPHRD_IP6GRE, unix.ARPHRD_RAWIP:
		return Bare
	}
	return Foreign
}

// down says why nothing can pass, nil if something can.
func (l *link) down() error {
	switch {
	case l.flags&unix.IFF_UP == 0:
		return ErrLinkDown
	case l.flags&unix.IFF_LOWER_UP == 0:
		return ErrNoCarrier
	}
	return nil
}

// answer is what RTM_GETROUTE says of one destination.
type answer struct {
	kind      uint8 // RTN_*
	oif       int
	src       netip.Addr
	gateway   netip.Addr
	mtu       int
	encapsule bool
}

// decodeRoute reads rtmsg (rtnetlink(7)).
func decodeRoute(b []byte) (answer, error) {
	if len(b) < unix.SizeofRtMsg {
		return answer{}, errCut
	}
	a := answer{kind: b[7]}
	ad, err := netlink.NewAttributeDecoder(b[unix.SizeofRtMsg:])
	if err != nil {
		return answer{}, err
	}
	for ad.Next() {
		switch ad.Type() {
		case unix.RTA_OIF:
			a.oif = int(int32(ad.Uint32()))
		case unix.RTA_GATEWAY:
			a.gateway, _ = netip.AddrFromSlice(ad.Bytes())
		case unix.RTA_VIA: // struct rtvia: family, address
			if v := ad.Bytes(); len(v) > 2 {
				a.gateway, _ = netip.AddrFromSlice(v[2:])
			}
		case unix.RTA_PREFSRC:
			a.src, _ = netip.AddrFromSlice(ad.Bytes())
		case unix.RTA_METRICS:
			ad.Nested(a.metrics)
		case unix.RTA_ENCAP:
			a.encapsule = true
		}
	}
	return a, ad.Err()
}

func (a *answer) metrics(ad *netlink.AttributeDecoder) error {
	for ad.Next() {
		if ad.Type() == unix.RTAX_MTU {
			a.mtu = int(ad.Uint32())
		}
	}
	return ad.Err()
}

// decodePrefix reads an address attribute of rtmsg, fib_rule_hdr, ifaddrmsg
// or ifaddrlblmsg; all say the family in the first byte. ok is false where the
// attribute is missing, which for routes and rules means everything.
func decodePrefix(b []byte, header int, attr uint16, bits int) (p netip.Prefix, ok bool, err error) {
	if len(b) < header {
		return p, false, errCut
	}
	ad, err := netlink.NewAttributeDecoder(b[header:])
	if err != nil {
		return p, false, err
	}
	for ad.Next() {
		if ad.Type() != attr {
			continue
		}
		if a, is := netip.AddrFromSlice(ad.Bytes()); is {
			p = netip.PrefixFrom(a, bits)
		}
	}
	return p, p.IsValid(), ad.Err()
}

// neighbour is one entry of the kernel's neighbour table.
type neighbour struct {
	index int
	addr  netip.Addr
	hw    net.HardwareAddr
	state uint16 // NUD_*
}

// usable are the states in which the kernel itself would send to the entry.
const usable = unix.NUD_REACHABLE | unix.NUD_STALE | unix.NUD_DELAY | unix.NUD_PROBE | unix.NUD_PERMANENT

// decodeNeighbour reads ndmsg (rtnetlink(7)).
func decodeNeighbour(b []byte) (neighbour, error) {
	if len(b) < unix.SizeofNdMsg {
		return neighbour{}, errCut
	}
	n := neighbour{index: int(int32(binary.NativeEndian.Uint32(b[4:]))), state: binary.NativeEndian.Uint16(b[8:])}
	ad, err := netlink.NewAttributeDecoder(b[unix.SizeofNdMsg:])
	if err != nil {
		return neighbour{}, err
	}
	for ad.Next() {
		switch ad.Type() {
		case unix.NDA_DST:
			n.addr, _ = netip.AddrFromSlice(ad.Bytes())
		case unix.NDA_LLADDR:
			n.hw = net.HardwareAddr(ad.Bytes())
		}
	}
	return n, ad.Err()
}
