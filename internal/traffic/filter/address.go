package filter

import (
	"net/netip"
	"strconv"
	"strings"
)

// id is a name, number or address with its qualifiers.
func (l *lower) id(n *idNode) *cond {
	l.spend(n.at)
	switch n.q.typ {
	case "port", "portrange":
		return l.portID(n)
	case "proto", "protochain":
		return l.protoID(n)
	case "gateway":
		return l.gateway(n)
	}
	if n.q.proto == "decnet" {
		return l.decnet(n)
	}
	switch n.id.kind {
	case kNum:
		return l.addr4(n, shortNumber(n.q.typ, n.id.num))
	case kAddr:
		return l.addr4(n, l.dotted(n))
	case kAddr6:
		return l.addr6(n, l.net6(n))
	case kMAC:
		return l.macID(n)
	case kArc:
		refuse(n.id.span, "", "ARCnet addresses are not supported")
	}
	return l.hostName(n)
}

// prefix4 is an IPv4 address with its mask.
type prefix4 struct{ addr, mask uint32 }

// shortNumber is a single number: a network's leading bytes, or a whole
// address.
func shortNumber(typ string, v uint32) prefix4 {
	p := prefix4{v, 0xffffffff}
	for typ == "net" && p.addr != 0 && p.addr&0xff000000 == 0 {
		p.addr <<= 8
		p.mask <<= 8
	}
	return p
}

// dotted is an address of one to four bytes, perhaps with a mask.
func (l *lower) dotted(n *idNode) prefix4 {
	addr, bits := quad(n.id)
	p := prefix4{addr, ^uint32(0) << (32 - bits)}
	switch n.mask.kind {
	case kNum:
		if n.mask.num > 32 {
			refuse(n.mask.span, "", "a prefix length is at most 32")
		}
		p.mask = uint32(uint64(0xffffffff) << (32 - n.mask.num))
	case kAddr:
		mask, mbits := quad(n.mask)
		p.mask = mask & (^uint32(0) << (32 - mbits))
	default:
		return p
	}
	if n.q.typ != "net" {
		refuse(n.at, "write net instead of host", "only a network has a mask")
	}
	if rest := p.addr &^ p.mask; rest != 0 {
		fixed := netip.AddrFrom4([4]byte{byte(p.addr & p.mask >> 24), byte(p.addr & p.mask >> 16), byte(p.addr & p.mask >> 8), byte(p.addr & p.mask)})
		refuse(n.at, "the network is "+fixed.String(), "the address has bits set outside its mask")
	}
	return p
}

// quad is an address of one to four decimal bytes, moved to the left, and
// how many bits it has. A leading 0 changes nothing.
func quad(t token) (uint32, int) {
	var addr uint32
	bits := 0
	for part := range strings.SplitSeq(t.raw, ".") {
		v, err := strconv.ParseUint(part, 10, 64)
		if err != nil || v > 255 {
			refuse(t.span, "", "%s is no IPv4 address", strconv.Quote(t.raw))
		}
		addr, bits = addr<<8|uint32(v), bits+8
	}
	return addr << (32 - bits), bits
}

// addr4 tests an IPv4 address in the protocols that the qualifier allows.
func (l *lower) addr4(n *idNode, p prefix4) *cond {
	switch n.q.proto {
	case "":
		c := l.address4(n, p, etherIP, 12, 16)
		if l.labels > 0 {
			return c
		}
		return or(c, l.address4(n, p, etherARP, 14, 24), l.address4(n, p, etherRARP, 14, 24))
	case "ip":
		return l.address4(n, p, etherIP, 12, 16)
	case "arp":
		return l.address4(n, p, etherARP, 14, 24)
	case "rarp":
		return l.address4(n, p, etherRARP, 14, 24)
	case "ip6":
		refuse(n.at, "", "ip6 does not go with an IPv4 address")
	}
	refuse(n.at, "join with and: "+n.q.proto+" and host …", "%s has no IPv4 addresses", n.q.proto)
	return nil
}

func (l *lower) address4(n *idNode, p prefix4, proto, src, dst uint32) *cond {
	return l.either(n, func(isSrc bool) *cond {
		return and(l.linktype(proto, n.at), l.testMasked(atNet, pick(isSrc, src, dst), 4, p.addr, p.mask))
	})
}

func pick(first bool, a, b uint32) uint32 {
	if first {
		return a
	}
	return b
}

// either joins the tests of source and destination as the direction says.
func (l *lower) either(n *idNode, side func(isSrc bool) *cond) *cond {
	switch n.q.dir {
	case "src":
		return side(true)
	case "dst":
		return side(false)
	case "and":
		return and(side(true), side(false))
	case "", "or":
		return or(side(true), side(false))
	}
	refuse(n.at, "", "%s is for hardware addresses on 802.11", n.q.dir)
	return nil
}

// net6 is an IPv6 address, perhaps with a prefix length.
func (l *lower) net6(n *idNode) netip.Prefix {
	addr, err := netip.ParseAddr(n.id.raw)
	if err != nil {
		refuse(n.id.span, "", "%s is no IPv6 address", strconv.Quote(n.id.raw))
	}
	length := uint32(128)
	if n.mask.kind == kNum {
		length = n.mask.num
	}
	if length > 128 {
		refuse(n.mask.span, "", "a prefix length is at most 128")
	}
	p := netip.PrefixFrom(addr, int(length))
	if p.Masked().Addr() != addr {
		refuse(n.at, "the network is "+p.Masked().String(), "the address has bits set outside its mask")
	}
	if length != 128 && n.q.typ != "net" {
		refuse(n.at, "write net instead of host", "only a network has a prefix length")
	}
	return p
}

