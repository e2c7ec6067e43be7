package iptables

import (
	"net"
	"strconv"
	"strings"

	"github.com/portreeve/portreeve/internal/firewall/ruleset"
)

// simple reads extensions whose options each compare one field.
func (rr *ruleReader) simple(g group) error {
	for _, o := range g.opts {
		if err := rr.simpleOption(g, o); err != nil {
			return err
		}
	}
	return nil
}

func (rr *ruleReader) simpleOption(g group, o option) (err error) {
	var s ruleset.Set
	field := ruleset.SAddr
	switch g.name + " " + o.name {
	case "addrtype --src-type":
		field = ruleset.FibSAddr
		s, err = routeTypes(o.arg())
	case "addrtype --dst-type":
		field = ruleset.FibDAddr
		s, err = routeTypes(o.arg())
	case "addrtype --limit-iface-in", "addrtype --limit-iface-out":
		return nil // the address knocked at belongs to the interface
	case "iprange --src-range":
		s, err = addressRange(o.arg())
	case "iprange --dst-range":
		field = ruleset.DAddr
		s, err = addressRange(o.arg())
	case "mac --mac-source":
		field = ruleset.MAC
		s, err = macAddress(o.arg())
	case "pkttype --pkt-type":
		field = ruleset.PktType
		s, err = packetType(o.arg())
	case "mark --mark":
		return rr.masked(ruleset.Mark, o)
	case "connmark --mark":
		return rr.masked(ruleset.CtMark, o)
	case "devgroup --src-group":
		return rr.masked(ruleset.IIfGroup, o)
	case "devgroup --dst-group":
		return rr.masked(ruleset.OIfGroup, o)
	default:
		return rr.physdev(g, o)
	}
	if err != nil {
		return badArgument(o)
	}
	rr.match(in(field, s, o.not))
	return nil
}

func (rr *ruleReader) physdev(g group, o option) error {
	stem, wild := strings.CutSuffix(o.arg(), "+")
	switch o.name {
	case "--physdev-in":
		rr.match(in(ruleset.PhysIn, ruleset.NamePattern(stem, wild), o.not))
	case "--physdev-out":
		rr.match(in(ruleset.PhysOut, ruleset.NamePattern(stem, wild), o.not))
	case "--physdev-is-in":
		rr.match(in(ruleset.PhysIn, ruleset.NamePattern("", false), !o.not))
	case "--physdev-is-out", "--physdev-is-bridged":
		// A packet to this host, or one that is routed, leaves by no bridge port.
		rr.match(ruleset.Const{Holds: o.not, Varies: "whether the packet is bridged (" + o.text() + ")"})
	default:
		rr.unknownOption(g, o)
	}
	return nil
}

// masked compares a 32-bit field with value/mask.
func (rr *ruleReader) masked(f ruleset.Field, o option) error {
	v, m, err := valueMask(o.arg())
	if err != nil {
		return badArgument(o)
	}
	s := ruleset.Of(v)
	if o.not {
		s = f.Except(s)
	}
	if m == f.Max() {
		m = ruleset.Value{}
	} else if m == (ruleset.Value{}) { // a mask of no bits: the comparison is constant
		rr.match(ruleset.Const{Holds: s.Has(ruleset.Value{})})
		return nil
	}
	rr.match(ruleset.In{Field: f, Mask: m, Set: s})
	return nil
}

// routeTypeNames are the route types of addrtype (linux/rtnetlink.h).
var routeTypeNames = map[string]uint64{"UNSPEC": 0, "UNICAST": 1, "LOCAL": 2, "BROADCAST": 3, "ANYCAST": 4, "MULTICAST": 5,
	"BLACKHOLE": 6, "UNREACHABLE": 7, "PROHIBIT": 8, "THROW": 9, "NAT": 10, "XRESOLVE": 11}

func routeTypes(s string) (ruleset.Set, error) {
	var ns []uint64
	for name := range strings.SplitSeq(s, ",") {
		n, ok := routeTypeNames[strings.ToUpper(name)]
		if !ok {
			return nil, errArgument
		}
		ns = append(ns, n)
	}
	return ruleset.Numbers(ns...), nil
}

func macAddress(s string) (ruleset.Set, error) {
	mac, err := net.ParseMAC(s)
	if err != nil || len(mac) != 6 {
		return nil, errArgument
	}
	n := uint64(0)
	for _, b := range mac {
		n = n<<8 | uint64(b)
	}
	return ruleset.Numbers(n), nil
}

func packetType(s string) (ruleset.Set, error) {
	switch strings.ToLower(s) {
	case "unicast", "host":
		return ruleset.Numbers(0), nil
	case "broadcast":
		return ruleset.Numbers(1), nil
	case "multicast":
		return ruleset.Numbers(2), nil
	}
	return nil, errArgument
}

// header reads fields of the IP header.
func (rr *ruleReader) header(g group) error {
	for _, o := range g.opts {
		if err := rr.headerOption(g, o); err != nil {
			return err
		}
	}
	return nil
}

func (rr *ruleReader) headerOption(g group, o option) error {
	field, s, err := headerField(o)
	switch {
	case err != nil:
		return badArgument(o)
	case s == nil && (g.name == "tos" || g.name == "ecn" || g.name == "dscp"):
		a := ruleset.Atom{Key: o.text(), Why: "the match " + g.text(), Lean: ruleset.UsuallyFalse}
		if o.not {
			a.Key = option{name: o.name, args: o.args}.text()
		}
		rr.match(maybeNot(a, o.not))
	case s == nil:
		rr.unknownOption(g, o)
	default:
		rr.match(in(field, s, o.not))
	}
	return nil
}

func headerField(o option) (ruleset.Field, ruleset.Set, error) {
	switch o.name {
	case "--length":
		s, err := span(o.arg(), 65535)
		return ruleset.Length, s, err
	case "--dscp":
		n, err := strconv.ParseUint(o.arg(), 0, 6)
		return ruleset.DSCP, ruleset.Numbers(n), err
	case "--ttl-eq", "--ttl", "--hl-eq", "--ttl-lt", "--hl-lt", "--ttl-gt", "--hl-gt":
		n, err := strconv.ParseUint(o.arg(), 0, 8)
		return ruleset.TTL, ttlSet(o.name, n), err
	}
	return 0, nil, nil
}

func ttlSet(name string, n uint64) ruleset.Set {
	switch {
	case strings.HasSuffix(name, "-lt"):
		if n == 0 {
			return ruleset.Set{}
		}
		return ruleset.Range(ruleset.Number(0), ruleset.Number(n-1))
	case strings.HasSuffix(name, "-gt"):
		if n == 255 {
			return ruleset.Set{}
		}
		return ruleset.Range(ruleset.Number(n+1), ruleset.Number(255))
	}
	return ruleset.Numbers(n)
}
