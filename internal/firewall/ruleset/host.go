package ruleset

import (
	"maps"
	"net/netip"
	"slices"
)

// Host is what judging a rule set needs to know of the machine: facts that
// the rules themselves do not tell. The zero Host knows nothing, and says so
// where it matters.
type Host struct {
	// Own are the addresses of this host; nil when not known.
	Own []netip.Addr
	// Interfaces are the addresses by interface, in the kernel's order; it
	// may be nil.
	Interfaces map[string][]netip.Addr
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

// mostInterfaces bounds how many interfaces a redirect is told apart by.
const mostInterfaces = 32

// redirected gives the class after a redirect by the interface that it
// arrived on: the first IPv4 address of that interface, or one of its IPv6
// addresses (nf_nat_redirect.c). Interfaces that are not known stay together.
func (h *Host) redirected(w *walk, c *class) (out []*class) {
	v4 := c.isIPv4()
	family := familySet(c).Minus(loopback4).Minus(loopback6)
	rest := []*class{c}
	if len(h.Interfaces) <= mostInterfaces {
		for _, name := range slices.Sorted(maps.Keys(h.Interfaces)) {
			var here []*class
			here, rest = splitEach(w, In{Field: IIf, Set: Of(Name(name))}, rest)
			if set := h.redirectAddress(name, v4).And(family); len(set) > 0 {
				for i, d := range here {
					here[i] = d.with(DAddr, set)
				}
				out = append(out, here...)
			} else {
				w.dropAll(here, "an interface without an address of that family cannot be redirected to")
			}
		}
	}
	for _, d := range rest {
		set := h.arrival(v4)
		d = d.with(DAddr, set)
		if len(set) == 0 {
			d.vals[DAddr] = family
			d.setOpaque(DAddr, "the addresses of this host are not known")
		}
		out = append(out, d)
	}
	return out
}

func (w *walk) dropAll(in []*class, why string) {
	for _, c := range in {
		w.refuse(c, why)
	}
}

func (h *Host) redirectAddress(name string, v4 bool) (s Set) {
	for _, ip := range h.Interfaces[name] {
		if ip.Unmap().Is4() != v4 {
			continue
		}
		s = Union(s, Of(Address(ip.Unmap())))
		if v4 {
			return s
		}
	}
	return s
}
