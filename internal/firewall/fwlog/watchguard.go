package fwlog

import "bytes"

// readWatchGuard reads Fireware's traffic log (WatchGuard Log Catalog, message
// areas 3000 and 1A to 1F):
//
//	firewall: msg_id="3000-0148" Allow 1-Trusted 0-External 52 tcp 20 127 10.0.1.2 192.0.2.1 62443 80 offset 8 S 8320 win 8192 (HTTP-00)
//	http-proxy[1]: msg_id="1AFF-0024" Allow 1-Trusted 0-External tcp 10.0.1.2 192.0.2.1 64425 80 msg="HTTP request" … (HTTP-proxy-00)
//
// and the older form, in which the interfaces follow the service and ports:
//
//	firewall: Deny 192.0.2.1 10.0.0.1 http/tcp 62443 80 0-External Firebox … (Unhandled External Packet-00)
//
// Of ICMP two numbers stand for the ports; they are not read.
func readWatchGuard(p *Parser, l *line, e *Event) bool {
	if _, rest, ok := cutText(l.text, "msg_id=\""); ok {
		_, rest, ok = cut(rest, '"')
		if !ok || !wgVerdict(trimLeft(rest)) {
			return false
		}
		if wgLine(trimLeft(rest), e) {
			p.wgTime(l, e)
			return true
		}
		return p.noEvent()
	}
	return wgOld(l.msg, e)
}

// wgTime reads (2024-01-10T09:49:05) behind the serial number: it has the year.
func (p *Parser) wgTime(l *line, e *Event) {
	_, rest, _ := cut(l.text, '(')
	in, _, ok := cut(rest, ')')
	if when, is := p.parseStamp(in); ok && is {
		e.Time = sure(when, l.when)
	}
}

func wgVerdict(b []byte) bool { return hasPrefix(b, "Allow ") || hasPrefix(b, "Deny ") }

// wgLine reads VERDICT IN OUT [LENGTH] PROTO [HEADER TTL] SRC DST SPORT DPORT ….
// The names of interfaces may hold blanks, so the addresses are looked for.
func wgLine(b []byte, e *Event) bool {
	s := words{rest: b}
	e.Action = actionWord(s.next())
	start := len(b) - len(s.rest)
	var proto uint8
	var found bool
	ends := 0 // of the interfaces
	for range 16 {
		at := len(b) - len(trimLeft(s.rest))
		word := s.next()
		if word == nil {
			return false
		}
		if a, ok := parseAddr(word); ok {
			e.Src = a
			break
		}
		if n, ok := parseProto(word); ok && !digit(word[0]) {
			proto, found, ends = n, true, at
		}
	}
	if !found {
		return false
	}
	var ok bool
	if e.Dst, ok = parseAddr(s.next()); !ok || !e.Src.IsValid() {
		return false
	}
	e.setProto(proto)
	wgInterfaces(b[start:ends], e)
	if portful(proto) {
		src, ok := parsePort(s.next())
		dst, also := parsePort(s.next())
		if !ok || !also {
			return false
		}
		e.setPorts(src, dst)
	}
	if len(s.rest) == 0 {
		return false // the last number may be cut
	}
	wgRule(s.rest, e)
	return true
}

// wgInterfaces parts "1-Trusted 0-External 52": only two words are certain.
func wgInterfaces(b []byte, e *Event) {
	s := words{rest: b}
	in, out := s.next(), s.next()
	size := s.next()
	if _, ok := parseUint(size); s.next() != nil || size != nil && !ok {
		return
	}
	e.In, e.Out = in, out
}

// wgRule is the policy, in parentheses at the end; and the bytes.
func wgRule(b []byte, e *Event) {
	if end := bytes.LastIndexByte(b, ')'); end > 0 {
		// A parenthesis in a quoted text is followed by its quote.
		if i := bytes.LastIndexByte(b[:end], '('); i >= 0 && (end == len(b)-1 || b[end+1] == ' ') {
			e.Rule = b[i+1 : end]
		}
	}
	for _, key := range [...]string{`sent_bytes="`, `rcvd_bytes="`} {
		if _, rest, ok := cutText(b, key); ok {
			n, _, _ := cut(rest, '"')
			size, _ := parseUint(n)
			e.Bytes += size
		}
	}
}

// wgOld reads VERDICT SRC DST SERVICE/PROTO SPORT DPORT IN OUT … (POLICY).
func wgOld(b []byte, e *Event) bool {
	at := bytes.Index(b, []byte("Allow "))
	if at < 0 {
		at = bytes.Index(b, []byte("Deny "))
	}
	if at < 0 || at > 120 {
		return false
	}
	s := words{rest: b[at:]}
	e.Action = actionWord(s.next())
	var ok, also bool
	e.Src, ok = parseAddr(s.next())
	e.Dst, also = parseAddr(s.next())
	if !ok || !also {
		return false
	}
	service, name, slash := cut(s.next(), '/')
	if !slash {
		name = service
	}
	proto, ok := parseProto(name)
	if !ok || digit(name[0]) {
		return false
	}
	e.setProto(proto)
	if portful(proto) {
		src, ok := parsePort(s.next())
		dst, also := parsePort(s.next())
		if !ok || !also {
			return false
		}
		e.setPorts(src, dst)
	}
	rest := s.rest
	if in, out := s.next(), s.next(); out != nil && len(s.rest) > 0 {
		e.In, e.Out = in, out
	}
	wgRule(rest, e)
	return e.Rule != nil // without a policy it may be anybody's line
}
