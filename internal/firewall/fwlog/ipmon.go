package fwlog

import "bytes"

// readIPMon reads what ipmon of IP Filter writes (ipmon(8); Solaris, NetBSD,
// HP-UX, FreeBSD):
//
//	15:57:33.803147 bge0 @0:6 b 192.0.2.1,1234 -> 198.51.100.2,80 PR tcp len 20 40 -S IN
//	15:57:33.803147 2x bge0 @0:6 b 192.0.2.1 -> 198.51.100.2 PR icmp len 20 84 icmp 8/0 IN
//
// The action is p (passed), b (blocked), P or B where the log was forced by a
// state, S (short), n (no rule matched) or L (log rule). STATE: and NAT: lines
// are of other devices. Names instead of numbers are declined.
func readIPMon(p *Parser, l *line, e *Event) bool {
	b := l.body
	if l.json {
		return false
	}
	at := bytes.Index(b, []byte(" @"))
	if at < 0 || at > 64 {
		return false
	}
	if ipmonOther(b[at:]) {
		return p.noEvent()
	}
	pr := bytes.Index(b, []byte(" PR "))
	if pr < at {
		return false
	}
	w := words{rest: b[:at]}
	e.Time = p.ipmonTime(trimLeft(b[:at]))
	name, times := ipmonHead(&w)
	if name == nil {
		return false
	}
	w.rest = b[at:pr]
	e.Rule = w.next()
	action, from, to, by := w.next(), w.next(), w.next(), w.next()
	if !ipmonAction(action, e) || string(to) != "->" || !ipmonEnds(from, by, e) {
		return false
	}
	if times > 1 {
		e.Limited, e.Suppressed = true, times-1
	}
	return ipmonRest(b[pr+4:], name, e)
}

// ipmonOther knows lines of the NAT and state tables: "@2 NAT:MAP …".
func ipmonOther(b []byte) bool {
	w := words{rest: b}
	w.next()
	kind := w.next()
	return hasPrefix(kind, "NAT:") && bytes.Contains(w.rest, []byte(" <- -> "))
}

// ipmonHead reads "[date] time [2x] interface": the interface is last.
func ipmonHead(w *words) (name []byte, times uint64) {
	clock := false
	for word := w.next(); word != nil; word = w.next() {
		if len(word) >= 8 && word[2] == ':' && word[5] == ':' {
			clock = true
		}
		if n, ok := bytes.CutSuffix(word, []byte("x")); ok {
			if t, ok := parseUint(n); ok {
				times = t
				continue
			}
		}
		name = word
	}
	if !clock || bytes.IndexByte(name, ':') >= 0 {
		return nil, 0
	}
	return name, times
}

// ipmonTime reads "02/01/2006 15:04:05.999", day first; 0 for none.
func (p *Parser) ipmonTime(b []byte) int64 {
	c := clock{rest: b}
	if c.num(2, &c.day) && c.skip('/') && c.num(2, &c.month) && c.skip('/') && c.num(4, &c.year) && c.skip(' ') && c.hms() {
		return c.unix(p.opt)
	}
	return 0
}

func ipmonAction(b []byte, e *Event) bool {
	if len(b) != 1 {
		return false
	}
	switch b[0] {
	case 'p', 'P':
		e.Action = Permit
	case 'b', 'B':
		e.Action = Deny
	case 'S', 'n', 'L':
	default:
		return false
	}
	return true
}

func ipmonEnds(from, to []byte, e *Event) bool {
	src, sport, has, ok1 := parseEndpoint(from, ',')
	dst, dport, has2, ok2 := parseEndpoint(to, ',')
	if !ok1 || !ok2 || has != has2 {
		return false
	}
	e.Src, e.Dst = src, dst
	if has {
		e.setPorts(sport, dport)
	}
	return true
}

// ipmonRest reads "tcp len 20 40 -S IN" and "icmp len 20 84 icmp 8/0 IN".
func ipmonRest(b, name []byte, e *Event) bool {
	proto, b, ok := cut(b, ' ')
	if !ok || !hasPrefix(b, "len ") {
		return false
	}
	if n, ok := parseProto(proto); ok {
		e.setProto(n)
	}
	e.In = name
	w := words{rest: b}
	for word := w.next(); word != nil; word = w.next() {
		switch string(word) {
		case "OUT":
			e.In, e.Out = nil, name
		case "icmp", "icmpv6":
			ipmonICMP(w.next(), e)
		}
	}
	return true
}

// ipmonICMP reads 8/0; words (echo/0) are read where one type is meant.
func ipmonICMP(b []byte, e *Event) {
	kind, code, ok := cut(b, '/')
	if !ok || e.HasICMP {
		return
	}
	k, ok1 := parseByte(kind)
	c, ok2 := parseByte(code)
	switch string(kind) {
	case "echo":
		k, ok1 = 8, true
	case "echorep":
		k, ok1 = 0, true
	}
	if ok1 && ok2 {
		e.setICMP(k, c)
	}
}
