package fwlog

import "bytes"

// readNSX reads the packet logs of VMware NSX: the distributed firewall's
// dfwpktlogs (NSX for vSphere, NSX-T and NSX 4) and the gateway firewall's
// ("Distributed firewall packet logs", "Gateway firewall packet logs" in the
// NSX administration guides), with and without syslog before them.
//
//	… INET match DROP domain-c7/1002 IN 60 TCP 192.0.2.1/50000->198.51.100.2/445 S
//	… 7396c504 INET TERM mainrs/1024 OUT TCP RST 192.0.2.1/50000->198.51.100.2/443 20/16 1718/76308
//	… <1 55f1af2f487544e9:b0e059132ad7753d> INET reason-match PASS 1005 OUT 60 TCP 192.0.2.1/1->198.51.100.2/443 S
//	… INET6 match PASS 1003 IN 72 PROTO 58 fe80::1->ff02::1
//
// A line of TCP goes on behind its addresses; others may end with them, and then
// nobody can tell whether digits are missing.
func readNSX(p *Parser, l *line, e *Event) bool {
	if !bytes.Contains(l.text, []byte("->")) {
		return false
	}
	b, ok := within(l.text, "INET")
	if !ok {
		return false
	}
	if len(b) > 0 && b[0] == '6' {
		b = b[1:]
	}
	if len(b) == 0 || b[0] != ' ' {
		return false
	}
	n := nsx{w: words{rest: b}, e: e}
	if !n.rule() || !n.proto() || !n.ends() {
		return false
	}
	if e.Ends && n.counted() {
		return true
	}
	return !e.Ends && (e.Proto != protoTCP || n.w.next() != nil)
}

// nsx reads the words of a line.
type nsx struct {
	w words
	e *Event
}

// rule reads the reason, the action, the rule and the direction.
func (n *nsx) rule() bool {
	reason, word := n.w.next(), n.w.next()
	if !nsxReason(reason) {
		return false
	}
	n.e.Ends = string(reason) == "TERM"
	if nsxAction(word, n.e) {
		word = n.w.next()
	} else if !n.e.Ends {
		return false
	}
	if len(word) == 0 || !digit(word[len(word)-1]) {
		return false
	}
	n.e.Rule = word
	switch dir := n.w.next(); string(dir) {
	case "IN":
		n.e.In = dir
	case "OUT":
		n.e.Out = dir
	default:
		return false
	}
	return true
}

func nsxReason(b []byte) bool {
	for _, r := range [...]string{"match", "reason-match", "TERM", "fragment", "short", "normalize", "memory", "bad-timestamp",
		"bad-offset", "proto-cksum", "state-mismatch", "state-insert", "state-limit", "SpoofGuard", "ip-option", "congestion", "synproxy"} {
		if string(b) == r {
			return true
		}
	}
	return false
}

// nsxAction: translations and redirections are no verdicts.
func nsxAction(b []byte, e *Event) bool {
	switch string(b) {
	case "PASS", "COPY":
		e.Action = Permit
	case "DROP", "REJECT":
		e.Action = Deny
	case "NAT", "NONAT", "RDR", "NORDR", "PUNT", "REDIRECT", "PBR", "LB", "SCRUB", "NOSCRUB":
	default:
		return false
	}
	return true
}

// proto reads the packet's length, which TERM lines leave out, and the
// protocol.
func (n *nsx) proto() bool {
	word := n.w.next()
	if _, ok := parseUint(word); ok {
		word = n.w.next()
	} else if !n.e.Ends {
		return false
	}
	if string(word) == "PROTO" {
		number, ok := parseByte(n.w.next())
		n.e.setProto(number)
		return ok
	}
	if len(word) == 0 || digit(word[0]) {
		return false
	}
	number, ok := parseProto(word)
	n.e.setProto(number)
	return ok
}

// ends reads the addresses, behind why a connection ended or an ICMP type and
// code.
func (n *nsx) ends() bool {
	var before [3][]byte
	for i := range 4 {
		word := n.w.next()
		src, dst, ok := cutText(word, "->")
		if ok {
			return n.addresses(src, dst) && n.icmp(before[:i])
		}
		if word == nil || i == 3 {
			return false
		}
		before[i] = word
	}
	return false
}

func (n *nsx) addresses(src, dst []byte) bool {
	e := n.e
	var a, b bool
	var from, to bool
	e.Src, e.SrcPort, from, a = parseEndpoint(src, '/')
	e.Dst, e.DstPort, to, b = parseEndpoint(dst, '/')
	e.HasPorts = from && to
	if e.HasPorts && !portful(e.Proto) {
		e.HasPorts, e.SrcPort, e.DstPort = false, 0, 0
	}
	return a && b && from == to && e.HasPorts == portful(e.Proto)
}

func (n *nsx) icmp(words [][]byte) bool {
	if !isICMP(n.e.Proto) || len(words) != 2 {
		return true
	}
	kind, a := parseByte(words[0])
	code, b := parseByte(words[1])
	if a && b {
		n.e.setICMP(kind, code)
	}
	return true
}

// counted reads the packets and bytes in and out of a connection that ended.
func (n *nsx) counted() bool {
	var sums [2]uint64
	for i := range sums {
		in, out, ok := cut(n.w.next(), '/')
		x, a := parseUint(in)
		y, b := parseUint(out)
		if !ok || !a || !b {
			return false
		}
		sums[i] = x + y
	}
	n.e.Packets, n.e.Bytes = sums[0], sums[1]
	return true
}
