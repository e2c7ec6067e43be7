package fwlog

import "bytes"

// readCiscoIOS reads the access list and zone firewall messages of IOS, IOS
// XE, IOS XR and NX-OS (Cisco IOS System Message Guide; Zone-Based Policy
// Firewall Design Guide; Nexus 7000 Series NX-OS System Messages).
//
//	%SEC-6-IPACCESSLOGP: list 177 denied udp 192.0.2.1(55250) -> 198.51.100.255(15600), 1 packet
//	%SEC-6-IPACCESSLOGDP: list 151 denied icmp 192.0.2.1 -> 198.51.100.2 (3/4), 1 packet
//	%IPV6_ACL-6-ACCESSLOGP: list v6in/10 permitted tcp 2001:db8::1(1027) -> 2001:db8::2(22), 9 packets
//	%ACL-IPV4_ACL-6-IPACCESSLOGP : access-list edge (10) deny tcp 192.0.2.1(4711) -> 198.51.100.1(22), 1 packet
//	%ACLLOG-5-ACLLOG_FLOW_INTERVAL: Src IP: 192.0.2.1, Dst IP: 198.51.100.1, Src Port: 0, …
//	%FW-6-DROP_PKT: Dropping tcp session 192.0.2.1:37148 198.51.100.1:3005 on zone-pair a-b class c due to …
//
// Standard lists (IPACCESSLOGS) name the source alone: no event.
func readCiscoIOS(p *Parser, l *line, e *Event) bool {
	m, ok := cisco(l.text)
	if !ok {
		return false
	}
	outer := m.before
	if string(m.name) == "PLATFORM" { // IOS XE wraps the message of its forwarding plane
		if m, ok = cisco(m.text); !ok {
			return false
		}
	}
	kind := iosKind(m)
	if kind == iosNone {
		return false
	}
	e.Time = p.deviceTime(outer, l.when)
	s := scan{rest: m.text}
	if s.ios(kind, e) && e.whole() {
		return true
	}
	return p.noEvent()
}

// Kinds of messages.
const (
	iosNone = iota
	iosRate
	iosList
	iosNexus
	iosZone
	iosSession
	iosTotal
)

func iosKind(m mnemonic) int {
	switch {
	case bytes.Contains(m.name, []byte("ACCESSLOGRL")):
		return iosRate
	case bytes.Contains(m.name, []byte("ACCESSLOG")):
		return iosList
	case hasPrefix(m.facility, "ACLLOG"):
		return iosNexus
	case string(m.facility) != "FW":
		return iosNone
	}
	switch string(m.name) {
	case "DROP_PKT", "PASS_PKT":
		return iosZone
	case "SESS_AUDIT_TRAIL", "SESS_AUDIT_TRAIL_START":
		return iosSession
	case "LOG_SUMMARY":
		return iosTotal
	}
	return iosNone
}

func (s *scan) ios(kind int, e *Event) bool {
	switch kind {
	case iosRate:
		return s.iosMissed(e)
	case iosList:
		return s.iosACL(e)
	case iosNexus:
		return s.nxosACL(e)
	case iosZone:
		return s.iosFirewall(e)
	case iosSession:
		return s.iosAudit(e)
	}
	return s.iosSummary(e)
}

// iosMissed: access-list logging rate-limited or missed N packets.
func (s *scan) iosMissed(e *Event) bool {
	s.past("missed ")
	if n, ok := parseUint(s.word()); ok && !s.bad {
		e.Limited, e.Suppressed = true, n
	}
	return false
}

