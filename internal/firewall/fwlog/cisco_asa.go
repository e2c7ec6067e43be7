package fwlog

import (
	"bytes"
	"net/netip"
)

// readCiscoASA reads the messages of ASA, FTD, PIX and FWSM that name both
// ends of a packet or connection (Cisco Secure Firewall ASA Series Syslog
// Messages). Names instead of addresses (the names command) decline a line.
//
//	%ASA-4-106023: Deny tcp src outside:192.0.2.1/4711 dst inside:198.51.100.2/22 by access-group "acl" [0x0, 0x0]
//	%ASA-6-302013: Built outbound TCP connection 7 for outside:192.0.2.1/443 (192.0.2.1/443) to inside:10.0.0.1/4711 (198.51.100.1/4711)
//	%ASA-6-106100: access-list acl permitted tcp inside/10.0.0.1(4711) -> outside/192.0.2.1(443) hit-cnt 1 first hit [0x0, 0x0]
//
// Not read, because another line tells the same: translations (305011/2),
// accounting of applications (303002, 304001), stub connections of clusters
// (302022-302027), whose owner logs them.
func readCiscoASA(p *Parser, l *line, e *Event) bool {
	m, ok := cisco(l.text)
	if !ok || !asaFacility(m.facility) {
		return false
	}
	if len(m.name) != 6 || !digit(m.name[0]) {
		return p.noEvent()
	}
	e.Time = p.deviceTime(m.before, l.when)
	if string(m.name) == "106101" { // the cache of denied flows is full
		e.Limited = true
	}
	if (asaBuilt(m, e) || asaDenied(m, e) || asaToBox(m, e) || ftdEvent(p, m, e)) && (e.whole() || asaPortless(m)) {
		return true
	}
	return p.noEvent()
}

// asaPortless are messages that tell a protocol with ports, but no port.
func asaPortless(m mnemonic) bool {
	switch string(m.name) {
	case "106021", "106022", "402117":
		return true
	}
	return false
}

// asaFacility is the product, maybe with a class of messages behind it
// (ASA-session).
func asaFacility(b []byte) bool {
	name, _, _ := cut(b, '-')
	switch string(name) {
	case "ASA", "FTD", "PIX", "FWSM", "NGIPS":
		return true
	}
	return false
}

// asaEnd reads INTERFACE:ADDRESS/PORT, and what is behind it in parentheses
// (a user, a security group). An interface's name may hold a colon. With
// named false there is no interface: ADDRESS/PORT.
func (s *scan) asaEnd(named bool) (at endpoint) {
	open := len(s.rest)
	word := s.upto(" (,;")
	s.bad = s.bad || len(word) == open && !s.tail
	word = bytes.TrimRight(word, ".:")
	if host, port, ok := cutLast(word, '/'); ok {
		at.port, at.has = asaPort(port)
		word = host
	}
	ok := false
	if named {
		at.ifc, at.addr, ok = asaNamed(word)
	} else {
		at.addr, ok = parseAddr(word)
	}
	s.bad = s.bad || !ok
	return at
}

// asaNamed parts an interface from an address. An IPv6 address that would be
// one with the interface too is not certain.
func asaNamed(b []byte) (ifc []byte, a netip.Addr, ok bool) {
	const longest = 45 // an IPv6 address with an IPv4 one at its end
	if len(b) > 2*longest {
		return nil, a, false
	}
	if _, whole := parseAddr(b); whole && bytes.IndexByte(b, ':') >= 0 {
		return nil, a, false
	}
	for i, c := range b {
		if c != ':' || i == 0 {
			continue
		}
		if a, ok = parseAddr(b[i+1:]); ok {
			return b[:i], a, true
		}
	}
	return nil, a, false
}

// asaGroups passes what is in parentheses behind an endpoint: users and
// security groups.
func (s *scan) asaGroups() {
	for {
		at := *s
		s.blanks()
		if _, ok := s.group(); !ok {
			*s = at
			return
		}
	}
}

// cutLast parts b at the last sep.
func cutLast(b []byte, sep byte) (before, after []byte, ok bool) {
	i := bytes.LastIndexByte(b, sep)
	if i < 0 {
		return b, nil, false
	}
	return b[:i], b[i+1:], true
}

// asaMapped reads (ADDRESS/PORT) behind an endpoint.
func (s *scan) asaMapped() (at endpoint, ok bool) {
	before := *s
	s.blanks()
	b, ok := s.group()
	if !ok {
		*s = before
		return at, false
	}
	at.addr, at.port, at.has, ok = parseEndpoint(b, '/')
	return at, ok
}

// asaBuilt reads connections that were let through, and their ends.
func asaBuilt(m mnemonic, e *Event) bool {
	s := scan{rest: m.text}
	switch string(m.name) {
	case "302013", "302015", "302017", "302303", "302305":
		return s.asaBuiltConn(e)
	case "302014", "302016", "302018", "302304", "302306":
		return s.asaTeardown(e)
	case "302020", "302021":
		return s.asaICMP(e)
	case "106100", "106102", "106103":
		return s.asaACL(e)
	}
	return false
}

