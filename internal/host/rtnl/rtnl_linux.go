package rtnl

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"

	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"
)

// Conn is a route netlink socket.
type Conn struct{ c *netlink.Conn }

// Dial opens a socket in the calling thread's network namespace.
func Dial() (*Conn, error) {
	c, err := netlink.Dial(unix.NETLINK_ROUTE, nil)
	if err != nil {
		return nil, fmt.Errorf("rtnetlink: open: %w", err)
	}
	return &Conn{c}, nil
}

// Close frees the socket.
func (c *Conn) Close() error { return c.c.Close() }

// tries bounds how often an interrupted dump is repeated.
const tries = 5

func (c *Conn) dump(kind uint16, body []byte) ([]netlink.Message, error) {
	for try := 1; ; try++ {
		m, err := c.c.Execute(netlink.Message{
			Header: netlink.Header{Type: netlink.HeaderType(kind), Flags: netlink.Request | netlink.Dump},
			Data:   body,
		})
		if err != nil {
			return nil, err
		}
		interrupted := slices.ContainsFunc(m, func(m netlink.Message) bool {
			return m.Header.Flags&netlink.DumpInterrupted != 0
		})
		if !interrupted {
			return m, nil
		}
		if try == tries {
			return nil, errors.New("interrupted by changes again and again")
		}
	}
}

// Links lists the namespace's interfaces.
func (c *Conn) Links() ([]Link, error) {
	messages, err := c.dump(unix.RTM_GETLINK, make([]byte, unix.SizeofIfInfomsg))
	if err != nil {
		return nil, fmt.Errorf("rtnetlink: list links: %w", err)
	}
	links := make([]Link, 0, len(messages))
	for _, m := range messages {
		link, err := decodeLink(m.Data)
		if err != nil {
			return links, fmt.Errorf("rtnetlink: link: %w", err)
		}
		links = append(links, link)
	}
	return links, nil
}

var errShort = errors.New("message is cut short")

// decodeLink reads ifinfomsg and its attributes.
func decodeLink(b []byte) (Link, error) {
	if len(b) < unix.SizeofIfInfomsg {
		return Link{}, errShort
	}
	link := Link{Index: native.Uint32(b[4:]), Flags: native.Uint32(b[8:]), LinkNSID: NoNSID}
	ad, err := netlink.NewAttributeDecoder(b[unix.SizeofIfInfomsg:])
	if err != nil {
		return Link{}, err
	}
	for ad.Next() {
		switch ad.Type() {
		case unix.IFLA_IFNAME:
			link.Name = ad.String()
		case unix.IFLA_LINK_NETNSID:
			link.LinkNSID = ad.Int32()
		case unix.IFLA_LINKINFO:
			ad.Nested(link.info)
		}
	}
	return link, ad.Err()
}

// info reads IFLA_LINKINFO; the kernel writes the kind before its data.
func (l *Link) info(ad *netlink.AttributeDecoder) error {
	for ad.Next() {
		switch ad.Type() {
		case unix.IFLA_INFO_KIND:
			l.Kind = ad.String()
		case unix.IFLA_INFO_DATA:
			if attrs := portAttrs()[l.Kind]; attrs != nil {
				ad.Nested(func(ad *netlink.AttributeDecoder) error { return l.ports(ad, attrs) })
			}
		}
	}
	return ad.Err()
}

func (l *Link) ports(ad *netlink.AttributeDecoder, attrs []uint16) error {
	for ad.Next() {
		if !slices.Contains(attrs, ad.Type()) {
			continue
		}
		if port, ok := portIn(ad.Bytes()); ok {
			l.Ports = append(l.Ports, port)
		}
	}
	return ad.Err()
}

// Addresses lists the namespace's addresses.
func (c *Conn) Addresses() ([]Address, error) {
	messages, err := c.dump(unix.RTM_GETADDR, make([]byte, unix.SizeofIfAddrmsg))
	if err != nil {
		return nil, fmt.Errorf("rtnetlink: list addresses: %w", err)
	}
	var out []Address
	for _, m := range messages {
		addr, ok, err := decodeAddress(m.Data)
		if err != nil {
			return out, fmt.Errorf("rtnetlink: address: %w", err)
		}
		if ok {
			out = append(out, addr)
		}
	}
	return out, nil
}

// decodeAddress reads ifaddrmsg. IFA_LOCAL is the own address where both are
// sent: on point-to-point links IFA_ADDRESS is the peer's.
func decodeAddress(b []byte) (a Address, ok bool, err error) {
	if len(b) < unix.SizeofIfAddrmsg {
		return a, false, errShort
	}
	a = Address{PrefixLen: b[1], Flags: uint32(b[2]), Scope: b[3], Index: native.Uint32(b[4:])}
	ad, err := netlink.NewAttributeDecoder(b[unix.SizeofIfAddrmsg:])
	if err != nil {
		return a, false, err
	}
	local := false
	for ad.Next() {
		switch ad.Type() {
		case unix.IFA_LOCAL:
			a.Addr, _ = netip.AddrFromSlice(ad.Bytes())
			local = a.Addr.IsValid()
		case unix.IFA_ADDRESS:
			if !local {
				a.Addr, _ = netip.AddrFromSlice(ad.Bytes())
			}
		case unix.IFA_FLAGS:
			a.Flags = ad.Uint32()
		}
	}
	return a, a.Addr.IsValid(), ad.Err()
}

// NSID is the number by which this namespace knows the one that fd refers to;
// NoNSID when it has none.
func (c *Conn) NSID(fd int) (int32, error) {
	ae := netlink.NewAttributeEncoder()
	ae.Uint32(unix.NETNSA_FD, uint32(fd))
	attrs, err := ae.Encode()
	if err != nil {
		return NoNSID, err
	}
	messages, err := c.c.Execute(netlink.Message{
		Header: netlink.Header{Type: unix.RTM_GETNSID, Flags: netlink.Request},
		Data:   append(make([]byte, 4), attrs...), // struct rtgenmsg, padded
	})
	if err != nil {
		return NoNSID, fmt.Errorf("rtnetlink: ask a namespace's number: %w", err)
	}
	for _, m := range messages {
		if id, ok := decodeNSID(m.Data); ok {
			return id, nil
		}
	}
	return NoNSID, nil
}

func decodeNSID(b []byte) (int32, bool) {
	if len(b) < 4 {
		return NoNSID, false
	}
	ad, err := netlink.NewAttributeDecoder(b[4:])
	if err != nil {
		return NoNSID, false
	}
	for ad.Next() {
		if ad.Type() == unix.NETNSA_NSID {
			return ad.Int32(), ad.Err() == nil
		}
	}
	return NoNSID, false
}