func (l *lower) addr6(n *idNode, p netip.Prefix) *cond {
	switch n.q.proto {
	case "", "ip6":
	case "ip", "arp", "rarp":
		refuse(n.at, "", "%s does not go with an IPv6 address", n.q.proto)
	default:
		refuse(n.at, "join with and: "+n.q.proto+" and host …", "%s has no IPv6 addresses", n.q.proto)
	}
	addr := p.Addr().As16()
	return l.either(n, func(isSrc bool) *cond {
		cs := []*cond{l.linktype(etherIP6, n.at)}
		for i := range uint32(4) {
			mask := uint32(0)
			if left := p.Bits() - int(i)*32; left > 0 {
				mask = uint32(uint64(0xffffffff) << (32 - min(left, 32)))
			}
			cs = append(cs, l.testMasked(atNet, pick(isSrc, 8, 24)+4*i, 4, bigEndian(addr[4*i:4*i+4]), mask))
		}
		return and(cs...)
	})
}

// hostName resolves a name and tests all its addresses that the qualifier
// allows.
func (l *lower) hostName(n *idNode) *cond {
	name := n.id.text
	if n.q.typ == "net" {
		refuse(n.id.span, "write the network's number: net 192.0.2.0/24", "networks have no names here")
	}
	if n.q.proto == "link" {
		return l.etherName(n)
	}
	if l.o.Host == nil {
		refuse(n.id.span, "write its address", "host names are not looked up here")
	}
	addrs, err := l.o.Host(name)
	if err != nil {
		refuse(n.id.span, "", "host %s: %v", strconv.Quote(short(name)), err)
	}
	var cs []*cond
	for _, a := range addrs {
		if c := l.named(n, a.Unmap()); c != nil {
			cs = append(cs, c)
		}
	}
	if cs == nil {
		refuse(n.id.span, "", "host %s has no address that fits here", strconv.Quote(short(name)))
	}
	return or(cs...)
}

// named tests one address of a name; nil when the qualifier excludes it.
func (l *lower) named(n *idNode, a netip.Addr) *cond {
	if a.Is4() {
		if n.q.proto == "ip6" {
			return nil
		}
		b := a.As4()
		return l.addr4(n, prefix4{bigEndian(b[:]), 0xffffffff})
	}
	if n.q.proto == "ip" || n.q.proto == "arp" || n.q.proto == "rarp" {
		return nil
	}
	return l.addr6(n, netip.PrefixFrom(a.WithZone(""), 128))
}

// gateway is true for what a host forwards: its hardware address, but not its
// IP address.
func (l *lower) gateway(n *idNode) *cond {
	const instead = "ether host 00:00:5e:00:53:01 and not host 192.0.2.1 says the same"
	switch {
	case n.id.kind != kName:
		refuse(n.at, instead, "gateway needs a name")
	case n.q.proto != "" && n.q.proto != "ip" && n.q.proto != "arp" && n.q.proto != "rarp":
		refuse(n.at, "", "%s does not go with gateway", n.q.proto)
	case l.o.Ether == nil || l.o.Host == nil:
		refuse(n.id.span, instead, "names are not looked up here")
	}
	addrs, err := l.o.Host(n.id.text)
	if err != nil {
		refuse(n.id.span, "", "host %s: %v", strconv.Quote(short(n.id.text)), err)
	}
	link := l.etherName(&idNode{q: qual{proto: "link"}, id: n.id, at: n.at})
	var cs []*cond
	for _, a := range addrs {
		if a = a.Unmap(); a.Is4() {
			cs = append(cs, l.named(n, a))
		}
	}
	if cs == nil {
		refuse(n.id.span, "", "host %s has no IPv4 address", strconv.Quote(short(n.id.text)))
	}
	return and(link, not(or(cs...)))
}

// decnet tests a DECnet phase IV address, area.node, in data packets with no
// or one byte of padding and a long or a short header.
func (l *lower) decnet(n *idNode) *cond {
	addr := n.id.num
	switch {
	case n.mask.kind != kEnd:
		refuse(n.at, "", "DECnet networks have no masks")
	case n.id.kind == kAddr && strings.Count(n.id.raw, ".") == 1:
		area, node, _ := strings.Cut(n.id.raw, ".")
		a, errA := strconv.ParseUint(area, 10, 16)
		b, errB := strconv.ParseUint(node, 10, 16)
		if errA != nil || errB != nil || a > 63 || b > 1023 {
			refuse(n.id.span, "", "a DECnet address is area.node, up to 63.1023")
		}
		addr = uint32(a<<10 | b)
	case n.id.kind != kNum || addr > 0xffff:
		refuse(n.id.span, "", "a DECnet address is area.node")
	}
	addr = addr&0xff<<8 | addr>>8
	return l.either(n, func(isSrc bool) *cond {
		long, brief := pick(isSrc, 15, 7), pick(isSrc, 3, 1)
		form := func(size uint8, flags, mask, at uint32) *cond {
			return and(l.testMasked(atNet, 2, size, flags, mask), l.test(atNet, at, 2, addr))
		}
		return and(l.linktype(etherDecnet, n.at), or(
			form(1, 0x02, 0x07, 2+brief), form(2, 0x8102, 0xff07, 3+brief),
			form(1, 0x06, 0x07, 2+long), form(2, 0x8106, 0xff07, 3+long)))
	})
}
