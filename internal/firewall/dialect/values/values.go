package values

import (
	"errors"
	"fmt"
	"math/bits"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/portreeve/portreeve/internal/firewall/ruleset"
)

// Protocol numbers (IANA protocol-numbers).
const (
	ICMP    = 1
	TCP     = 6
	UDP     = 17
	ICMPv6  = 58
	SCTP    = 132
	DCCP    = 33
	UDPLite = 136
)

// protocols are the names that the dialects and the rule file use.
var protocols = map[string]int{"icmp": ICMP, "icmpv4": ICMP, "igmp": 2, "ipip": 4, "ipencap": 4, "tcp": TCP, "udp": UDP, "dccp": DCCP,
	"gre": 47, "esp": 50, "ah": 51, "icmp6": ICMPv6, "icmpv6": ICMPv6, "ipv6-icmp": ICMPv6, "sctp": SCTP, "udplite": UDPLite, "vrrp": 112}

// Protocol reads a protocol's name or number, 0 to 255.
func Protocol(s string) (int, bool) {
	s = strings.ToLower(strings.TrimSpace(s))
	if n, ok := protocols[s]; ok {
		return n, true
	}
	n, err := strconv.ParseUint(s, 10, 8)
	return int(n), err == nil
}

// HasPorts reports the protocols with port numbers.
func HasPorts(proto int) bool {
	switch proto {
	case TCP, UDP, SCTP, DCCP, UDPLite:
		return true
	}
	return false
}

var mapped = ruleset.Prefix(netip.MustParsePrefix("0.0.0.0/0"))

// IPv4 is all addresses of IPv4.
func IPv4() ruleset.Set { return mapped }

// IPv6 is all addresses of IPv6.
func IPv6() ruleset.Set { return ruleset.SAddr.Full().Minus(mapped) }

// Prefix is the set of a prefix's addresses, of its own family only.
func Prefix(p netip.Prefix) ruleset.Set {
	s := ruleset.Prefix(p)
	if p.Addr().Is4() || p.Addr().Is4In6() {
		return s
	}
	return s.Minus(mapped)
}

var errAddress = errors.New("not an address, prefix or range")

// Addresses reads an address, a prefix (10.0.0.0/8, 10.0.0.0/255.0.0.0) or a
// range (a-b).
func Addresses(s string) (ruleset.Set, error) {
	s = strings.TrimSpace(s)
	if lo, hi, ok := strings.Cut(s, "-"); ok {
		return addressRange(lo, hi)
	}
	addr, mask, ok := strings.Cut(s, "/")
	if !ok {
		return addressRange(s, s)
	}
	a, err := netip.ParseAddr(addr)
	if err != nil || a.Zone() != "" {
		return nil, fmt.Errorf("%w: %q", errAddress, s)
	}
	a = a.Unmap()
	n, err := strconv.ParseUint(mask, 10, 8)
	if err != nil {
		if n, ok = maskBits(mask); !ok || !a.Is4() {
			return nil, fmt.Errorf("%w: %q", errAddress, s)
		}
	}
	p, err := a.Prefix(int(n))
	if err != nil {
		return nil, fmt.Errorf("%w: %q", errAddress, s)
	}
	return Prefix(p), nil
}

// maskBits is the length of a mask like 255.255.255.0 whose ones stand first.
func maskBits(s string) (uint64, bool) {
	m, err := netip.ParseAddr(s)
	if err != nil || !m.Is4() {
		return 0, false
	}
	b := m.As4()
	v := uint32(b[0])<<24 | uint32(b[1])<<16 | uint32(b[2])<<8 | uint32(b[3])
	n := bits.LeadingZeros32(^v)
	return uint64(n), v<<n == 0
}

func addressRange(lo, hi string) (ruleset.Set, error) {
	a, err := netip.ParseAddr(strings.TrimSpace(lo))
	b, err2 := netip.ParseAddr(strings.TrimSpace(hi))
	a, b = a.Unmap(), b.Unmap()
	if err != nil || err2 != nil || a.Zone()+b.Zone() != "" || a.Is4() != b.Is4() || b.Less(a) {
		return nil, fmt.Errorf("%w: %q", errAddress, strings.TrimSpace(lo+"-"+hi))
	}
	s := ruleset.Range(ruleset.Address(a), ruleset.Address(b))
	if a.Is4() {
		return s, nil
	}
	return s.Minus(mapped), nil
}

var errPorts = errors.New("not a port or a range of ports")

// Ports reads a port (22) or a range (8000-8010).
func Ports(s string) (ruleset.Set, error) {
	lo, hi, ok := strings.Cut(strings.TrimSpace(s), "-")
	if !ok {
		hi = lo
	}
	a, err := strconv.ParseUint(strings.TrimSpace(lo), 10, 16)
	b, err2 := strconv.ParseUint(strings.TrimSpace(hi), 10, 16)
	if err != nil || err2 != nil || b < a {
		return nil, fmt.Errorf("%w: %q", errPorts, s)
	}
	return ruleset.Range(ruleset.Number(a), ruleset.Number(b)), nil
}

// Prefixes writes a set of addresses as the fewest prefixes, IPv4 first.
func Prefixes(s ruleset.Set) (out []netip.Prefix) {
	for _, iv := range s.And(mapped) {
		out = appendPrefixes(out, iv.Lo.Addr(), iv.Hi.Addr())
	}
	for _, iv := range bridged(s.Minus(mapped)) {
		out = appendPrefixes(out, netip.AddrFrom16(iv.Lo.Addr().As16()), netip.AddrFrom16(iv.Hi.Addr().As16()))
	}
	return slices.DeleteFunc(out, func(p netip.Prefix) bool { return p.Addr().Is4In6() && p.Bits() >= 96 })
}

// bridged adds the block of mapped IPv4 to a set of IPv6 that reaches it from
// both sides, so that ::/0 is one prefix.
func bridged(s ruleset.Set) ruleset.Set {
	for i := 1; i < len(s); i++ {
		if joined := ruleset.Union(s[i-1:i], mapped, s[i:i+1]); len(joined) == 1 {
			return ruleset.Union(s, mapped)
		}
	}
	return s
}

// appendPrefixes takes the longest block that begins where the rest begins
// and does not go beyond its end, again and again.
func appendPrefixes(out []netip.Prefix, lo, hi netip.Addr) []netip.Prefix {
	for {
		p, last := block(lo, hi)
		out = append(out, p)
		if last == hi {
			return out
		}
		lo = last.Next()
	}
}

func block(lo, hi netip.Addr) (netip.Prefix, netip.Addr) {
	for n := 0; n < lo.BitLen(); n++ {
		p := netip.PrefixFrom(lo, n)
		if p.Masked().Addr() != lo {
			continue
		}
		if last := Last(p); last.Compare(hi) <= 0 {
			return p, last
		}
	}
	return netip.PrefixFrom(lo, lo.BitLen()), lo
}

// Last is the last address of a prefix.
func Last(p netip.Prefix) netip.Addr {
	b := p.Addr().AsSlice()
	for i := range b {
		if ones := p.Bits() - 8*i; ones < 8 {
			b[i] |= 0xff >> max(ones, 0)
		}
	}
	a, _ := netip.AddrFromSlice(b)
	return a
}
