package cisco

import (
	"encoding/binary"
	"math/bits"
	"net/netip"
	"strings"

	"github.com/portreeve/portreeve/internal/firewall/ruleset"
)

// maskKind is how a dotted quad behind an address is meant.
type maskKind uint8

const (
	wildcard maskKind = iota // bits that may be anything are set
	netmask                  // bits that count are set
)

// mostRanges is how many ranges a mask with holes is written out as; beyond
// that it stays a mask.
const mostRanges = 256

var allIPv4 = netip.PrefixFrom(netip.IPv4Unspecified(), 0)

// address reads "any", "host A", "A/n", "A MASK", "range A B", "A".
func (r *reader) address(c *cursor, masks maskKind) (*addresses, string) {
	switch c.peek() {
	case "any":
		c.at++
		return &addresses{any: true}, ""
	case "any4":
		c.at++
		return prefixSet(allIPv4), ""
	case "any6":
		c.at++
		return &addresses{set: ruleset.SAddr.Except(ruleset.Prefix(allIPv4))}, ""
	case "host":
		c.at++
		return r.host(c)
	case "range":
		c.at++
		return r.addressRange(c)
	case "object", "object-group", "addrgroup", "net-group":
		c.at++
		g, why := r.resolve(c.next(), networkGroup)
		if why != "" {
			return nil, why
		}
		return g.network, ""
	case "interface":
		c.at++
		return nil, "the address of interface " + c.next() + ", which this text may not tell"
	case "fqdn":
		c.at++
		name := c.next()
		c.accept("(unresolved)")
		return &addresses{why: "the host name " + name + ", which the device resolves"}, ""
	case "":
		return nil, "an address is missing"
	}
	return r.plainAddress(c, masks)
}

func (r *reader) host(c *cursor) (*addresses, string) {
	ip, why := r.ip(c.next())
	if why != "" {
		return nil, why
	}
	r.resolvedName(c)
	return &addresses{set: ruleset.Of(ruleset.Address(ip))}, ""
}

// resolvedName passes over "(www.example.com)" behind the address that a name
// stood for when the list was shown.
func (r *reader) resolvedName(c *cursor) {
	if s := c.peek(); strings.HasPrefix(s, "(") && strings.HasSuffix(s, ")") {
		c.at++
	}
}

func (r *reader) addressRange(c *cursor) (*addresses, string) {
	lo, why := r.ip(c.next())
	if why != "" {
		return nil, why
	}
	hi, why := r.ip(c.next())
	if why != "" {
		return nil, why
	}
	if hi.Less(lo) || hi.Is4() != lo.Is4() {
		return nil, "a range that ends before it begins"
	}
	r.resolvedName(c)
	return &addresses{set: ruleset.Range(ruleset.Address(lo), ruleset.Address(hi))}, ""
}

// ip reads an address, or the name of one ("name 192.0.2.1 web").
func (r *reader) ip(s string) (netip.Addr, string) {
	if known, ok := r.hosts[s]; ok {
		s = known
	}
	ip, err := netip.ParseAddr(s)
	if err != nil || ip.Zone() != "" {
		return ip, "no address: " + s
	}
	return ip, ""
}

func (r *reader) plainAddress(c *cursor, masks maskKind) (*addresses, string) {
	text := c.next()
	if strings.Contains(text, "/") {
		p, err := netip.ParsePrefix(text)
		if err != nil {
			return nil, "no prefix: " + text
		}
		return prefixSet(p), ""
	}
	ip, why := r.ip(text)
	if why != "" {
		return nil, why
	}
	if c.accept("wildcard") {
		c.accept("bits")
		masks = wildcard
	}
	mask, err := netip.ParseAddr(c.peekText())
	if err != nil || !mask.Is4() || !ip.Is4() {
		r.resolvedName(c)
		return &addresses{set: ruleset.Of(ruleset.Address(ip))}, ""
	}
	c.at++
	r.resolvedName(c)
	return masked(ip, mask, masks), ""
}

// masked gives the addresses that agree with ip in the bits that count.
func masked(ip, mask netip.Addr, kind maskKind) *addresses {
	a4, m4 := ip.As4(), mask.As4()
	free := binary.BigEndian.Uint32(m4[:])
	if kind == netmask {
		free = ^free
	}
	base := binary.BigEndian.Uint32(a4[:]) &^ free
	low := bits.TrailingZeros32(^free) // the free bits at the end make one range
	holes := free &^ (1<<low - 1)
	if low == 32 {
		holes = 0
	}
	if n := bits.OnesCount32(holes); n < 31 && 1<<n <= mostRanges {
		return &addresses{set: spread(base, holes, uint32(1<<uint(low)-1))}
	}
	const mapped = 0xffff << 32
	return &addresses{masked: []maskedAddress{{
		value: ruleset.Value{Lo: mapped | uint64(base)},
		mask:  ruleset.Value{Hi: ^uint64(0), Lo: 0xffffffff<<32 | uint64(^free)},
	}}}
}

// spread writes out every setting of the bits in holes, each with a run of
// addresses behind it.
func spread(base, holes, run uint32) ruleset.Set {
	const mapped = 0xffff << 32
	var sets []ruleset.Set
	for sub := uint32(0); ; sub = (sub - holes) & holes {
		lo := uint64(base | sub)
		sets = append(sets, ruleset.Range(ruleset.Number(mapped|lo), ruleset.Number(mapped|lo|uint64(run))))
		if sub == holes {
			return ruleset.Union(sets...)
		}
	}
}