// iosACL reads [access-]list NAME VERDICT PROTO SRC -> DST, N packets. With
// log-input a hardware address or an interface stands beside an address.
func (s *scan) iosACL(e *Event) bool {
	s.past("list ")
	e.Rule = s.word()
	s.blanks()
	s.group() // IOS XR: the rule's number
	e.Action = actionWord(s.word())
	name := s.word()
	proto, ok := parseProto(name)
	left := s.past("-> ")
	if s.bad || e.Action == NoAction {
		return false
	}
	if same(name, "ip") || same(name, "ipv6") { // whatever is in it
		proto = 0
	} else if !ok {
		return false
	} else {
		e.setProto(proto)
	}
	src := iosEnd(left)
	right, counts, closed := cut(s.rest, ',')
	dst := iosEnd(right)
	if !closed || !src.addr.IsValid() || !dst.addr.IsValid() {
		return false
	}
	e.between(src, dst)
	e.In, e.Out = src.ifc, nil
	if isICMP(proto) {
		iosTypeCode(right, e)
	}
	w := words{rest: counts}
	if n, ok := parseUint(w.next()); ok && hasPrefix(w.next(), "packet") {
		e.Packets = n
	}
	return true
}

// iosEnd finds ADDRESS, ADDRESS(PORT) and the interface in b.
func iosEnd(b []byte) (at endpoint) {
	w := words{rest: b}
	for word := w.next(); word != nil; word = w.next() {
		host, rest, paren := cut(word, '(')
		a, ok := parseAddr(host)
		switch {
		case ok && !at.addr.IsValid():
			at.addr = a
			if paren && len(rest) > 1 && rest[len(rest)-1] == ')' {
				at.port, at.has = parsePort(rest[:len(rest)-1])
			}
		case ok:
			return endpoint{}
		case paren && len(host) == 0 && len(rest) > 1 && letter(rest[0]):
			at.ifc = bytes.TrimRight(rest, ")")
		case at.addr.IsValid() && at.ifc == nil && letter(word[0]) && bytes.IndexByte(word, '/') > 0:
			at.ifc = word
		}
	}
	return at
}

// iosTypeCode reads (TYPE/CODE) at the end of b.
func iosTypeCode(b []byte, e *Event) {
	b = trimRight(b)
	_, in, ok := cutLast(b, '(')
	if !ok || len(in) == 0 || in[len(in)-1] != ')' {
		return
	}
	kind, code, _ := cut(in[:len(in)-1], '/')
	t, ok := parseByte(kind)
	c, also := parseByte(code)
	if ok && also {
		e.setICMP(t, c)
	}
}

// iosFirewall reads what the zone firewall dropped or passed:
//
//	Dropping tcp session 192.0.2.1:1 198.51.100.1:2 on zone-pair ZP class C due to …
//	Dropping tcp pkt from Gi1/0/2 192.0.2.1:1 => 198.51.100.1:2(target:class)-(ZP:C) due to …
//	(target:class)-(ZP:C) Passing udp pkt 192.0.2.1:1 198.51.100.1:2 with ip ident 0
func (s *scan) iosFirewall(e *Event) bool {
	e.Action = Deny
	if bytes.HasPrefix(s.rest, []byte("Dropping ")) {
		s.lit("Dropping ")
	} else {
		_, e.Rule, _ = cutText(s.past("Passing "), ")-(")
		e.Rule, _, _ = cut(e.Rule, ':')
		e.Action = Permit
	}
	proto, ok := parseProto(s.word())
	s.word() // session or pkt
	if s.bad || !ok {
		return false
	}
	e.setProto(proto)
	if s.maybe(" from ") {
		e.In = s.word()
	}
	return s.iosPair(e)
}

// iosPair reads ADDRESS:PORT [=>] ADDRESS:PORT and the zone pair behind it.
func (s *scan) iosPair(e *Event) bool {
	src, has, ok := zoneEnd(s.word())
	s.blanks()
	s.maybe("=> ")
	s.blanks()
	dst, also, found := zoneEnd(s.upto(" ("))
	if s.bad || !ok || !found || len(s.rest) == 0 {
		return false
	}
	e.Src, e.Dst = src.addr, dst.addr
	if has && also {
		e.setPorts(src.port, dst.port)
	}
	at := *s
	if s.past("zone-pair "); !s.bad {
		e.Rule = s.word()
	} else if *s = at; len(s.past(")-(")) > 0 {
		e.Rule, _, _ = cut(s.rest, ':')
	}
	return true
}

