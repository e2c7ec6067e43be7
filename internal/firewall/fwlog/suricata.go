package fwlog

import "bytes"

// readSuricata reads what Suricata and Snort dropped as a firewall between
// (inline): fast.log lines marked [Drop], and EVE records of type drop, or of
// type alert whose action is blocked (Suricata User Guide: EVE JSON Format).
// Other alerts say that a packet was seen, not what became of it: no events.
//
//	07/11/2022-10:29:01.860293  [Drop] [**] [1:2200074:2] text [**] [Classification: …] [Priority: 3] {TCP} 192.0.2.1:28487 -> 198.51.100.1:80
//	{"timestamp":"2022-07-10T23:50:05.533101+0000",…,"event_type":"drop","src_ip":"192.0.2.1",…}
func readSuricata(p *Parser, l *line, e *Event) bool {
	t := l.text
	if t[0] == '{' {
		if !bytes.Contains(t, []byte(`"event_type"`)) || !bytes.Contains(t, []byte(`"src_ip"`)) {
			return false
		}
		if p.eve(t, e) {
			return true
		}
		return p.noEvent()
	}
	i := bytes.Index(t, []byte(" [**] ["))
	if i < 0 && !hasPrefix(t, "[**] [") {
		return false
	}
	if i < 0 || !bytes.HasSuffix(t[:i], []byte("[Drop]")) {
		return p.noEvent()
	}
	if p.fastLog(t, i, e) && e.whole() {
		return true
	}
	return p.noEvent()
}

func (p *Parser) fastLog(t []byte, at int, e *Event) bool {
	if when := p.fastTime(t); when != 0 {
		e.Time = when
	}
	e.Action = Deny
	if _, rest, ok := cut(t[at+7:], ' '); ok {
		e.Rule, _, _ = cutText(rest, " [**]")
	}
	open := bytes.LastIndex(t, []byte(" {"))
	if open < 0 {
		return false
	}
	s := scan{rest: t[open+2:]}
	proto, ok := parseProto(s.past("} "))
	src, has, good := zoneEnd(s.word())
	s.lit(" -> ")
	dst, also, fine := zoneEnd(s.word())
	if s.bad || !ok || !good || !fine || !has || !also {
		return false
	}
	e.setProto(proto)
	e.Src, e.Dst = src.addr, dst.addr
	switch {
	case portful(proto):
		e.setPorts(src.port, dst.port)
	case isICMP(proto) && src.port < 256 && dst.port < 256:
		e.setICMP(uint8(src.port), uint8(dst.port))
	}
	return true
}

// fastTime reads MM/DD/YYYY-HH:MM:SS.
func (p *Parser) fastTime(b []byte) int64 {
	if len(b) < 26 || b[2] != '/' || b[5] != '/' || b[10] != '-' {
		return 0
	}
	date := [10]byte{b[6], b[7], b[8], b[9], '-', b[0], b[1], '-', b[3], b[4]}
	return p.joined(date[:], b[11:26], nil)
}

func (p *Parser) eve(b []byte, e *Event) bool {
	g := gather{e: e, act: actionWord}
	var kind, alert []byte
	s := jsonFields{rest: b}
	for s.next() {
		v := jsonPlain(s.value)
		switch string(s.key) {
		case "event_type":
			kind = v
		case "alert":
			alert = s.value
		case "timestamp":
			if when, ok := p.parseStamp(v); ok {
				e.Time = when
			}
		default:
			if f := eveKey(s.key); f != fNone && v != nil {
				g.set(f, v, false)
			}
		}
	}
	blocked := string(kind) == "alert" && string(jsonPlain(jsonGet(alert, "action"))) == "blocked"
	if s.bad || !blocked && string(kind) != "drop" {
		return false
	}
	e.Action = Deny
	e.Rule = jsonPlain(jsonGet(alert, "signature"))
	return g.done()
}

func eveKey(k []byte) field {
	switch string(k) {
	case "src_ip":
		return fSrc
	case "dest_ip":
		return fDst
	case "src_port":
		return fSrcPort
	case "dest_port":
		return fDstPort
	case "proto":
		return fProto
	case "icmp_type":
		return fICMPType
	case "icmp_code":
		return fICMPCode
	case "in_iface":
		return fIn
	}
	return fNone
}
