package fwlog

import "bytes"

// readScreenOS reads NetScreen's traffic log (ScreenOS Message Log Reference,
// message 00257).
//
//	ns: NetScreen device_id=ns  [Root]system-notification-00257(traffic): start_time="2018-08-22 09:05:54"
//	duration=60 policy_id=1623 service=IKE proto=17 src zone=Trust dst zone=Untrust action=Permit sent=684
//	rcvd=589 src=10.0.0.1 dst=192.0.2.1 src_port=500 dst_port=500 src-xlated ip=198.51.100.1 port=48363
//	dst-xlated ip=192.0.2.1 port=500 session_id=48015 reason=Close - AGE OUT
//
// Keys hold blanks: "src zone" is read as zone behind src, "src-xlated ip" as
// ip. A "port" belongs to the translation before it.
func readScreenOS(p *Parser, l *line, e *Event) bool {
	at := bytes.Index(l.text, []byte("(traffic): "))
	if at < 0 || !bytes.Contains(l.text[:at], []byte("device_id=")) {
		return false
	}
	g := gather{e: e, act: screenAction}
	x := screenKeys{}
	var service []byte
	s := pairs{rest: l.text[at+11:], sep: ' '}
	for k, v, ok := s.next(); ok; k, v, ok = s.next() {
		if string(k) == "start_time" {
			if when, ok := p.parseStamp(v); ok {
				e.Time = when
			}
			continue
		}
		if string(k) == "service" {
			service = v
		}
		open := len(s.rest) == 0
		if open && string(k) == "dst_port" {
			open = !screenPort(service, v)
		}
		if f := x.field(k, v); f != fNone {
			g.set(f, bytes.TrimRight(v, "()<>\x00"), open)
		}
	}
	if g.done() {
		return true
	}
	return p.noEvent()
}

// screenPort tells whether a port that ends a line (those of old releases do)
// is complete: it is the service's.
func screenPort(service, port []byte) bool {
	n, ok := parsePort(port)
	if _, number, is := cutText(service, "/port:"); is {
		service = number
	}
	if number, is := parsePort(service); is {
		return ok && number == n
	}
	number, is := asaPort(bytes.ToLower(service))
	return ok && is && number == n
}

func screenAction(v []byte) Action {
	if bytes.HasPrefix(v, []byte("Tunnel")) {
		return Permit
	}
	return actionWord(v)
}

// screenKeys remembers the word before a key that has two.
type screenKeys struct {
	last byte // its first letter
	xlat byte
}

func (x *screenKeys) field(k, v []byte) field {
	if v == nil { // the first half of a key
		x.last = k[0]
		switch string(k) {
		case "src-xlated", "dst-xlated":
			x.xlat = k[0]
		}
		return fNone
	}
	src := x.last == 's'
	switch string(k) {
	case "zone":
		return either(src, fIn, fOut)
	case "ip":
		return either(x.xlat == 's', fNATSrc, fNATDst)
	case "port":
		return either(x.xlat == 's', fNATSrcPort, fNATDstPort)
	case "src":
		return fSrc
	case "dst":
		return fDst
	case "src_port":
		return fSrcPort
	case "dst_port":
		return fDstPort
	case "proto":
		return fProto
	case "type":
		return fICMPType
	case "action":
		return fAction
	case "policy_id":
		return fRule
	case "sent", "rcvd":
		return fBytes
	}
	return fNone
}

func either(first bool, a, b field) field {
	if first {
		return a
	}
	return b
}
