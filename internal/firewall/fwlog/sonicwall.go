package fwlog

import "bytes"

// readSonicWall reads SonicOS's syslog (SonicOS Log Events Reference Guide):
//
//	id=firewall sn=0017C5 time="2022-05-16 08:19:21 UTC" fw=192.0.2.1 pri=6 c=262144 m=98 msg="Connection Opened"
//	src=10.0.0.3:52379:X0 natSrc=192.0.2.1:48245 dst=198.51.100.1:443:X1 proto=tcp/https rule="15 (LAN->WAN)" fw_action="NA"
//
// src and dst are address:port:interface:host. IPv6 addresses stand in srcV6
// and dstV6; src then is :port:interface. The verdict is fw_action, where it
// is not told (NA, old releases) the message's: m=98 and 537 are a
// connection's begin and end, 97 a web site that was let through; messages that say "dropped", "denied" or
// "blocked" are refusals. Others (logins, IKE, statistics) are no events.
func readSonicWall(p *Parser, l *line, e *Event) bool {
	t := l.text
	if !bytes.Contains(t, []byte(" sn=")) || !bytes.Contains(t, []byte(" fw=")) {
		return false
	}
	w := sonic{g: gather{e: e, act: sonicAction, sep: ':'}}
	s := pairs{rest: t, sep: ' '}
	closed := t[len(t)-1] == '"'
	for k, v, ok := s.next(); ok; k, v, ok = s.next() {
		if len(v) > 0 && v[0] == '"' {
			break
		}
		w.take(p, k, v, len(s.rest) == 0 && !closed)
	}
	if !w.zoned {
		e.Time = sure(e.Time, l.when)
	}
	w.protocol(e)
	w.port()
	told := e.Action != NoAction // intrusion prevention names no protocol
	if w.verdict(e) && (e.HasProto || told) && w.g.anyProto() {
		return true
	}
	return p.noEvent()
}

// port finds the target's port where only proto's service tells it.
func (w *sonic) port() {
	if n, ok := asaPort(w.service); ok && !w.g.has(fDstPort) {
		w.g.e.DstPort = n
		w.g.seen |= 1 << fDstPort
	}
}

// protocol finds the protocol where proto does not tell: messages like "TCP
// packet dropped" begin with it, and only ICMP has a type.
func (w *sonic) protocol(e *Event) {
	if e.HasProto {
		return
	}
	s := words{rest: w.msg}
	if n, ok := parseProto(s.next()); ok {
		e.setProto(n)
	} else if w.g.has(fICMPType) {
		e.setProto(protoICMP)
	}
}

// sonic is what a line tells beside the fields of gather.
type sonic struct {
	g       gather
	m, msg  []byte
	service []byte // behind proto's slash
	zoned   bool
}

func (w *sonic) take(p *Parser, k, v []byte, open bool) {
	switch string(k) {
	case "m":
		w.m = v
	case "msg":
		if w.msg == nil {
			w.msg = v
		}
	case "time":
		if when := p.cefTime(v); when != 0 {
			w.g.e.Time = when
			w.zoned = v[len(v)-1] == 'C' // UTC
		}
	case "src":
		w.end(fSrc, fSrcPort, fIn, v, open)
	case "dst":
		w.end(fDst, fDstPort, fOut, v, open)
	case "natSrc":
		w.natEnd(fNATSrc, fNATSrcPort, v, open)
	case "natDst":
		w.natEnd(fNATDst, fNATDstPort, v, open)
	case "proto":
		name, service, slash := cut(v, '/')
		w.g.set(fProto, name, open && !slash)
		if !open {
			w.service = service
		}
	case "type":
		w.g.set(fICMPType, v, open)
	case "code":
		w.g.set(fICMPCode, v, open)
	default:
		if f := sonicKey(k); f != fNone {
			w.g.set(f, v, open)
		}
	}
}

func sonicKey(k []byte) field {
	switch string(k) {
	case "srcV6":
		return fSrc
	case "dstV6":
		return fDst
	case "rule":
		return fRule
	case "fw_action":
		return fAction
	case "sent", "rcvd":
		return fBytes
	case "spkt", "rpkt":
		return fPackets
	}
	return fNone
}

// end reads address:port:interface:host; any but the first may be missing,
// and the address is empty where it is IPv6.
func (w *sonic) end(addr, port, ifc field, v []byte, open bool) {
	if len(v) > 0 && v[0] == '[' {
		i := bytes.IndexByte(v, ']')
		if i < 0 {
			w.g.bad = true
			return
		}
		w.g.set(addr, v[1:i], false)
		v = bytes.TrimPrefix(v[i+1:], []byte(":"))
	} else {
		var host []byte
		var more bool
		host, v, more = cut(v, ':')
		w.g.set(addr, host, open && !more)
		if !more {
			return
		}
	}
	n, rest, more := cut(v, ':')
	w.g.set(port, n, open && !more)
	if name, _, _ := cut(rest, ':'); more && len(name) > 0 {
		w.g.set(ifc, name, open)
	}
}

func (w *sonic) natEnd(addr, port field, v []byte, open bool) {
	host, rest, more := cut(v, ':')
	w.g.set(addr, host, open && !more)
	n, _, closed := cut(rest, ':')
	w.g.set(port, n, open && !closed)
}

func sonicAction(v []byte) Action {
	switch string(v) {
	case "drop", "block", "reset", "deny":
		return Deny
	case "forward", "allow", "mgmt":
		return Permit
	}
	return NoAction
}

// verdict finds out what was done where fw_action does not tell.
func (w *sonic) verdict(e *Event) bool {
	switch string(w.m) {
	case "97", "98":
		if e.Action == NoAction {
			e.Action = Permit
		}
	case "537":
		e.Action, e.Ends = Permit, true
	}
	if e.Action != NoAction {
		return true
	}
	s := words{rest: w.msg}
	for word := s.next(); word != nil; word = s.next() {
		switch string(bytes.TrimRight(word, ".,;:")) {
		case "login", "Login", "logged":
			return false
		case "dropped", "denied", "blocked", "rejected", "discarded":
			e.Action = Deny
		}
	}
	return e.Action != NoAction
}