// zoneEnd is ADDRESS:PORT. An IPv6 address has no brackets there: what is
// behind the last colon is the port only where it cannot be otherwise, behind
// eight groups.
func zoneEnd(b []byte) (at endpoint, has, ok bool) {
	if bytes.Count(b, []byte(":")) == 8 && b[0] != '[' && !bytes.Contains(b, []byte("::")) {
		host, port, _ := cutLast(b, ':')
		at.addr, ok = parseAddr(host)
		at.port, at.has = parsePort(port)
		return at, at.has, ok && at.has
	}
	at.addr, at.port, has, ok = parseEndpoint(b, ':')
	if ok && !has && bytes.IndexByte(b, ':') >= 0 && b[0] != '[' {
		return at, false, false
	}
	at.has = has
	return at, has, ok
}

// iosAudit reads Start|Stop PROTO session: initiator (A:P) [sent N bytes] --
// responder (B:P) [sent N bytes].
func (s *scan) iosAudit(e *Event) bool {
	before := s.past(" session: initiator ")
	proto, ok := parseProto(lastWord(before))
	stop := bytes.Contains(before, []byte("Stop "))
	a, _ := s.group()
	sent := s.past(" -- responder ")
	b, closed := s.group()
	src, has, _ := zoneEnd(a)
	dst, also, _ := zoneEnd(b)
	if s.bad || !closed {
		return false
	}
	if ok { // else the name of an application
		e.setProto(proto)
	}
	e.Src, e.Dst, e.Action, e.Ends = src.addr, dst.addr, Permit, stop
	if has && also {
		e.setPorts(src.port, dst.port)
	}
	_, rule, _ := cut(before, '-')
	if rule, ok = cutPrefix(rule, "("); ok {
		e.Rule, _, _ = cut(rule, ':')
	}
	e.Bytes = sentBytes(sent) + sentBytes(s.rest)
	return e.HasPorts || e.HasProto
}

func sentBytes(b []byte) uint64 {
	s := scan{rest: b}
	s.past("sent ")
	n, _ := parseUint(s.word())
	return n
}

// iosSummary reads N packets were dropped|passed from A:P => B:P (target:class)-(ZP:C).
func (s *scan) iosSummary(e *Event) bool {
	n, ok := parseUint(s.word())
	s.past(" were ")
	e.Action = actionWord(s.word())
	s.past("from ")
	if !ok || e.Action == NoAction || !s.iosPair(e) {
		return false
	}
	e.Packets = n
	return true
}

// nxosACL reads Src IP: A, Dst IP: B, Src Port: N, … Hit-count: N.
func (s *scan) nxosACL(e *Event) bool {
	var src, dst endpoint
	for len(s.rest) > 0 {
		pair, rest, closed := cut(s.rest, ',')
		s.rest = trimLeft(rest)
		i := bytes.IndexAny(pair, ":=")
		if i < 0 {
			continue
		}
		key, value := trim(pair[:i]), trim(pair[i+1:])
		switch string(key) {
		case "Src IP", "Source IP", "SrcIP":
			src.addr, _ = parseAddr(value)
		case "Dst IP", "Destination IP", "DstIP":
			dst.addr, _ = parseAddr(value)
		case "Src Port", "Source Port":
			src.port, src.has = parsePort(value)
		case "Dst Port", "Destination Port":
			dst.port, dst.has = parsePort(value)
		case "Src Intf", "Source Interface":
			src.ifc = value
		case "Protocol":
			if _, n, ok := cut(value, '('); ok && closed {
				proto, ok := parseByte(bytes.TrimRight(n, ")"))
				e.Proto, e.HasProto = proto, ok
			}
		case "ACL Name":
			e.Rule = value
		case "ACE Action":
			e.Action = actionWord(value)
		case "Hit-count", "Hit count":
			e.Packets, _ = parseUint(value)
		}
		if !closed && (hasPrefix(key, "Src") || hasPrefix(key, "Dst") || hasPrefix(key, "Source") || hasPrefix(key, "Dest")) {
			return false
		}
	}
	e.between(src, dst)
	return e.HasProto
}
