package nftables

import (
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"

	"github.com/portreeve/portreeve/internal/firewall/ruleset"
)

// errValue is returned for a value that is not understood; the match that
// holds it becomes an atom.
var errValue = errors.New("value not understood")

func notValue(v any) error { return fmt.Errorf("%w: %s", errValue, compact(v)) }

// values reads the right side of a match, an element of a set or a key: the
// set of the values that it stands for.
func (rr *ruleReader) values(v any, kind string) (ruleset.Set, error) {
	switch v := v.(type) {
	case json.Number, bool:
		return rr.scalar(v, kind)
	case string:
		switch {
		case strings.HasPrefix(v, "@"):
			return rr.namedSet(v[1:], kind)
		case v == "*":
			return ruleset.Range(ruleset.Value{}, ruleset.SAddr.Max()), nil
		}
		return rr.scalar(v, kind)
	case []any:
		return rr.union(v, kind)
	case object:
		return rr.compound(v, kind)
	}
	return nil, notValue(v)
}

func (rr *ruleReader) union(list []any, kind string) (ruleset.Set, error) {
	sets := make([]ruleset.Set, 0, len(list))
	for _, e := range list {
		s, err := rr.values(e, kind)
		if err != nil {
			return nil, err
		}
		sets = append(sets, s)
	}
	return ruleset.Union(sets...), nil
}

func (rr *ruleReader) compound(o object, kind string) (ruleset.Set, error) {
	for name, arg := range o {
		switch name {
		case "set":
			return rr.union(list(arg), kind)
		case "elem":
			e, _ := arg.(object)
			return rr.values(e["val"], kind)
		case "range":
			return rr.interval(list(arg), kind)
		case "prefix":
			return prefixSet(arg)
		case "|":
			b, err := rr.bits(o, kind)
			return ruleset.Of(b), err
		}
	}
	return nil, notValue(o)
}

func (rr *ruleReader) interval(ends []any, kind string) (ruleset.Set, error) {
	if len(ends) != 2 {
		return nil, notValue(ends)
	}
	lo, err := rr.scalar(ends[0], kind)
	if err != nil {
		return nil, err
	}
	hi, err := rr.scalar(ends[1], kind)
	if err != nil {
		return nil, err
	}
	if len(lo) == 0 || len(hi) == 0 {
		return nil, notValue(ends)
	}
	return ruleset.Range(lo[0].Lo, hi[len(hi)-1].Hi), nil
}

func prefixSet(arg any) (ruleset.Set, error) {
	o, _ := arg.(object)
	ip, err := netip.ParseAddr(text(o["addr"]))
	n, ok := integer(o["len"])
	if err != nil || !ok || n < 0 || n > int64(ip.BitLen()) {
		return nil, notValue(arg)
	}
	return ruleset.Prefix(netip.PrefixFrom(ip, int(n))), nil
}

// scalar reads one value; a name pattern may stand for many.
func (rr *ruleReader) scalar(v any, kind string) (ruleset.Set, error) {
	switch v := v.(type) {
	case bool:
		if v {
			return ruleset.Numbers(1), nil
		}
		return ruleset.Numbers(0), nil
	case json.Number:
		return rr.scalar(v.String(), kind)
	case string:
		return rr.word(v, kind)
	}
	return nil, notValue(v)
}

func (rr *ruleReader) word(s, kind string) (ruleset.Set, error) {
	switch kind {
	case "addr":
		ip, err := netip.ParseAddr(s)
		if err != nil || ip.Zone() != "" {
			return nil, notValue(s)
		}
		return ruleset.Of(ruleset.Address(ip)), nil
	case "name":
		return namePattern(s), nil
	case "mac":
		return macSet(s)
	}
	if n, ok := rr.names[kind][s]; ok {
		return ruleset.Numbers(n), nil
	}
	// nft prints "0x50 [invalid type]" for a port where it does not know the
	// protocol.
	n, err := strconv.ParseUint(strings.TrimSuffix(s, " [invalid type]"), 0, 64)
	if err != nil {
		return nil, notValue(s)
	}
	return ruleset.Numbers(number(n, kind)), nil
}

// number translates numbers that the model writes otherwise.
func number(n uint64, kind string) uint64 {
	const ethIPv4, ethIPv6 = 0x0800, 0x86dd // linux/if_ether.h
	switch {
	case kind == "ethertype" && n == ethIPv4:
		return ruleset.FamilyIPv4
	case kind == "ethertype" && n == ethIPv6:
		return ruleset.FamilyIPv6
	case kind == "ethertype":
		return 255
	case kind == "addr4":
		return 0xffff<<32 | n&0xffffffff
	}
	return n
}

// namePattern reads an interface name; a star at its end is a pattern unless
// escaped.
func namePattern(s string) ruleset.Set {
	if stem, ok := strings.CutSuffix(s, `\*`); ok {
		return ruleset.NamePattern(stem+"*", false)
	}
	stem, wild := strings.CutSuffix(s, "*")
	return ruleset.NamePattern(stem, wild)
}

func macSet(s string) (ruleset.Set, error) {
	mac, err := net.ParseMAC(s)
	if err != nil || len(mac) != 6 {
		return nil, notValue(s)
	}
	n := uint64(0)
	for _, b := range mac {
		n = n<<8 | uint64(b)
	}
	return ruleset.Numbers(n), nil
}

// bits reads a constant made of flags: a name, a number, an address, a list
// of names, or names joined by "|".
func (rr *ruleReader) bits(v any, kind string) (ruleset.Value, error) {
	var parts []any
	switch v := v.(type) {
	case []any:
		parts = v
	case object:
		or, ok := v["|"].([]any)
		if !ok {
			return ruleset.Value{}, notValue(v)
		}
		parts = or
	default:
		s, err := rr.scalar(v, kind)
		if err != nil {
			return ruleset.Value{}, err
		}
		only, ok := s.Only()
		if !ok {
			return ruleset.Value{}, notValue(v)
		}
		return only, nil
	}
	var all ruleset.Value
	for _, p := range parts {
		b, err := rr.bits(p, kind)
		if err != nil {
			return ruleset.Value{}, err
		}
		all = all.Or(b)
	}
	return all, nil
}

// namedSet gives the elements of a set of the rule's table.
func (rr *ruleReader) namedSet(name, kind string) (ruleset.Set, error) {
	id := ChainID{rr.id, name}
	key := cacheKey{id, kind}
	if s, ok := rr.cache[key]; ok {
		return s, nil
	}
	def, ok := rr.sets[id]
	if !ok {
		return nil, fmt.Errorf("%w: no set %q", errValue, name)
	}
	s, err := rr.union(list(def["elem"]), kind)
	if err == nil {
		rr.cache[key] = s
	}
	return s, err
}
