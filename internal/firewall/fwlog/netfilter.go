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
	if l.json {
		return false
	}
	b := l.body
	start, rest, ok := interfaces(b, e)
	if !ok {
		return netfilterARP(p, b)
	}
	if rest, ok = netfilterAddrs(rest, e); !ok || foreign(b[:start], l) {
		return false
	}
	netfilterProto(rest, l.blank, e)
	p.netfilterPrefix(b[:start], l, e)
	return true
}

// interfaces finds IN= and OUT= side by side and gives where they begin (what
// is before is the prefix) and what stands behind SRC=.
func interfaces(b []byte, e *Event) (start int, rest []byte, ok bool) {
	for from := 0; ; {
		out := find(b, from, "OUT=")
		if out < 0 {
			return oneInterface(b, e)
		}
		if start, ok = before(b[:out]); ok {
			if rest, ok = source(b[out+4:]); ok {
				e.In = b[start+3 : out-1]
				e.Out, _, _ = cut(b[out+4:], ' ')
				return start, rest, true
			}
		}
		from = out + 4
	}
}

// before finds IN=name and a blank at the end of b. The prefix may stand
// right before it.
func before(b []byte) (start int, ok bool) {
	if len(b) == 0 || b[len(b)-1] != ' ' {
		return 0, false
	}
	b = b[:len(b)-1]
	word := bytes.LastIndexByte(b, ' ') + 1
	if hasPrefix(b[word:], "IN=") {
		return word, true
	}
	i := bytes.LastIndex(b[word:], []byte("IN="))
	return word + i, i >= 0 && !hasSuffix(b[word:word+i], "PHYS")
}

// source passes the words up to SRC=.
func source(b []byte) (rest []byte, ok bool) {
	for len(b) > 0 {
		if hasPrefix(b, "SRC=") {
			return b[4:], true
		}
		i := bytes.IndexByte(b, ' ')
		if i < 0 {
			break
		}
		b = b[i+1:]
	}
	return nil, false
}

// find gives the place of word from some place on. It is quick where the
// first letter is rare.
func find(b []byte, from int, word string) int {
	for {
		i := bytes.IndexByte(b[from:], word[0])
		if i < 0 {
			return -1
		}
		from += i
		if hasPrefix(b[from:], word) {
			return from
		}
		from++
	}
}

// oneInterface is for ulogd's users that leave an empty IN= or OUT= out
// (Proxmox): the one that is there has a name.
func oneInterface(b []byte, e *Event) (start int, rest []byte, ok bool) {
	for _, key := range [...]string{"IN=", "OUT="} {
		at := find(b, 0, key)
		if at <= 0 || b[at-1] != ' ' {
			continue
		}
		name, _, _ := cut(b[at+len(key):], ' ')
		if rest, ok = source(b[at:]); !ok || len(name) == 0 {
			continue
		}
		if key == "IN=" {
			e.In = name
		} else {
			e.Out = name
		}
		return at, rest, true
	}
	return 0, nil, false
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
	i := find(b, 0, "ARP HTYPE=")
	if i < 0 {
		return false
	}
	if out := find(b[:i], 0, "OUT="); out < 0 {
		return false
	} else if _, ok := before(b[:out]); !ok {
		return false
	}
	return p.noEvent()
}

func hasSuffix(b []byte, suffix string) bool {
	return len(b) >= len(suffix) && string(b[len(b)-len(suffix):]) == suffix
}
