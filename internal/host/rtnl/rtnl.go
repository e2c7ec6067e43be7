package rtnl

import (
	"errors"
	"net/netip"
)

// ErrUnsupported is the answer on systems without rtnetlink, and for a
// generic netlink family that the kernel does not have.
var ErrUnsupported = errors.New("rtnetlink: not supported by this system")

// NoNSID is the nsid of "this namespace itself" or "not known".
const NoNSID int32 = -1

// Link is one interface.
type Link struct {
	Index uint32
	Name  string
	Kind  string // IFLA_INFO_KIND: "vxlan", "wireguard", "veth"; "" for plain devices
	Flags uint32 // IFF_*: 0x1 up, 0x8 loopback
	// LinkNSID names the namespace in which the link was made and where its
	// sockets live; NoNSID when it is this one.
	LinkNSID int32
	// Ports are the UDP ports that the link's own kernel socket listens on.
	Ports []uint16
}

// Address is one address of an interface.
type Address struct {
	Index     uint32
	Addr      netip.Addr // without zone
	PrefixLen uint8
	Scope     uint8  // RT_SCOPE_*: 0 global, 253 link, 254 host
	Flags     uint32 // IFA_F_*: 0x40 tentative, 0x08 duplicate address
}
