package ruleset

import "net/netip"

// Host is what judging a rule set needs to know of the machine: facts that
// the rules themselves do not tell. The zero Host knows nothing, and says so
// where it matters.
type Host struct {
	// Own are the addresses of this host, zones dropped; nil when not known.
	Own []netip.Addr
	// Inner are bridges of this host that no outside interface belongs to:
	// what arrives there comes from its own containers and guests.
	Inner []string
	// Forwarding4 and RouteLocalnet are the interfaces' settings by name
	// (net.ipv4.conf.*); nil when not known. Forwarding6 is the one switch
	// of IPv6 (net.ipv6.conf.all.forwarding).
	Forwarding4   map[string]bool
	RouteLocalnet map[string]bool
	Forwarding6   Switch
	// Routes tells where the targets of rewrites are.
	Routes map[netip.Addr]Route

	own   Set
	inner Set
}

// Switch is a setting that may not be known.
type Switch uint8

// Settings.
const (
	NotKnown Switch = iota
	Off
	On
)

// Route is the kernel's way to an address.
type Route struct {
	Local       bool
	Unreachable bool
	Device      string // interface it leaves by; empty when not known
}

// prepare makes the sets that questions use.
func (h *Host) prepare() {
	for _, ip := range h.Own {
		h.own = append(h.own, Interval{Address(ip.Unmap()), Address(ip.Unmap())})
	}
	h.own = normal(h.own)
	for _, name := range h.Inner {
		h.inner = Union(h.inner, Of(Name(name)))
	}
}

var loopback4 = Prefix(netip.MustParsePrefix("127.0.0.0/8"))
var loopback6 = Prefix(netip.MustParsePrefix("::1/128"))

// arrival are this host's addresses that a redirect may choose: those of the
// interface that the packet arrived on, so never loopback.
func (h *Host) arrival(v4 bool) Set {
	family := allIPv6
	if v4 {
		family = allIPv4
	}
	return h.own.And(family).Minus(loopback4).Minus(loopback6)
}
