package exposure

import (
	"net/netip"
	"strconv"
	"strings"
)

// Proto is a transport as the contract writes it: a name below, or the IP
// protocol number in decimal for a transport without one. Sockets in state
// "packet" carry the EtherType in decimal instead.
type Proto string

// Transport names (IANA protocol-numbers).
const (
	TCP     Proto = "tcp"
	UDP     Proto = "udp"
	SCTP    Proto = "sctp"
	UDPLite Proto = "udplite"
	DCCP    Proto = "dccp"
	ICMP    Proto = "icmp"
	ICMP6   Proto = "icmp6"
)

// ProtoByNumber names an IP protocol number (IANA protocol-numbers).
func ProtoByNumber(n uint8) Proto {
	switch n {
	case 1:
		return ICMP
	case 6:
		return TCP
	case 17:
		return UDP
	case 33:
		return DCCP
	case 58:
		return ICMP6
	case 132:
		return SCTP
	case 136:
		return UDPLite
	}
	return Proto(strconv.Itoa(int(n)))
}

// Address is an IP address (with its zone), or the text that a source gave
// where it gave none: a host name, "*" in a listing without a family. The
// zero Address is "not known".
type Address struct {
	IP   netip.Addr
	Text string
}

// IPAddress wraps an IP address.
func IPAddress(ip netip.Addr) Address { return Address{IP: ip} }

// ParseAddress reads canonical text; what is no IP address stays as text.
func ParseAddress(s string) Address {
	if ip, err := netip.ParseAddr(s); err == nil {
		return Address{IP: ip}
	}
	return Address{Text: s}
}

// IsZero reports an address that is not known; encoding/json leaves it out.
func (a Address) IsZero() bool { return !a.IP.IsValid() && a.Text == "" }

func (a Address) String() string {
	if a.IP.IsValid() {
		return a.IP.String()
	}
	return a.Text
}

// MarshalText writes the canonical text.
func (a Address) MarshalText() ([]byte, error) {
	if a.IP.IsValid() {
		return a.IP.MarshalText()
	}
	return []byte(a.Text), nil
}

// UnmarshalText reads what MarshalText wrote.
func (a *Address) UnmarshalText(b []byte) error {
	*a = ParseAddress(string(b))
	return nil
}

// Scope says how far an address reaches.
type Scope string

// Scopes, narrowest first.
const (
	ScopeLoopback Scope = "loopback"
	ScopeLink     Scope = "link"
	ScopePrivate  Scope = "private"
	ScopePublic   Scope = "public"
	ScopeAny      Scope = "any"
)

var sharedSpace = netip.MustParsePrefix("100.64.0.0/10") // RFC 6598

// ScopeOf tells the scope of an address. IPv4-mapped IPv6 addresses follow
// their IPv4 part; multicast follows its own scope bits (RFC 4291, RFC 2365).
// Unknown addresses have no scope ("").
func ScopeOf(ip netip.Addr) Scope {
	if !ip.IsValid() {
		return ""
	}
	ip = ip.Unmap()
	switch {
	case ip.IsUnspecified():
		return ScopeAny
	case ip.IsLoopback(), ip.IsInterfaceLocalMulticast():
		return ScopeLoopback
	case ip.IsLinkLocalUnicast(), ip.IsLinkLocalMulticast(), isBroadcast(ip):
		return ScopeLink
	case ip.IsPrivate(), sharedSpace.Contains(ip.WithZone("")), isSiteMulticast(ip):
		return ScopePrivate
	}
	return ScopePublic
}

func isBroadcast(ip netip.Addr) bool {
	return ip == netip.AddrFrom4([4]byte{255, 255, 255, 255})
}

func isSiteMulticast(ip netip.Addr) bool {
	if !ip.IsMulticast() {
		return false
	}
	if ip.Is4() {
		return ip.As4()[0] == 239
	}
	scope := ip.As16()[1] & 0xf
	return scope > 2 && scope < 0xe
}

// Endpoint is a place to knock. NetNS (the namespace's inode as text) and
// Device are empty where they do not matter.
type Endpoint struct {
	Proto  Proto
	Addr   Address
	Port   uint16
	NetNS  string
	Device string
}

// String writes proto/addr:port, IPv6 in brackets.
func (e Endpoint) String() string {
	return string(e.Proto) + "/" + HostPort(e.Addr, e.Port)
}

// HostPort writes addr:port, IPv6 in brackets.
func HostPort(a Address, port uint16) string {
	s := a.String()
	if strings.Contains(s, ":") {
		s = "[" + s + "]"
	}
	return s + ":" + strconv.Itoa(int(port))
}
