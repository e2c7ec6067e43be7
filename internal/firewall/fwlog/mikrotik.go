package fwlog

import "bytes"

// readMikroTik reads RouterOS's log of firewall rules
// (https://help.mikrotik.com/docs/, Log; Filter, "log" and "log-prefix"):
//
//	firewall,info PREFIX forward: in:ether1 out:bridge, connection-state:new
//	src-mac 00:00:5e:00:53:01, proto TCP (SYN), 192.0.2.1:5->198.51.100.2:6,
//	NAT 192.0.2.1:5->(198.51.100.2:6->203.0.113.3:6), len 52
//
// all in one line. The addresses are the packet's; NAT's parentheses hold
// what is changed into what.
func readMikroTik(_ *Parser, l *line, e *Event) bool {
	b := l.msg
	if l.json {
		return false
	}
	in := bytes.Index(b, []byte(": in:"))
	if in < 0 {
		return false
	}
	out := bytes.Index(b[in:], []byte(" out:"))
	if out < 0 {
		return false
	}
	e.In = routerInterface(b[in+5 : in+out])
	rest := b[in+out+5:]
	proto := bytes.Index(rest, []byte("proto "))
	if proto < 2 {
		return false
	}
	e.Out = routerInterface(routerOut(rest[:proto]))
	if !routerPacket(rest[proto+6:], e) {
		return false
	}
	e.Rule = routerRule(b[:in])
	e.Action = prefixAction(e.Rule)
	return true
}

// routerOut is the interface's name: it ends at the comma before what is told
// of the connection, or before src-mac.
func routerOut(b []byte) []byte {
	name, _, _ := cut(b, ',')
	if i := bytes.Index(name, []byte(" src-mac ")); i >= 0 {
		name = name[:i]
	}
	return trim(name)
}

// routerInterface: (unknown 0) is none.
func routerInterface(b []byte) []byte {
	if hasPrefix(b, "(unknown ") || string(b) == "(none)" {
		return nil
	}
	return b
}

// routerRule is the prefix if there is one, else the chain: "TOPICS PREFIX
// CHAIN".
func routerRule(b []byte) []byte {
	if i := bytes.Index(b, []byte("firewall,")); i >= 0 {
		_, b, _ = cut(b[i:], ' ')
	}
	i := bytes.LastIndexByte(b, ' ')
	if prefix := bytes.TrimRight(b[:max(i, 0)], ": "); len(prefix) > 0 {
		return trim(prefix)
	}
	return b[i+1:]
}

// routerPacket reads "TCP (SYN), 192.0.2.1:5->198.51.100.2:6, …len 52".
func routerPacket(b []byte, e *Event) bool {
	end := bytes.IndexAny(b, " ,")
	if end < 0 {
		return false
	}
	n, known := parseProto(b[:end])
	b = trimLeft(b[end:])
	var detail []byte
	if len(b) > 0 && b[0] == '(' { // flags, or type and code
		detail, b, _ = cut(b[1:], ')')
	}
	b, ok := cutPrefix(b, ", ")
	ends, b, ok2 := cut(b, ',')
	if !ok || !ok2 || !routerEnds(ends, e) {
		return false
	}
	if n == protoICMP && e.Src.Is6() {
		n = protoICMPv6
	}
	if known {
		e.setProto(n)
	}
	if n == protoICMP || n == protoICMPv6 {
		routerICMP(detail, e)
	}
	routerNAT(trimLeft(b), e)
	return true
}

// routerEnds reads "192.0.2.1:5->198.51.100.2:6".
func routerEnds(b []byte, e *Event) bool {
	from, to, ok := bytes.Cut(b, arrow)
	if !ok {
		return false
	}
	src, sport, has, ok1 := parseEndpoint(from, ':')
	dst, dport, has2, ok2 := parseEndpoint(to, ':')
	if !ok1 || !ok2 || has != has2 {
		return false
	}
	e.Src, e.Dst = src, dst
	if has {
		e.setPorts(sport, dport)
	}
	return true
}

var arrow = []byte("->")

// routerICMP reads "type 8, code 0".
func routerICMP(b []byte, e *Event) {
	b, ok := cutPrefix(b, "type ")
	kind, b, ok2 := cut(b, ',')
	code, ok3 := cutPrefix(b, " code ")
	k, ok4 := parseByte(kind)
	c, ok5 := parseByte(code)
	if ok && ok2 && ok3 && ok4 && ok5 {
		e.setICMP(k, c)
	}
}

// routerNAT reads "NAT (a->b)->c", "NAT a->(b->c)" or both.
func routerNAT(b []byte, e *Event) {
	b, ok := cutPrefix(b, "NAT ")
	if !ok {
		return
	}
	b, _, ok = cut(b, ',')
	if !ok || len(b) == 0 {
		return
	}
	if b[0] == '(' {
		end := bytes.IndexByte(b, ')')
		if end < 0 {
			return
		}
		_, to, _ := bytes.Cut(b[1:end], arrow)
		if a, port, _, ok := parseEndpoint(to, ':'); ok {
			e.NATSrc, e.NATSrcPort = a, port
		}
		b = b[end+1:]
	}
	if i := bytes.Index(b, []byte("->(")); i >= 0 && b[len(b)-1] == ')' {
		_, to, _ := bytes.Cut(b[i+3:len(b)-1], arrow)
		if a, port, _, ok := parseEndpoint(to, ':'); ok {
			e.NATDst, e.NATDstPort = a, port
		}
	}
}
