package firewall

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"

	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"

	"github.com/portreeve/portreeve/internal/firewall/dialect/nftables"
	"github.com/portreeve/portreeve/internal/firewall/ruleset"
)

func thisKernel() Kernel { return kernel{} }

// kernel asks by netlink, from the thread it is called on.
type kernel struct{}

// Attributes of nftables messages (linux/netfilter/nf_tables.h).
const (
	subsysNftables = 10
	msgGetTable    = 1
	msgGetChain    = 4

	tableName  = 1
	tableFlags = 2
	dormant    = 1

	chainTable = 1
	chainName  = 3
	chainHook  = 4
	hookDev    = 3
	hookDevs   = 4
	devName    = 1
	devPrefix  = 2
)

// nfFamilies name the families of nfgenmsg (linux/netfilter.h).
var nfFamilies = map[uint8]string{1: "inet", 2: "ip", 3: "arp", 5: "netdev", 7: "bridge", 10: "ip6"}

// Tables lists tables, which of them are dormant, and devices of chains.
func (kernel) Tables() (Tables, error) {
	t := Tables{Facts: nftables.Facts{Dormant: map[nftables.TableID]bool{}, Devices: map[nftables.ChainID][]string{}}}
	msgs, err := dump(unix.NETLINK_NETFILTER, subsysNftables<<8|msgGetTable, make([]byte, 4))
	if err != nil {
		return t, nftError(err)
	}
	for _, m := range msgs {
		if err := t.addTable(m.Data); err != nil {
			return t, err
		}
	}
	msgs, err = dump(unix.NETLINK_NETFILTER, subsysNftables<<8|msgGetChain, make([]byte, 4))
	if err != nil {
		return t, nftError(err)
	}
	for _, m := range msgs {
		if err := t.addChain(m.Data); err != nil {
			return t, err
		}
	}
	return t, nil
}

func nftError(err error) error {
	switch {
	case errors.Is(err, unix.EPERM), errors.Is(err, unix.EACCES):
		return fmt.Errorf("list tables of nftables: %w", ErrPrivilege)
	case errors.Is(err, unix.EPROTONOSUPPORT), errors.Is(err, unix.EAFNOSUPPORT), errors.Is(err, unix.EINVAL), errors.Is(err, unix.EOPNOTSUPP):
		return fmt.Errorf("list tables of nftables: %w (%w)", ErrNoNftables, err)
	}
	return fmt.Errorf("list tables of nftables: %w", err)
}

// dump asks for a list, again while it changes under the dump.
func dump(family int, kind netlink.HeaderType, body []byte) ([]netlink.Message, error) {
	c, err := netlink.Dial(family, nil)
	if err != nil {
		return nil, err
	}
	defer c.Close()
	const tries = 10
	for range tries {
		msgs, err := c.Execute(netlink.Message{Header: netlink.Header{Type: kind, Flags: netlink.Request | netlink.Dump}, Data: body})
		if err != nil {
			return nil, err
		}
		if !interrupted(msgs) {
			return msgs, nil
		}
	}
	return nil, fmt.Errorf("netlink dump of message %d: changed under every one of %d tries", kind, tries)
}

func interrupted(msgs []netlink.Message) bool {
	for _, m := range msgs {
		if m.Header.Flags&netlink.DumpInterrupted != 0 {
			return true
		}
	}
	return false
}

// nested decodes the attributes after a fixed header.
func nested(data []byte, header int) (*netlink.AttributeDecoder, error) {
	if len(data) < header {
		return nil, fmt.Errorf("netlink message of %d bytes: shorter than its header of %d", len(data), header)
	}
	ad, err := netlink.NewAttributeDecoder(data[header:])
	if ad != nil {
		ad.ByteOrder = binary.BigEndian
	}
	return ad, err
}

func (t *Tables) addTable(data []byte) error {
	ad, err := nested(data, 4)
	if err != nil {
		return err
	}
	id := nftables.TableID{Family: nfFamilies[data[0]]}
	var flags uint32
	for ad.Next() {
		switch ad.Type() {
		case tableName:
			id.Name = ad.String()
		case tableFlags:
			flags = ad.Uint32()
		}
	}
	t.All = append(t.All, id)
	t.Dormant[id] = flags&dormant != 0
	return ad.Err()
}

func (t *Tables) addChain(data []byte) error {
	ad, err := nested(data, 4)
	if err != nil {
		return err
	}
	id := nftables.ChainID{TableID: nftables.TableID{Family: nfFamilies[data[0]]}}
	var devices []string
	for ad.Next() {
		switch ad.Type() {
		case chainTable:
			id.Name = ad.String()
		case chainName:
			id.Chain = ad.String()
		case chainHook:
			ad.Nested(func(hook *netlink.AttributeDecoder) error {
				devices = hookDevices(hook)
				return nil
			})
		}
	}
	if devices != nil {
		t.Devices[id] = devices
	}
	return ad.Err()
}

func hookDevices(hook *netlink.AttributeDecoder) (devices []string) {
	for hook.Next() {
		switch hook.Type() {
		case hookDev:
			devices = append(devices, hook.String())
		case hookDevs:
			hook.Nested(func(list *netlink.AttributeDecoder) error {
				for list.Next() {
					switch list.Type() {
					case devName:
						devices = append(devices, list.String())
					case devPrefix:
						devices = append(devices, list.String()+"*")
					}
				}
				return nil
			})
		}
	}
	return devices
}

// Network lists own addresses, and bridges without an outside port.
func (kernel) Network() (Network, error) {
	var n Network
	addrs, err := net.InterfaceAddrs()
	if err != nil {
		return n, fmt.Errorf("list addresses: %w", err)
	}
	for _, a := range addrs {
		if p, ok := a.(*net.IPNet); ok {
			if ip, ok := netip.AddrFromSlice(p.IP); ok {
				n.Own = append(n.Own, ip.Unmap())
			}
		}
	}
	links, err := listLinks()
	if err != nil {
		return n, fmt.Errorf("list interfaces: %w", err)
	}
	n.Inner = innerBridges(links)
	return n, nil
}

// link is one interface (rtnetlink(7)).
type link struct {
	index, master uint32
	name, kind    string
}

// Attributes of links and routes (linux/if_link.h, linux/rtnetlink.h).
const (
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
