package iptables

import (
	"net"
	"net/netip"
	"strconv"
	"strings"

	"github.com/portreeve/portreeve/internal/firewall/ruleset"
)

// protocols are the names that iptables knows without /etc/protocols, and
// those that it prints (IANA protocol-numbers).
var protocols = map[string]uint64{"icmp": 1, "igmp": 2, "ipencap": 4, "ipip": 4, "tcp": 6, "egp": 8, "udp": 17, "dccp": 33, "ipv6": 41,
	"ipv6-route": 43, "ipv6-frag": 44, "gre": 47, "esp": 50, "ipv6-crypt": 50, "ah": 51, "ipv6-auth": 51, "icmpv6": 58, "icmp6": 58,
	"ipv6-icmp": 58, "ipv6-nonxt": 59, "ipv6-opts": 60, "eigrp": 88, "ospf": 89, "pim": 103, "ipcomp": 108, "vrrp": 112, "l2tp": 115,
	"sctp": 132, "mh": 135, "ipv6-mh": 135, "mobility-header": 135, "udplite": 136}

func protocolNumber(s string) (uint64, bool) {
	if n, ok := protocols[s]; ok {
		return n, true
	}
	n, err := strconv.ParseUint(s, 10, 8)
	return n, err == nil
}

// addresses reads "1.2.3.4", "10.0.0.0/8", "10.0.0.0/255.0.0.0" and lists.
func addresses(s string) (ruleset.Set, error) {
	var sets []ruleset.Set
	for part := range strings.SplitSeq(s, ",") {
		one, err := oneAddress(part)
		if err != nil {
			return nil, err
		}
		sets = append(sets, one)
	}
	return ruleset.Union(sets...), nil
}

func oneAddress(s string) (ruleset.Set, error) {
	base, mask, masked := strings.Cut(s, "/")
	ip, err := netip.ParseAddr(base)
	if err != nil || ip.Zone() != "" {
		return nil, errArgument
	}
	if !masked {
		return ruleset.Of(ruleset.Address(ip)), nil
	}
	n, err := strconv.Atoi(mask)
	if err != nil {
		n, err = maskLength(mask, ip)
	}
	if err != nil || n < 0 || n > ip.BitLen() {
		return nil, errArgument
	}
	return ruleset.Prefix(netip.PrefixFrom(ip, n)), nil
}

// maskLength counts a mask written as an address; one with holes is an error.
func maskLength(s string, like netip.Addr) (int, error) {
	m, err := netip.ParseAddr(s)
	if err != nil || m.Is4() != like.Is4() {
		return 0, errArgument
	}
	ones, bits := net.IPMask(m.AsSlice()).Size()
	if bits == 0 {
		return 0, errArgument
	}
	return ones, nil
}

// addressRange reads "1.2.3.4-1.2.3.9" or a single address.
func addressRange(s string) (ruleset.Set, error) {
	lo, hi, ok := strings.Cut(s, "-")
	if !ok {
		return oneAddress(s)
	}
	a, err := netip.ParseAddr(lo)
	b, err2 := netip.ParseAddr(hi)
	if err != nil || err2 != nil {
		return nil, errArgument
	}
	return ruleset.Range(ruleset.Address(a), ruleset.Address(b)), nil
}

// ports reads "22", "1000:2000", ":1023", "1024:" and lists of them.
func (rr *ruleReader) ports(s string) (ruleset.Set, error) {
	var sets []ruleset.Set
	for part := range strings.SplitSeq(s, ",") {
		lo, hi, isRange := strings.Cut(part, ":")
		from, err := rr.port(lo, 0)
		to := from
		if isRange && err == nil {
			to, err = rr.port(hi, 65535)
		}
		if err != nil {
			return nil, err
		}
		sets = append(sets, ruleset.Range(ruleset.Number(from), ruleset.Number(to)))
	}
	return ruleset.Union(sets...), nil
}

func (rr *ruleReader) port(s string, empty uint64) (uint64, error) {
	if s == "" {
		return empty, nil
	}
	if n, err := strconv.ParseUint(s, 10, 16); err == nil {
		return n, nil
	}
	if rr.opt.Port != nil {
		if n, ok := rr.opt.Port(rr.proto, s); ok {
			return uint64(n), nil
		}
	}
	return 0, errArgument
}

// valueMask reads "0x1/0xff"; without a mask it is all of the field.
func valueMask(s string) (v, m ruleset.Value, err error) {
	value, mask, masked := strings.Cut(s, "/")
	n, err := strconv.ParseUint(value, 0, 32)
	if err != nil {
		return v, m, errArgument
	}
	all := uint64(1<<32 - 1)
	if masked {
		if all, err = strconv.ParseUint(mask, 0, 32); err != nil {
			return v, m, errArgument
		}
	}
	return ruleset.Number(n), ruleset.Number(all), nil
}

// span reads "5", "5:10", "5:" and ":10" as numbers up to most.
func span(s string, most uint64) (ruleset.Set, error) {
	lo, hi, isRange := strings.Cut(s, ":")
	from, err := orEmpty(lo, 0)
	to := from
	if isRange && err == nil {
		to, err = orEmpty(hi, most)
	}
	return ruleset.Range(ruleset.Number(from), ruleset.Number(to)), err
}

func orEmpty(s string, empty uint64) (uint64, error) {
	if s == "" {
		return empty, nil
	}
	n, err := strconv.ParseUint(s, 0, 64)
	if err != nil {
		return 0, errArgument
	}
	return n, nil
}
