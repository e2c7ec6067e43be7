package fwlog

import (
	"bytes"
	"net/netip"
)

// readPflog reads tcpdump's text of a pflog interface (tcpdump -n -e -ttt -i
// pflog0; OpenBSD and FreeBSD write it a little differently):
//
//	rule 4/(match) block in on em0: 192.0.2.1.40000 > 198.51.100.2.22: S …
//	rule 3..16777216/0(match): pass out on em0: 192.0.2.1.53 > …: UDP, length 30
//	rule 3/0(match): block in on em0: (tos 0x0, …, proto TCP (6), length 60) …
//
// behind the time. Names instead of numbers (no -n) are declined.
func readPflog(_ *Parser, l *line, e *Event) bool {
	b := l.text
	if l.json {
		return false
	}
	at := bytes.Index(b, []byte("rule "))
	if at < 0 || at > 160 {
		return false
	}
	rule, b, ok := cut(b[at+5:], ' ')
	if !ok || !pflogRule(rule, e) {
		return false
	}
	for len(b) > 0 && b[0] == '[' { // [uid 0, pid 12]
		if _, b, ok = cut(b, ']'); !ok {
			return false
		}
		b = bytes.TrimLeft(b, ": ")
	}
	if b, ok = pflogHead(b, e); !ok {
		return false
	}
	return pflogPacket(b, e)
}

// pflogRule reads "3/0(match):", "3..16777216/0(match):", "def/(match)" or
// "4.anchor.2/(match)".
func pflogRule(b []byte, e *Event) bool {
	name, reason, ok := cut(b, '/')
	if !ok || len(name) == 0 || bytes.IndexByte(reason, '(') < 0 {
		return false
	}
	if !digit(name[0]) && string(name) != "def" {
		return false
	}
	if i := bytes.Index(name, []byte("..")); i > 0 { // no sub rule
		name = name[:i]
	}
	e.Rule = name
	return true
}

// pflogHead reads "block in on em0: ".
func pflogHead(b []byte, e *Event) ([]byte, bool) {
	action, b, _ := cut(b, ' ')
	direction, b, _ := cut(b, ' ')
	on, b, _ := cut(b, ' ')
	name, b, ok := bytes.Cut(b, []byte(": "))
	if !ok || string(on) != "on" || len(name) == 0 || bytes.IndexByte(name, ' ') >= 0 {
		return nil, false
	}
	switch string(direction) {
	case "in":
		e.In = name
	case "out":
		e.Out = name
	default:
		return nil, false
	}
	e.Action = filterAction(action)
	return b, e.Action != NoAction || pflogOther(action)
}

func pflogOther(action []byte) bool {
	switch string(action) {
	case "match", "nat", "rdr", "binat", "scrub":
		return true
	}
	return false
}

// pflogPacket reads "(…, proto TCP (6), length 60) A > B: what".
func pflogPacket(b []byte, e *Event) bool {
	for _, family := range [...]string{"IP6 ", "IP "} {
		b, _ = cutPrefix(b, family)
	}
	if len(b) > 0 && b[0] == '(' {
		end := bytes.Index(b, []byte(") "))
		if i := bytes.Index(b, []byte("proto ")); i > 0 && i < end {
			if n, ok := pflogNumber(b[i+6:]); ok {
				e.setProto(n)
			}
		}
		// the last number in parentheses is the protocol's: (6), length 60)
		if i := bytes.Index(b, []byte("length ")); i > 0 {
			if j := bytes.Index(b[i:], []byte(") ")); j > 0 {
				end = i + j
			}
		}
		if end < 0 {
			return false
		}
		b = trimLeft(b[end+2:])
	}
	from, b, ok1 := bytes.Cut(b, []byte(" > "))
	to, what, ok2 := bytes.Cut(b, []byte(": "))
	if !ok1 || !ok2 {
		return false
	}
	return pflogEnds(from, to, what, e)
}

// pflogNumber reads "TCP (6)" or "UDP".
func pflogNumber(b []byte) (uint8, bool) {
	end := bytes.IndexAny(b, " ,)")
	if end < 0 {
		return 0, false
	}
	return parseProto(b[:end])
}

func pflogEnds(from, to, what []byte, e *Event) bool {
	src, sport, has, ok1 := dotted(from)
	dst, dport, has2, ok2 := dotted(to)
	if !ok1 || !ok2 || has != has2 {
		return false
	}
	e.Src, e.Dst = src, dst
	if !e.HasProto {
		if n, ok := pflogWhat(what); ok {
			e.setProto(n)
		}
	}
	if has {
		e.setPorts(sport, dport)
	}
	return true
}

// dotted reads an address and maybe a port behind a dot: 192.0.2.1.22,
// 2001:db8::1.22.
func dotted(b []byte) (addr netip.Addr, port uint16, has, ok bool) {
	if addr, ok = parseAddr(b); ok {
		return addr, 0, false, true
	}
	i := bytes.LastIndexByte(b, '.')
	if i < 0 {
		return addr, 0, false, false
	}
	addr, ok1 := parseAddr(b[:i])
	port, ok2 := parsePort(b[i+1:])
	return addr, port, true, ok1 && ok2
}

// pflogWhat tells the protocol from how tcpdump describes a packet. What is
// described as a message of an application (DNS, NTP) does not tell.
func pflogWhat(b []byte) (uint8, bool) {
	if hasPrefix(b, "Flags [") {
		return protoTCP, true
	}
	b, _ = cutPrefix(b, "HBH ")
	end := bytes.IndexAny(b, " ,(:")
	if end < 0 {
		return 0, false // maybe cut
	}
	word, rest := b[:end], b[end:]
	switch string(word) {
	case "UDP", "udp":
		return protoUDP, true
	case "ICMP", "icmp", "ICMP6", "icmp6", "igmp", "ESP", "esp", "AH", "GREv0", "gre":
		return parseProto(bytes.TrimSuffix(word, []byte("v0")))
	}
	if tcpFlags(word) && len(rest) > 1 && (digit(rest[1]) || hasPrefix(rest, " ack ") || hasPrefix(rest, " [tcp sum")) {
		return protoTCP, true
	}
	return 0, false
}

// tcpFlags tells whether a word is OpenBSD's list of flags: S, R, FP, or a
// dot.
func tcpFlags(b []byte) bool {
	for _, c := range b {
		if bytes.IndexByte([]byte("SFPRWEU."), c) < 0 {
			return false
		}
	}
	return len(b) > 0 && len(b) <= 8
}
