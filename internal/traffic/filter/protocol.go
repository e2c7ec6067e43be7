package filter

import "strconv"

// IP protocol numbers (IANA protocol-numbers).
const (
	protoHopOpts  = 0
	protoTCP      = 6
	protoUDP      = 17
	protoRouting  = 43
	protoFragment = 44
	protoAH       = 51
	protoICMP6    = 58
	protoNone     = 59
	protoDstOpts  = 60
	protoSCTP     = 132
)

// protocol is a protocol's name alone, or before [.
func (l *lower) protocol(name string, at span) *cond {
	switch name {
	case "tcp", "udp", "sctp", "pim", "ah", "esp":
		n, _ := l.w.find("ipproto", name)
		return l.proto("", n, at)
	case "icmp", "igmp", "vrrp", "carp":
		n, _ := l.w.find("ipproto", name)
		return l.proto("ip", n, at)
	case "igrp":
		return l.proto("ip", 9, at)
	case "icmp6":
		return l.proto("ip6", protoICMP6, at)
	case "esis", "isis", "clnp":
		n, _ := l.w.find("isoproto", name)
		return l.proto("iso", n, at)
	case "l1", "l2", "iih", "lsp", "snp", "csnp", "psnp":
		return l.isis(name, at)
	case "link":
		refuse(at, "ether host, ether proto, ether[0]", "a link's name alone is no condition")
	case "radio":
		refuse(at, "radio[0] is", "radio alone is no condition")
	}
	n, ok := l.w.find("etherproto", name)
	if !ok {
		refuse(at, "", "%s is no condition", name)
	}
	return l.linktype(n, at)
}

// isis are groups of IS-IS PDU types (ISO 10589).
func (l *lower) isis(name string, at span) *cond {
	const (
		l1Hello, l2Hello, p2pHello = 15, 16, 17
		l1LSP, l2LSP               = 18, 20
		l1CSNP, l2CSNP             = 24, 25
		l1PSNP, l2PSNP             = 26, 27
	)
	groups := map[string][]uint32{
		"l1": {l1PSNP, l1CSNP, l1LSP, l1Hello, p2pHello}, "l2": {l2PSNP, l2CSNP, l2LSP, l2Hello, p2pHello},
		"iih": {p2pHello, l1Hello, l2Hello}, "lsp": {l1LSP, l2LSP}, "snp": {l2PSNP, l1PSNP, l1CSNP, l2CSNP},
		"csnp": {l1CSNP, l2CSNP}, "psnp": {l1PSNP, l2PSNP},
	}
	var cs []*cond
	for _, pdu := range groups[name] {
		cs = append(cs, l.proto("isis", pdu, at))
	}
	return or(cs...)
}

// proto is "q proto n": the type field of q's header is n.
func (l *lower) proto(q string, n uint32, at span) *cond {
	l.spend(at)
	switch q {
	case "":
		return or(l.proto("ip", n, at), l.proto("ip6", n, at))
	case "link":
		return l.linktype(n, at)
	case "ip":
		return and(l.linktype(etherIP, at), l.test(atNet, 9, 1, n))
	case "ip6":
		behindFragment := and(l.test(atNet, 6, 1, protoFragment), l.test(atNet, 40, 1, n))
		return and(l.linktype(etherIP6, at), or(l.test(atNet, 6, 1, n), behindFragment))
	case "iso":
		return l.isoProto(n, at)
	case "isis":
		return and(l.isoProto(0x83, at), l.test(atNetBare, 4, 1, n))
	}
	refuse(at, "ip proto, ip6 proto, ether proto, iso proto or isis proto", "%s has no protocol field to look at", q)
	return nil
}

func (l *lower) isoProto(n uint32, at span) *cond {
	switch l.link {
	case linkFrelay:
		return l.test(atLink, 2, 2, 0x0300|n)
	case linkCHDLC:
		return and(l.linktype(sapISO<<8|sapISO, at), l.test(atNetBare, 1, 1, n))
	}
	return and(l.linktype(sapISO, at), l.test(atNetBare, 0, 1, n))
}

