package fwlog

import "bytes"

// readIPFW reads what ipfw of FreeBSD and macOS logs (ipfw(8), "log";
// sys/netpfil/ipfw/ip_fw_log.c):
//
//	ipfw: 100 Deny TCP 192.0.2.1:5 198.51.100.2:22 in via em0
//	ipfw: 100 Accept ICMP:8.0 192.0.2.1 198.51.100.2 out via em0
//	ipfw: 200 Deny P:47 192.0.2.1 198.51.100.2 in via em0 (frag 1:24@8+)
//	ipfw: limit 100 reached on entry 200
func readIPFW(p *Parser, l *line, e *Event) bool {
	b := l.body
	if l.json {
		return false
	}
	if string(l.tag) != "ipfw" {
		i := bytes.Index(b, []byte("ipfw: "))
		if i < 0 {
			return ipfwStealth(b, e)
		}
		b = b[i+6:]
	}
	w := words{rest: b}
	rule := w.next()
	if string(rule) == "limit" {
		e.Limited = true
		return p.noEvent()
	}
	if _, ok := parseUint(bytes.TrimPrefix(rule, []byte("-"))); !ok {
		return ipfwStealth(b, e)
	}
	e.Rule = rule
	e.Action = ipfwAction(w.next())
	proto := w.next()
	for !ipfwProto(proto, e) { // SkipTo 200, Forward to …, Divert 8668
		if proto = w.next(); proto == nil {
			return false
		}
	}
	return ipfwEnds(&w, e)
}

// ipfwAction: count, skipto, divert, pipe and the like decide nothing.
func ipfwAction(b []byte) Action {
	switch string(b) {
	case "Accept", "Allow", "Pass", "Permit":
		return Permit
	case "Deny", "Reject", "Reset", "Unreach", "Refuse", "Abort":
		return Deny
	}
	return NoAction
}

// ipfwProto reads TCP, UDP, ICMP:8.0, ICMPv6:128.0 or P:47.
func ipfwProto(b []byte, e *Event) bool {
	name, detail, has := cut(b, ':')
	if len(name) == 1 && name[0] == 'P' && has {
		n, ok := parseByte(detail)
		e.setProto(n)
		return ok
	}
	if len(name) < 3 || digit(name[0]) {
		return false
	}
	n, ok := parseProto(name)
	if !ok {
		return false
	}
	e.setProto(n)
	if n == protoICMP || n == protoICMPv6 {
		kind, code, _ := cut(detail, '.')
		k, ok1 := parseByte(kind)
		c, ok2 := parseByte(code)
		if ok1 && ok2 {
			e.setICMP(k, c)
		}
	}
	return true
}

// ipfwEnds reads "A B in via em0".
func ipfwEnds(w *words, e *Event) bool {
	src, sport, has, ok1 := parseEndpoint(w.next(), ':')
	dst, dport, has2, ok2 := parseEndpoint(w.next(), ':')
	direction := w.next()
	if !ok1 || !ok2 {
		return false
	}
	via := w.next()
	name := w.next()
	if string(via) != "via" || name == nil {
		name = nil
	}
	switch string(direction) {
	case "in":
		e.In = name
	case "out":
		e.Out = name
	default:
		return false
	}
	e.Src, e.Dst = src, dst
	if has && has2 {
		e.setPorts(sport, dport)
	}
	return true
}

// ipfwStealth reads macOS's "Stealth Mode connection attempt to TCP A:p from
// B:q": nothing was answered.
func ipfwStealth(b []byte, e *Event) bool {
	b, ok := cutPrefix(b, "Stealth Mode connection attempt to ")
	if !ok {
		return false
	}
	w := words{rest: b}
	n, ok := parseProto(w.next())
	to, from, by := w.next(), w.next(), w.next()
	dst, dport, has, ok1 := parseEndpoint(to, ':')
	src, sport, has2, ok2 := parseEndpoint(by, ':')
	if !ok || !ok1 || !ok2 || string(from) != "from" || len(w.rest) == 0 && !full(by) {
		return false
	}
	e.Src, e.Dst, e.Action = src, dst, Deny
	e.setProto(n)
	if has && has2 {
		e.setPorts(sport, dport)
	}
	return true
}

// full tells whether an endpoint at the end of a line has a port of five
// digits, which no cut can have made shorter; others may be whole too, but
// who knows.
func full(b []byte) bool {
	i := bytes.LastIndexByte(b, ':')
	return i >= 0 && len(b)-i-1 == 5
}
