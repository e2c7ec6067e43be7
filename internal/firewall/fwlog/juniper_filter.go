package fwlog

import "bytes"

// readJunosFilter reads what a Junos firewall filter with the action syslog
// writes (Junos System Log Explorer: PFE_FW_SYSLOG_IP), and the stateful
// firewall of services cards (ASP_SFW_*).
//
//	PFE_FW_SYSLOG_IP: FW: ge-1/0/10.0  A  tcp 192.0.2.1 198.51.100.1  8082 43206 (2 packets)
//	PFE_FW_SYSLOG_IP6_TCP_UDP: FW: ge-0/0/1.0 D tcp SA 2001:db8::1 DA 2001:db8::2 sport 1 dport 2 (1 packets)
//	ASP_SFW_RULE_ACCEPT: proto 6 (TCP) application: any, ge-2/0/1.0:192.0.2.1:35595 -> 198.51.100.1:554, Match …
func readJunosFilter(p *Parser, l *line, e *Event) bool {
	if _, rest, ok := cutText(l.text, " FW: "); ok {
		if !filterLine(rest, e) {
			return false
		}
		return e.whole()
	}
	if _, rest, ok := cutText(l.text, "ASP_SFW_"); ok {
		if aspLine(rest, e) && e.whole() {
			return true
		}
		return p.noEvent()
	}
	return false
}

// filterLine reads INTERFACE A|D|R PROTO SRC DST SPORT DPORT (N packets). Of
// ICMP the two numbers are type and code.
func filterLine(b []byte, e *Event) bool {
	s := scan{rest: b}
	e.In = s.word()
	switch verdict := s.word(); string(verdict) {
	case "A":
		e.Action = Permit
	case "D", "R":
		e.Action = Deny
	default:
		return false
	}
	proto, ok := parseProto(s.word())
	if !ok {
		return false
	}
	e.setProto(proto)
	e.Src, ok = parseAddr(s.labelled("SA"))
	var also bool
	e.Dst, also = parseAddr(s.labelled("DA"))
	if s.bad || !ok || !also {
		return false
	}
	first, ok := parsePort(s.labelled("sport"))
	second, also := parsePort(s.labelled("dport"))
	s.blanks()
	count, closed := s.group()
	if !ok || !also || !closed {
		return false
	}
	switch {
	case portful(proto):
		e.setPorts(first, second)
	case isICMP(proto) && first < 256 && second < 256:
		e.setICMP(uint8(first), uint8(second))
	}
	n, _, _ := cut(count, ' ')
	e.Packets, _ = parseUint(n)
	return true
}

// labelled gives the next word, behind its label if there is one.
func (s *scan) labelled(label string) []byte {
	word := s.word()
	if same(word, label) || string(word) == label {
		return s.word()
	}
	return word
}

// aspLine reads NAME: proto N (NAME) …, IFC:SRC:PORT -> DST:PORT, ….
func aspLine(b []byte, e *Event) bool {
	name, rest, ok := cutText(b, ": proto ")
	if !ok {
		return false
	}
	switch {
	case bytes.Contains(name, []byte("ACCEPT")):
		e.Action = Permit
	case bytes.Contains(name, []byte("DROP")), bytes.Contains(name, []byte("DISCARD")), bytes.Contains(name, []byte("REJECT")):
		e.Action = Deny
	default:
		return false
	}
	n, rest, _ := cut(rest, ' ')
	proto, ok := parseByte(n)
	left, right, arrow := cutText(rest, " -> ")
	right, _, closed := cut(right, ',')
	if !ok || !arrow || !closed {
		return false
	}
	e.setProto(proto)
	left = lastWord(left)
	ifc, left, ok := cut(left, ':')
	src, has, good := zoneEnd(left)
	dst, also, fine := zoneEnd(right)
	if !ok || !good || !fine {
		return false
	}
	e.Src, e.Dst, e.In = src.addr, dst.addr, ifc
	if has && also {
		e.setPorts(src.port, dst.port)
	}
	return true
}
