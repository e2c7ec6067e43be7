package filter

import (
	"strconv"
	"strings"
)

// portID is "port X" and "portrange X-Y".
func (l *lower) portID(n *idNode) *cond {
	switch n.q.proto {
	case "", "tcp", "udp", "sctp":
	default:
		refuse(n.at, "tcp, udp, sctp or nothing", "%s has no ports", n.q.proto)
	}
	r := portRange{proto: n.q.proto}
	switch {
	case n.id.kind == kNum:
		r.low, r.high = n.id.num, n.id.num
	case n.id.kind != kName:
		refuse(n.id.span, "", "a port is a number or a service's name")
	case n.q.typ == "portrange":
		r = l.namedRange(n)
	default:
		r.low, r.proto = l.service(n, n.id.text)
		r.high = r.low
		r.proto = l.agree(n, r.proto)
	}
	if r.low > 65535 || r.high > 65535 {
		refuse(n.id.span, "", "a port is at most 65535")
	}
	r.low, r.high = min(r.low, r.high), max(r.low, r.high)
	r.exact = n.q.typ == "port"
	return or(l.ports(n, r, etherIP6), l.ports(n, r, etherIP))
}

// portRange are ports of one protocol, or of all where proto is empty.
type portRange struct {
	low, high uint32
	proto     string
	exact     bool
}

// namedRange reads "X-Y", both numbers or services' names.
func (l *lower) namedRange(n *idNode) portRange {
	first, second, ok := strings.Cut(n.id.text, "-")
	if !ok || first == "" || second == "" || strings.Contains(second, "-") {
		refuse(n.id.span, "", "a port range is two ports with a hyphen between")
	}
	low, p1 := l.service(n, first)
	high, p2 := l.service(n, second)
	if p1 != p2 {
		p1 = ""
	}
	return portRange{low: low, high: high, proto: l.agree(n, p1)}
}

// service is a port by number or name, and the protocol if the name is of
// one only.
func (l *lower) service(n *idNode, name string) (uint32, string) {
	if isDigit(name[0]) {
		if v, err := strconv.ParseUint(name, 10, 32); err == nil {
			return uint32(v), ""
		}
	}
	if l.o.Service == nil && (!isDigit(name[0]) || !strings.Contains(name, "-")) {
		refuse(n.id.span, "write its number", "service names are not looked up here")
	}
	var tcp, udp uint16
	var isTCP, isUDP bool
	if l.o.Service != nil {
		tcp, isTCP = l.o.Service(name, "tcp")
		udp, isUDP = l.o.Service(name, "udp")
	}
	switch {
	case isTCP && isUDP && tcp == udp:
		return uint32(tcp), ""
	case isTCP:
		return uint32(tcp), "tcp"
	case isUDP:
		return uint32(udp), "udp"
	}
	hint := "write its number"
	if strings.Contains(name, "-") {
		hint = "write portrange for a range"
	}
	refuse(n.id.span, hint, "no service is called %s", strconv.Quote(short(name)))
	return 0, ""
}

// agree is the protocol that the qualifier and a service's name leave.
func (l *lower) agree(n *idNode, proto string) string {
	if n.q.proto == "" {
		return proto
	}
	if proto != "" && proto != n.q.proto {
		refuse(n.id.span, "", "%s is a service of %s", strconv.Quote(short(n.id.text)), proto)
	}
	return n.q.proto
}

// ports tests the ports of one IP version. Fragments but the first have none;
// those behind IPv6 extension headers are not found.
func (l *lower) ports(n *idNode, r portRange, version uint32) *cond {
	ip := l.linktype(version, n.at)
	var cs []*cond
	for _, p := range protocolsOf(r.proto) {
		if version == etherIP6 {
			cs = append(cs, and(l.test(atNet, 6, 1, p), l.portSides(n, r, atTran6)))
			continue
		}
		first := not(l.testBits(atNet, 6, 2, 0x1fff))
		cs = append(cs, and(l.test(atNet, 9, 1, p), first, l.portSides(n, r, atTran4)))
	}
	return and(ip, or(cs...))
}

// protocolsOf is in libpcap's order.
func protocolsOf(proto string) []uint32 {
	switch proto {
	case "tcp":
		return []uint32{protoTCP}
	case "udp":
		return []uint32{protoUDP}
	case "sctp":
		return []uint32{protoSCTP}
	}
	return []uint32{protoSCTP, protoTCP, protoUDP}
}

func (l *lower) portSides(n *idNode, r portRange, at base) *cond {
	return l.either(n, func(isSrc bool) *cond {
		v := l.load(at, pick(isSrc, 0, 2), 2)
		if r.exact {
			return cmp(v, jEQ, r.low)
		}
		return and(cmp(v, jGE, r.low), not(cmp(v, jGT, r.high)))
	})
}