// protoID is "proto X" and "protochain X".
func (l *lower) protoID(n *idNode) *cond {
	if n.q.dir != "" {
		refuse(n.at, "", "a protocol has no direction")
	}
	num := n.id.num
	switch n.id.kind {
	case kNum:
	case kName:
		num = l.protoNumber(n)
	default:
		refuse(n.id.span, "", "a protocol is a name or a number")
	}
	if n.q.typ == "protochain" {
		return l.chain(n.q.proto, num, n.at)
	}
	return l.proto(n.q.proto, num, n.at)
}

func (l *lower) protoNumber(n *idNode) uint32 {
	table, hint := "ipproto", "a number always works"
	switch n.q.proto {
	case "link":
		table, hint = "etherproto", "a number always works: ether proto 0x88cc"
	case "iso":
		table, hint = "isoproto", "clnp, esis or isis"
	case "", "ip", "ip6":
	default:
		refuse(n.at, "", "%s has no protocol names", n.q.proto)
	}
	num, ok := l.w.find(table, n.id.text)
	if !ok {
		refuse(n.id.span, hint, "no protocol is called %s", strconv.Quote(short(n.id.text)))
	}
	return num
}

// maxChain is how many headers a protochain follows. libpcap loops, which no
// kernel takes.
const maxChain = 12

// chain is true when a header of protocol n is in the chain of headers: of
// IPv6 extensions, and of AH.
func (l *lower) chain(q string, n uint32, at span) *cond {
	if l.pl.reg != 0 {
		refuse(at, "", "protochain does not work behind headers of variable length")
	}
	switch q {
	case "":
		return or(l.chain("ip", n, at), l.chain("ip6", n, at))
	case "ip":
		ip := l.linktype(etherIP, at)
		head := &value{op: vHead, head: l.pl.k + l.nl}
		return and(ip, l.follow(l.load(atNet, 9, 1), head, n, []uint32{protoAH}, at))
	case "ip6":
		ip6 := l.linktype(etherIP6, at)
		extensions := []uint32{protoHopOpts, protoDstOpts, protoRouting, protoFragment, protoAH}
		return and(ip6, l.follow(l.load(atNet, 6, 1), num(40), n, extensions, at))
	}
	refuse(at, "ip protochain or ip6 protochain", "%s has no chain of protocols", q)
	return nil
}

// walk is the way along a chain of headers. Its registers are shared by all
// chains of an expression; turn tells the values of one step from the next's.
type walk struct {
	pos, proto, hold reg
	turn             int
}

// follow walks the chain: next is where the first header's number is, start
// how far behind the IP header's beginning that header lies.
func (l *lower) follow(next, start *value, n uint32, extensions []uint32, at span) *cond {
	if l.walk.pos == 0 {
		l.walk = walk{pos: l.newReg(at), proto: l.newReg(at), hold: l.newReg(at)}
	}
	l.walk.turn++
	return and(store(l.walk.pos, start), store(l.walk.proto, next), l.turns(n, extensions, maxChain))
}

func (l *lower) turns(n uint32, extensions []uint32, left int) *cond {
	current := l.walk.at(l.walk.proto)
	found := cmp(current, jEQ, n)
	if left == 0 {
		return found
	}
	var more []*cond
	for _, e := range extensions {
		if e != n {
			more = append(more, cmp(current, jEQ, e))
		}
	}
	if more == nil {
		return found
	}
	step := l.step()
	return or(found, and(or(more...), step, l.turns(n, extensions, left-1)))
}

// at is a register's value in this turn.
func (w *walk) at(r reg) *value { return &value{op: vReg, reg: r, turn: w.turn} }

// step goes to the next header: lengths are in units of 8 bytes without the
// first (RFC 8200), of AH in units of 4 without two (RFC 4302). The next
// number is read before the position moves, and put in place after the old
// one has told the unit.
func (l *lower) step() *cond {
	w := &l.walk
	header := func(off uint32) *value {
		return &value{op: vLoad, size: 1, reg: w.pos, k: l.pl.k + l.nl + off, turn: w.turn}
	}
	move := func(less, unit uint32) *cond {
		length := calc(vMul, calc(vAdd, header(1), num(less)), num(unit))
		return store(w.pos, calc(vAdd, w.at(w.pos), length))
	}
	isAH := cmp(w.at(w.proto), jEQ, protoAH)
	c := and(store(w.hold, header(0)), or(and(isAH, move(2, 4)), move(1, 8)), store(w.proto, w.at(w.hold)))
	w.turn++
	return c
}
