package fwlog

import "bytes"

// readMeraki reads the flows of Meraki MX and MR (Meraki: Syslog Event Types
// and Log Samples). The time is seconds since 1970; "1 " before it and PRI are
// no RFC 5424.
//
//	1647478988.289402144 MX84 flows allow src=10.0.0.1 dst=192.0.2.1 mac=… protocol=udp sport=54841 dport=15600
//	1674604848.429996761 MX84 firewall src=… dst=… protocol=tcp sport=1 dport=2 pattern: deny all
//	1647479278.997155282 MX84 ip_flow_start src=… dst=… protocol=tcp sport=1 dport=2 translated_src_ip=… translated_port=…
//
// At the start of a pattern 0 stands for allow and 1 for deny.
func readMeraki(p *Parser, l *line, e *Event) bool {
	if !bytes.Contains(l.text, []byte(" src=")) {
		return false
	}
	kind, when, rest := merakiHead(l.text)
	if kind == nil {
		return false
	}
	e.Time = when
	g := gather{e: e, act: actionWord}
	flow := hasPrefix(kind, "ip_flow_")
	fields, pattern, has := cutText(rest, " pattern: ")
	switch {
	case has:
		g.tail = fDstPort
		if bytes.IndexByte(fields, '=') < 0 {
			return p.noEvent()
		}
		e.Rule, e.Action = trim(pattern), merakiPattern(pattern)
	case flow:
		g.tail = fNATSrcPort
		e.Action, e.Ends = Permit, string(kind) == "ip_flow_end"
	default:
		g.tail = fDstPort
		word, after, _ := cut(trimLeft(fields), ' ')
		if e.Action = actionWord(word); e.Action == NoAction {
			return p.noEvent()
		}
		fields = after
	}
	var natPort []byte
	s := pairs{rest: fields, sep: ' '}
	for k, v, ok := s.next(); ok; k, v, ok = s.next() {
		open := len(s.rest) == 0 && !has
		if string(k) == "translated_port" {
			natPort = v
		} else if f := merakiKey(k); f != fNone {
			g.set(f, v, open && !(f == fICMPType || f == fProto && portless(v)))
		}
	}
	if natPort != nil {
		g.set(merakiPort(e), natPort, false)
	}
	if flow && natPort == nil && e.NATSrc.IsValid() {
		e.NATSrcPort = 0
	}
	if g.done() {
		return true
	}
	return p.noEvent()
}

// portless tells whether a protocol at the end of a line is one whose lines
// may end there: a number that is not cut from one whose lines go on.
func portless(v []byte) bool {
	n, ok := parseProto(v)
	return ok && !portful(n) && n != 1 && n != 3 && n != 5 && n != 13
}

// merakiPort tells which side the one translated port belongs to.
func merakiPort(e *Event) field {
	if e.NATDst.IsValid() {
		return fNATDstPort
	}
	return fNATSrcPort
}

// merakiHead finds TIME DEVICE KIND at the start, behind a syslog header.
func merakiHead(b []byte) (kind []byte, when int64, rest []byte) {
	w := words{rest: b}
	var clock []byte
	for range 8 {
		word := w.next()
		if word == nil {
			return nil, 0, nil
		}
		if i := bytes.IndexByte(word, '>'); i > 0 && word[0] == '<' {
			word = word[i+1:]
		}
		if len(word) > 11 && bytes.IndexByte(word, '.') >= 9 {
			if t, ok := parseEpoch(word); ok {
				when, clock = t, word
				continue
			}
		}
		if clock != nil && merakiKind(word) {
			return word, when, w.rest
		}
	}
	return nil, 0, nil
}

func merakiKind(b []byte) bool {
	switch string(b) {
	case "flows", "firewall", "vpn_firewall", "cellular_firewall", "l7_firewall",
		"bridge_anyconnect_client_vpn_firewall", "ip_flow_start", "ip_flow_end":
		return true
	}
	return false
}

func merakiPattern(b []byte) Action {
	b = bytes.TrimPrefix(b, []byte("Group Policy "))
	w := words{rest: b}
	switch word := w.next(); string(word) {
	case "0":
		return Permit
	case "1":
		return Deny
	default:
		return actionWord(word)
	}
}

func merakiKey(k []byte) field {
	switch string(k) {
	case "src":
		return fSrc
	case "dst":
		return fDst
	case "protocol":
		return fProto
	case "sport":
		return fSrcPort
	case "dport":
		return fDstPort
	case "type":
		return fICMPType
	case "translated_src_ip":
		return fNATSrc
	case "translated_dst_ip":
		return fNATDst
	}
	return fNone
}

// cutText parts b at the first such text.
func cutText(b []byte, text string) (before, after []byte, ok bool) {
	i := bytes.Index(b, []byte(text))
	if i < 0 {
		return b, nil, false
	}
	return b[:i], b[i+len(text):], true
}
