package filter

import (
	"strconv"
	"strings"
)

// macID is a hardware address.
func (l *lower) macID(n *idNode) *cond {
	if n.q.proto != "link" || n.q.typ == "net" {
		refuse(n.at, "write ether host, ether src or ether dst", "a hardware address needs ether before it")
	}
	return l.hardware(n, parseMAC(n.id.raw))
}

// etherName is a hardware address by name.
func (l *lower) etherName(n *idNode) *cond {
	l.needAddresses(n.at)
	if l.o.Ether == nil {
		refuse(n.id.span, "write its hardware address", "hardware addresses are not looked up by name here")
	}
	mac, err := l.o.Ether(n.id.text)
	if err != nil {
		refuse(n.id.span, "", "ether host %s: %v", strconv.Quote(short(n.id.text)), err)
	}
	return l.hardware(n, mac)
}

// parseMAC is of six groups of one or two digits, or of twelve digits.
func parseMAC(s string) (mac [6]byte) {
	groups := strings.FieldsFunc(s, func(r rune) bool { return strings.ContainsRune(":-.", r) })
	if len(groups) != 6 {
		s = strings.Join(groups, "")
		groups = groups[:0]
		for i := range 6 {
			groups = append(groups, s[2*i:2*i+2])
		}
	}
	for i, g := range groups {
		for j := range len(g) {
			mac[i] = mac[i]<<4 | hexValue(g[j])
		}
	}
	return mac
}

// macPlaces are the offsets of source and destination in the link header.
func (l *lower) macPlaces() (src, dst uint32, ok bool) {
	switch l.link {
	case linkEthernet:
		return 6, 0, true
	case linkFDDI:
		return 7, 1, true
	case linkTokenRing:
		return 8, 2, true
	case linkIPFC:
		return 10, 2, true
	}
	return 0, 0, false
}

func (l *lower) needAddresses(at span) {
	if _, _, ok := l.macPlaces(); !ok && !l.is80211() {
		refuse(at, "", "this link type has no hardware addresses")
	}
}

// hardware tests a hardware address.
func (l *lower) hardware(n *idNode, mac [6]byte) *cond {
	l.needAddresses(n.at)
	if l.is80211() {
		return l.wlanAddress(n, mac)
	}
	src, dst, _ := l.macPlaces()
	return l.withLink(l.either(n, func(isSrc bool) *cond {
		return l.testBytes(atLink, pick(isSrc, src, dst), mac[:])
	}))
}

// withLink adds, in Geneve's payload, that it has an Ethernet header.
func (l *lower) withLink(c *cond) *cond {
	if !l.geneve {
		return c
	}
	hdr := &value{op: vReg, reg: l.geneveHdr}
	return and(not(&cond{op: cTest, jump: jEQ, l: hdr, r: &value{op: vReg, reg: l.genevePl}}), c)
}

// wlanAddress tests one of 802.11's four address fields, or what they mean.
func (l *lower) wlanAddress(n *idNode, mac [6]byte) *cond {
	field := func(off uint32) *cond { return l.testBytes(atLink, off, mac[:]) }
	switch n.q.dir {
	case "addr1":
		return field(4)
	case "addr2":
		return and(l.hasSecond(), field(10))
	case "addr3":
		return and(not(l.testMasked(atLink, 0, 1, wlanControl, wlanTypeMask)), field(16))
	case "addr4":
		return and(l.testMasked(atLink, 1, 1, 3, 3), field(24))
	case "ra":
		return and(l.testBits(atLink, 0, 1, 0x08), field(4))
	case "ta":
		return and(l.testBits(atLink, 0, 1, 0x08), l.hasSecond(), field(10))
	}
	return l.either(n, func(isSrc bool) *cond {
		if isSrc {
			return l.wlanSource(field)
		}
		return l.wlanDestination(field)
	})
}

// Frame control of 802.11, first byte.
const (
	wlanControl     = 0x04
	wlanCTS         = 0xc0
	wlanAck         = 0xd0
	wlanTypeMask    = 0x0c
	wlanSubtypeMask = 0xf0
)

// hasSecond: all frames but CTS and ACK have a second address.
func (l *lower) hasSecond() *cond {
	subtype := func(s uint32) *cond { return not(l.testMasked(atLink, 0, 1, s, wlanSubtypeMask)) }
	return or(not(l.testMasked(atLink, 0, 1, wlanControl, wlanTypeMask)), and(subtype(wlanCTS), subtype(wlanAck)))
}

// byDS asks the To DS (1) or From DS (2) flag.
func (l *lower) byDS(flag uint32, set, clear *cond) *cond {
	is := func() *cond { return l.testBits(atLink, 1, 1, flag) }
	return or(and(not(is()), clear), and(is(), set))
}

// framed: control frames have neither source nor destination.
func (l *lower) framed(management, data *cond) *cond {
	isData := func() *cond { return l.testBits(atLink, 0, 1, 0x08) }
	return and(not(l.testBits(atLink, 0, 1, 0x04)), or(and(not(isData()), management), and(isData(), data)))
}

func (l *lower) wlanSource(field func(uint32) *cond) *cond {
	fromDS := l.byDS(1, field(24), field(16))
	return l.framed(field(10), l.byDS(2, fromDS, field(10)))
}

func (l *lower) wlanDestination(field func(uint32) *cond) *cond {
	return l.framed(field(4), l.byDS(1, field(16), field(4)))
}

// broadcast is "ether broadcast" and "ip broadcast".
func (l *lower) broadcast(n *wordNode) *cond {
	switch n.proto {
	case "", "link":
		l.needAddresses(n.at)
		id := &idNode{q: qual{dir: "dst"}, at: n.at}
		return l.hardware(id, [6]byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff})
	case "ip":
		if !l.o.Netmask.Is4() {
			refuse(n.at, "write dst host and the network's broadcast address", "the network's mask is not known")
		}
		mask := l.o.Netmask.As4()
		host := ^bigEndian(mask[:])
		ip := l.linktype(etherIP, n.at)
		return and(ip, or(l.testMasked(atNet, 16, 4, 0, host), l.testMasked(atNet, 16, 4, host, host)))
	}
	refuse(n.at, "ether broadcast or ip broadcast", "%s has no broadcasts", n.proto)
	return nil
}

// multicast is "ether multicast", "ip multicast" and "ip6 multicast".
func (l *lower) multicast(n *wordNode) *cond {
	switch n.proto {
	case "", "link":
		l.needAddresses(n.at)
		group := func(off uint32) *cond { return l.testBits(atLink, off, 1, 1) }
		if l.is80211() {
			return l.wlanDestination(group)
		}
		_, dst, _ := l.macPlaces()
		return l.withLink(group(dst))
	case "ip":
		// As libpcap has it up to 1.10.4: 224.0.0.0 and all above.
		return and(l.linktype(etherIP, n.at), cmp(l.load(atNet, 16, 1), jGE, 224))
	case "ip6":
		return and(l.linktype(etherIP6, n.at), l.test(atNet, 24, 1, 0xff))
	}
	refuse(n.at, "ether multicast, ip multicast or ip6 multicast", "%s has no multicasts", n.proto)
	return nil
}