// asaBuiltConn: of "Built outbound" the one named first is the responder. The
// addresses in parentheses are the ones seen on the other side of the NAT.
func (s *scan) asaBuiltConn(e *Event) bool {
	s.lit("Built ")
	out := s.maybe("outbound ")
	if !out {
		s.maybe("inbound ")
	}
	s.maybe("Probe ")
	s.asaConnection(e)
	a := s.asaEnd(true)
	aNAT, _ := s.asaMapped()
	s.asaGroups()
	s.lit(" to ")
	b := s.asaEnd(true)
	closed := len(s.rest) > 0
	bNAT, _ := s.asaMapped()
	if s.bad || !closed {
		return false
	}
	e.Action = Permit
	if out {
		a, b, aNAT, bNAT = b, a, bNAT, aNAT
		e.Reversed = true
	}
	e.between(a, b)
	e.NATSrc, e.NATSrcPort, e.NATDst, e.NATDstPort = aNAT.addr, aNAT.port, bNAT.addr, bNAT.port
	untranslated(&e.NATSrc, &e.NATSrcPort, e.Src, e.SrcPort)
	untranslated(&e.NATDst, &e.NATDstPort, e.Dst, e.DstPort)
	return true
}

// asaConnection reads PROTO [state-bypass] connection ID for|from.
func (s *scan) asaConnection(e *Event) {
	proto, ok := parseProto(s.word())
	s.bad = s.bad || !ok
	e.setProto(proto)
	s.maybe(" state-bypass")
	s.lit(" connection ")
	s.word()
	if !s.maybe(" for ") {
		s.lit(" from ")
	}
}

// asaTeardown: who began is not said; the one named first is src.
func (s *scan) asaTeardown(e *Event) bool {
	s.lit("Teardown ")
	s.maybe("Probe ")
	s.asaConnection(e)
	a := s.asaEnd(true)
	s.past(" to ")
	b := s.asaEnd(true)
	if s.bad || len(s.rest) == 0 {
		return false
	}
	e.between(a, b)
	e.Action, e.Ends = Permit, true
	if s.past(" bytes "); !s.bad {
		e.Bytes, _ = parseUint(s.upto(" "))
	}
	return true
}

// asaICMP: faddr is the foreign address, laddr the local one and gaddr its
// translation. The numbers behind the slash are no ports.
func (s *scan) asaICMP(e *Event) bool {
	built := s.maybe("Built ")
	if !built {
		s.lit("Teardown ")
	}
	out := s.maybe("outbound ")
	if !out {
		s.maybe("inbound ")
	}
	s.lit("ICMP connection ")
	s.past("faddr ")
	foreign := s.asaEnd(false)
	s.past("gaddr ")
	global := s.asaEnd(false)
	s.past("laddr ")
	s.tail = bytes.IndexByte(s.rest, '/') > 0 // old releases end there, with no port
	local := s.asaEnd(false)
	if s.bad {
		return false
	}
	e.Action, e.Ends = Permit, !built
	if out {
		e.Src, e.Dst, e.NATSrc, e.Reversed = local.addr, foreign.addr, global.addr, true
	} else {
		e.Src, e.Dst, e.NATDst = foreign.addr, local.addr, global.addr
	}
	untranslated(&e.NATSrc, &e.NATSrcPort, e.Src, 0)
	untranslated(&e.NATDst, &e.NATDstPort, e.Dst, 0)
	e.setProto(protoICMP)
	if foreign.addr.Is6() && !foreign.addr.Is4In6() {
		e.setProto(protoICMPv6)
	}
	s.asaTypeCode(e, " type ", " code ")
	return true
}

// asaTypeCode reads what is behind the two words, if both are there.
func (s *scan) asaTypeCode(e *Event, kind, code string) {
	at := *s
	s.past(kind)
	t, ok := parseByte(s.upto(" ,)"))
	s.past(code)
	closed := s.rest
	c, also := parseByte(s.upto(" ,)"))
	if s.bad || !ok || !also || len(closed) == 0 {
		*s = at
		return
	}
	e.setICMP(t, c)
}

// asaACL reads access-list NAME VERDICT PROTO [for user NAME] SRC -> DST.
func (s *scan) asaACL(e *Event) bool {
	s.lit("access-list ")
	rule := s.word()
	s.lit(" ")
	verdict := s.word()
	s.lit(" ")
	proto, ok := parseProto(s.word())
	left := trim(s.past("-> "))
	if s.bad || !ok {
		return false
	}
	src, ok := asaACLEnd(left)
	dst, also := asaACLEnd(s.rest)
	if !ok || !also {
		return false
	}
	e.Rule = rule
	e.Action = asaVerdict(verdict)
	e.setProto(proto)
	e.between(src, dst)
	if e.Action == Deny && s.past(" hit-cnt ") != nil {
		e.Packets, _ = parseUint(s.upto(" "))
	}
	return e.Action != NoAction
}

func asaVerdict(b []byte) Action {
	switch string(b) {
	case "permitted", "est-allowed":
		return Permit
	case "denied":
		return Deny
	}
	return NoAction
}

// asaACLEnd finds the first INTERFACE/ADDRESS(PORT) in b.
func asaACLEnd(b []byte) (at endpoint, ok bool) {
	host, rest, ok := cut(b, '(')
	if !ok {
		return at, false
	}
	port, _, ok := cut(rest, ')')
	if !ok {
		return at, false
	}
	if i := bytes.LastIndexByte(host, ' '); i >= 0 {
		host = host[i+1:]
	}
	at.ifc, host, ok = cutLast(host, '/')
	if !ok {
		return at, false
	}
	at.addr, ok = parseAddr(host)
	at.port, at.has = parsePort(port)
	return at, ok
}
