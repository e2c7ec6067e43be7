package firewall

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"

	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"

	"github.com/portreeve/portreeve/internal/firewall/ruleset"
)

// Network lists own addresses by interface, and bridges without an outside
// port.
func (kernel) Network() (Network, error) {
	n := Network{Interfaces: map[string][]netip.Addr{}}
	links, err := listLinks()
	if err != nil {
		return n, fmt.Errorf("list interfaces: %w", err)
	}
	n.Inner = innerBridges(links)
	names := map[uint32]string{}
	for _, l := range links {
		names[l.index] = l.name
	}
	msgs, err := dump(unix.NETLINK_ROUTE, unix.RTM_GETADDR, make([]byte, ifAddrLen))
	if err != nil {
		return n, fmt.Errorf("list addresses: %w", err)
	}
	for _, m := range msgs {
		index, ip, err := decodeAddress(m.Data)
		if err != nil {
			return n, fmt.Errorf("list addresses: %w", err)
		}
		if ip.IsValid() {
			n.Interfaces[names[index]] = append(n.Interfaces[names[index]], ip)
		}
	}
	return n, nil
}

// decodeAddress reads an ifaddrmsg; on a point-to-point link the own end is
// the local attribute.
func decodeAddress(data []byte) (index uint32, ip netip.Addr, err error) {
	ad, err := nested(data, ifAddrLen)
	if err != nil {
		return 0, ip, err
	}
	var address, local []byte
	for ad.Next() {
		switch ad.Type() {
		case ifaAddress:
			address = ad.Bytes()
		case ifaLocal:
			local = ad.Bytes()
		}
	}
	if local != nil {
		address = local
	}
	ip, _ = netip.AddrFromSlice(address)
	return binary.NativeEndian.Uint32(data[4:8]), ip, ad.Err()
}

// link is one interface (rtnetlink(7)).
type link struct {
	index, master uint32
	name, kind    string
}

// Attributes of links, addresses and routes (linux/if_link.h,
// linux/if_addr.h, linux/rtnetlink.h).
const (
	ifAddrLen    = 8
	ifaAddress   = 1
	ifaLocal     = 2
	ifInfoLen    = 16
	ifName       = 3
	ifMaster     = 10
	ifLinkInfo   = 18
	ifInfoKind   = 1
	routeMsgLen  = 12
	routeTypeAt  = 7
	routeDst     = 1
	routeOIf     = 4
	fibTypeLocal = 2
)

func listLinks() ([]link, error) {
	msgs, err := dump(unix.NETLINK_ROUTE, unix.RTM_GETLINK, make([]byte, ifInfoLen))
	if err != nil {
		return nil, err
	}
	var out []link
	for _, m := range msgs {
		l, err := decodeLink(m.Data)
		if err != nil {
			return nil, err
		}
		out = append(out, l)
	}
	return out, nil
}

func decodeLink(data []byte) (link, error) {
	ad, err := nested(data, ifInfoLen)
	if err != nil {
		return link{}, err
	}
	ad.ByteOrder = binary.NativeEndian
	l := link{index: binary.NativeEndian.Uint32(data[4:8])}
	for ad.Next() {
		switch ad.Type() {
		case ifName:
			l.name = ad.String()
		case ifMaster:
			l.master = ad.Uint32()
		case ifLinkInfo:
			ad.Nested(func(info *netlink.AttributeDecoder) error {
				for info.Next() {
					if info.Type() == ifInfoKind {
						l.kind = info.String()
					}
				}
				return nil
			})
		}
	}
	return l, ad.Err()
}

// innerBridges are bridges whose ports all lead to containers or guests.
func innerBridges(links []link) (out []string) {
	outside := map[uint32]bool{}
	for _, l := range links {
		if l.master != 0 && l.kind != "veth" && l.kind != "tun" && l.kind != "macvtap" {
			outside[l.master] = true
		}
	}
	for _, l := range links {
		if l.kind == "bridge" && !outside[l.index] {
			out = append(out, l.name)
		}
	}
	return out
}

// Route asks for the route to an address, as a packet without a mark takes it.
func (kernel) Route(ip netip.Addr) (ruleset.Route, error) {
	c, err := netlink.Dial(unix.NETLINK_ROUTE, nil)
	if err != nil {
		return ruleset.Route{}, fmt.Errorf("route to %s: %w", ip, err)
	}
	defer c.Close()
	body := make([]byte, routeMsgLen)
	body[0], body[1] = unix.AF_INET6, uint8(ip.BitLen())
	if ip.Is4() {
		body[0] = unix.AF_INET
	}
	attrs, err := netlink.MarshalAttributes([]netlink.Attribute{{Type: routeDst, Data: ip.AsSlice()}})
	if err != nil {
		return ruleset.Route{}, fmt.Errorf("route to %s: %w", ip, err)
	}
	msgs, err := c.Execute(netlink.Message{Header: netlink.Header{Type: unix.RTM_GETROUTE, Flags: netlink.Request}, Data: append(body, attrs...)})
	switch {
	case errors.Is(err, unix.ENETUNREACH), errors.Is(err, unix.EHOSTUNREACH), errors.Is(err, unix.EINVAL), errors.Is(err, unix.EACCES):
		return ruleset.Route{Unreachable: true}, nil
	case err != nil:
		return ruleset.Route{}, fmt.Errorf("route to %s: %w", ip, err)
	}
	return decodeRoute(msgs)
}

func decodeRoute(msgs []netlink.Message) (r ruleset.Route, err error) {
	for _, m := range msgs {
		ad, err := nested(m.Data, routeMsgLen)
		if err != nil {
			return r, err
		}
		ad.ByteOrder = binary.NativeEndian
		r.Local = m.Data[routeTypeAt] == fibTypeLocal
		r.Unreachable = m.Data[routeTypeAt] > unix.RTN_MULTICAST
		for ad.Next() {
			if ad.Type() == routeOIf {
				if dev, err := net.InterfaceByIndex(int(ad.Uint32())); err == nil {
					r.Device = dev.Name
				}
			}
		}
		if err := ad.Err(); err != nil {
			return r, err
		}
	}
	return r, nil
}
