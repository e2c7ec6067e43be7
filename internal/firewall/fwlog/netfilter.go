package fwlog

import "bytes"

// readNetfilter reads what the kernel's LOG target and nft's log statement
// write (net/netfilter/nf_log_syslog.c), and ulogd's LOGEMU after it:
//
//	PREFIX IN=eth0 OUT= MAC=… SRC=192.0.2.1 DST=198.51.100.2 LEN=60 TOS=0x00
//	PREC=0x00 TTL=64 ID=1 DF PROTO=TCP SPT=40000 DPT=22 WINDOW=64240 …
//
// The kernel always writes IN= and OUT= and then SRC= and DST= side by side.
// What stands behind PROTO=ICMP in brackets is a quoted packet: its addresses
// and ports are not the event's. The prefix is free text that an
// administrator or a product chose: all that it tells is in prefix.go.
func readNetfilter(p *Parser, l *line, e *Event) bool {
	b := l.body
	if l.json {
		return false
	}
	at := bytes.Index(b, srcKey)
	if at < 0 {
		return netfilterARP(p, b)
	}
	start, ok := interfaces(b[:at], e)
	if !ok {
		return false
	}
	rest, ok := netfilterAddrs(b[at+len(srcKey):], e)
	if !ok {
		return false
	}
	netfilterProto(rest, l.blank, e)
	p.netfilterPrefix(b[:start], l, e)
	return true
}

var (
	srcKey = []byte(" SRC=")
	outKey = []byte(" OUT=")
	inKey  = []byte("IN=")
)

// interfaces finds IN= and OUT= in what stands before SRC= and gives where
// they begin: what is before is the prefix.
func interfaces(b []byte, e *Event) (start int, ok bool) {
	for from := 0; ; {
		out := bytes.Index(b[from:], outKey)
		if out < 0 {
			return oneInterface(b, e)
		}
		out += from
		if in := bytes.LastIndexByte(b[:out], ' ') + 1; in <= out {
			if i := bytes.LastIndex(b[in:out], inKey); i >= 0 && !hasSuffix(b[in:in+i], "PHYS") {
				e.In = b[in+i+3 : out]
				e.Out, _, _ = cut(b[out+len(outKey):], ' ')
				return in + i, true
			}
		}
		from = out + len(outKey)
	}
}

// oneInterface is for ulogd's users that leave an empty IN= or OUT= out
// (Proxmox): the one that is there has a name.
func oneInterface(b []byte, e *Event) (start int, ok bool) {
	for from := 0; from < len(b); {
		word, _, _ := cut(b[from:], ' ')
		if name, found := cutPrefix(word, "IN="); found && len(name) > 0 {
			e.In = name
			return from, true
		}
		if name, found := cutPrefix(word, "OUT="); found && len(name) > 0 {
			e.Out = name
			return from, true
		}
		from += len(word) + 1
	}
	return 0, false
}

// netfilterAddrs reads "192.0.2.1 DST=198.51.100.2 " and gives the rest. A
// line that ends there was cut, maybe within the address.
func netfilterAddrs(b []byte, e *Event) (rest []byte, ok bool) {
	src, b, _ := cut(b, ' ')
	if e.Src, ok = parseAddr(src); !ok {
		return nil, false
	}
	b, ok = cutPrefix(b, "DST=")
	dst, b, more := cut(b, ' ')
	if !ok || !more {
		return nil, false
	}
	e.Dst, ok = parseAddr(dst)
	return b, ok
}

// netfilterProto reads PROTO= and what follows it. The kernel writes a blank
// behind each field, but loggers take the last one away. Without it the field
// that ends the line may be cut: it is believed only where it cannot be.
func netfilterProto(b []byte, blank bool, e *Event) {
	for {
		i := bytes.IndexByte(b, 'P')
		if i < 0 {
			return
		}
		b = b[i:]
		if hasPrefix(b, "PROTO=") {
			break
		}
		b = b[1:]
	}
	word, b, more := cut(b[len("PROTO="):], ' ')
	n, ok := parseProto(word)
	if !ok || !more && !blank && !protoEnds(word) {
		return
	}
	e.setProto(n)
	switch n {
	case protoICMP, protoICMPv6:
		netfilterICMP(b, blank, e)
	case protoTCP, protoUDP, protoUDPLite, protoSCTP, protoDCCP:
		netfilterPorts(b, blank, e)
	}
}

// protoEnds tells whether PROTO= ends a line with this: numbers do, which the
// kernel writes of protocols that it does not know; none with one digit but
// IGMP's is in use.
func protoEnds(word []byte) bool {
	return digit(word[0]) && (len(word) > 1 || word[0] == '2')
}

// netfilterPorts reads "SPT=40000 DPT=22 ". Of a fragment there are no ports.
func netfilterPorts(b []byte, blank bool, e *Event) {
	b, ok := cutPrefix(b, "SPT=")
	if !ok {
		return
	}
	s, b, _ := cut(b, ' ')
	b, ok = cutPrefix(b, "DPT=")
	d, _, more := cut(b, ' ')
	if !ok || !more && !blank && len(d) < 5 {
		return
	}
	src, ok1 := parsePort(s)
	dst, ok2 := parsePort(d)
	if ok1 && ok2 {
		e.setPorts(src, dst)
	}
}

// netfilterICMP reads "TYPE=8 CODE=0 ".
func netfilterICMP(b []byte, blank bool, e *Event) {
	b, ok := cutPrefix(b, "TYPE=")
	if !ok {
		return
	}
	t, b, _ := cut(b, ' ')
	b, ok = cutPrefix(b, "CODE=")
	c, _, more := cut(b, ' ')
	kind, ok1 := parseByte(t)
	code, ok2 := parseByte(c)
	if ok && ok1 && ok2 && (more || blank || !icmpGoesOn(e.Proto, kind)) {
		e.setICMP(kind, code)
	}
}

// icmpGoesOn tells whether the kernel writes more than type and code.
func icmpGoesOn(proto, kind uint8) bool {
	if proto == protoICMPv6 {
		return kind <= 4 || kind == 128 || kind == 129
	}
	switch kind {
	case 0, 3, 4, 5, 8, 11, 12:
		return true
	}
	return false
}

// netfilterARP knows the kernel's lines about ARP, which are no event.
func netfilterARP(p *Parser, b []byte) bool {
	i := bytes.Index(b, []byte("ARP HTYPE="))
	if i > 0 && bytes.Contains(b[:i], outKey) && bytes.Contains(b[:i], inKey) {
		return p.noEvent()
	}
	return false
}

func hasSuffix(b []byte, suffix string) bool {
	return len(b) >= len(suffix) && string(b[len(b)-len(suffix):]) == suffix
}
