package fwlog

import "bytes"

// readBarracuda reads the firewall activity log of CloudGen (NextGen) in its
// modes with keys, without keys (the same order), and as JSON (Barracuda
// Campus: Firewall Activity Log; Firewall Insights).
//
//	2018 01 30 13:12:21 Security +01:00 Block: type=FWD|proto=UDP|srcIF=eth0|srcIP=10.0.0.1|srcPort=1|srcMAC=…|dstIP=…|dstPort=2|dstService=|dstIF=|rule=BLOCKALL|info=…
//	… Allow: FWD|TCP|eth1|10.0.0.1|50000|00:…|192.0.2.1|443|https|eth0|LAN-2-INTERNET|…
//	{"version":1,"timestamp":1606230141,"action":"End",…,"src_ip":"10.0.0.1","src_port":1,…,"ip_proto":6}
func readBarracuda(p *Parser, l *line, e *Event) bool {
	t := l.text
	if t[0] == '{' {
		return bytes.Contains(t, []byte(`fw_rule`)) && p.barracudaJSON(t, e)
	}
	i := bytes.Index(t, []byte("WD|"))
	for _, kind := range [...]string{"LIN|", "LOUT|", "LB|", "PXY|", "PRX|", "IPRX|", "TAP|", "LRD|"} {
		if i < 0 {
			i = bytes.Index(t, []byte(kind))
		}
	}
	if i < 0 {
		return false
	}
	colon := bytes.LastIndex(t[:i], []byte(": "))
	if colon < 0 || i-colon > 16 {
		return false
	}
	g := gather{e: e, act: actionWord}
	e.Action, e.Ends = barracudaAction(lastWord(t[:colon]))
	if when := p.barracudaTime(t[:colon]); when != 0 {
		e.Time = when
	}
	c := csv{rest: t[colon+2:], sep: '|'}
	for n := 0; ; n++ {
		v, ok := c.next()
		if !ok {
			break
		}
		k, value, keyed := cut(v, '=')
		f := barracudaField(n)
		if keyed {
			v = value
			f = barracudaKey(k)
		}
		if f != fNone {
			g.set(f, v, c.done)
		}
	}
	if e.Action != NoAction && g.done() {
		return true
	}
	return p.noEvent()
}

// barracudaTime reads "2018 01 30 13:12:21 Security +01:00 Block".
func (p *Parser) barracudaTime(b []byte) int64 {
	for i := 0; i+19 <= len(b) && i < 60; i++ {
		if b[i+4] != ' ' || b[i+7] != ' ' || b[i+10] != ' ' || b[i+13] != ':' {
			continue
		}
		var date [10]byte
		copy(date[:], b[i:])
		date[4], date[7] = '-', '-'
		w := words{rest: b[i+19:]}
		var zone []byte
		for word := w.next(); word != nil; word = w.next() {
			if len(word) == 6 && (word[0] == '+' || word[0] == '-') {
				zone = word
			}
		}
		return p.joined(date[:], b[i+11:i+19], zone)
	}
	return 0
}

// barracudaAction: Fail is a connection that a rule allowed and whose target
// did not answer; Remove and End are the ends of one.
func barracudaAction(b []byte) (a Action, ends bool) {
	switch {
	case sameAny(b, "detect", "detected", "start"):
		return Permit, false
	case sameAny(b, "remove", "end", "terminate"):
		return Permit, true
	}
	return actionWord(b), false
}

func barracudaField(n int) field {
	order := [...]field{fNone, fProto, fIn, fSrc, fSrcPort, fNone, fDst, fDstPort, fNone, fOut, fRule,
		fNone, fNATSrc, fNATDst, fNone, fNone, fBytes, fBytes, fPackets, fPackets}
	if n < len(order) {
		return order[n]
	}
	return fNone
}

func barracudaKey(k []byte) field {
	switch string(k) {
	case "proto":
		return fProto
	case "srcIF", "src_iface":
		return fIn
	case "srcIP", "src_ip":
		return fSrc
	case "srcPort", "src_port":
		return fSrcPort
	case "dstIP", "dst_ip":
		return fDst
	case "dstPort", "dst_port":
		return fDstPort
	case "dstIF", "dst_iface":
		return fOut
	case "rule", "fw_rule":
		return fRule
	case "srcNAT", "src_ip_nat":
		return fNATSrc
	case "dstNAT", "dst_ip_nat":
		return fNATDst
	case "receivedBytes", "sentBytes", "fwd_bytes", "rev_bytes":
		return fBytes
	case "receivedPackets", "sentPackets", "fwd_packets", "rev_packets":
		return fPackets
	case "ip_proto":
		return fProto
	}
	return fNone
}

// barracudaJSON: a collector may have wrapped the object into a message.
func (p *Parser) barracudaJSON(b []byte, e *Event) bool {
	if inner := jsonGet(b, "message"); len(inner) > 2 && inner[0] == '"' && inner[1] == '{' {
		b, p.scratch[1] = jsonText(inner, p.scratch[1])
	}
	g := gather{e: e, act: actionWord}
	s := jsonFields{rest: b}
	for s.next() {
		v := jsonPlain(s.value)
		switch string(s.key) {
		case "action":
			e.Action, e.Ends = barracudaAction(v)
		case "timestamp":
			if when, ok := parseEpoch(v); ok {
				e.Time = when
			}
		default:
			if f := barracudaKey(s.key); f != fNone && v != nil {
				g.set(f, v, false)
			}
		}
	}
	return !s.bad && e.Action != NoAction && g.done()
}
