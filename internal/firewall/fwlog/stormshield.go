package fwlog

import "bytes"

// readStormshield reads the filter and connection logs of SNS (Stormshield
// Network Security: Description of audit logs):
//
//	id=firewall time="2024-03-08 17:29:30" fw="sns" tz=+0000 … ruleid=7 srcif="Ethernet1" srcifname="in" ipproto=udp
//	dstif="Ethernet0" dstifname="out" proto=ntp src=10.0.0.1 srcport=123 … dst=192.0.2.1 dstport=123 … modsrc=198.51.100.1
//	modsrcport=123 origdst=… origdstport=… sent=48 rcvd=48 … action=pass logtype="connection"
//
// The original destination is what the client named: where it differs, dst
// is behind a translation.
func readStormshield(p *Parser, l *line, e *Event) bool {
	t := l.text
	if !bytes.Contains(t, []byte("id=firewall ")) || !bytes.Contains(t, []byte("ipproto=")) {
		return false
	}
	if bytes.Contains(t, []byte(" sn=")) { // SonicWall
		return false
	}
	g := gather{e: e, act: snsAction}
	g.pairs(t, ' ', snsKey)
	if when := g.when(p); when != 0 {
		e.Time = when
	}
	if g.done() && e.Action != NoAction {
		return true
	}
	return p.noEvent()
}

func snsAction(v []byte) Action {
	switch string(v) {
	case "pass", "delegate":
		return Permit
	case "block", "reset":
		return Deny
	}
	return NoAction
}

func snsKey(k []byte) field {
	switch string(k) {
	case "src":
		return fSrc
	case "dst":
		return fDst
	case "srcport":
		return fSrcPort
	case "dstport":
		return fDstPort
	case "ipproto":
		return fProto
	case "icmptype":
		return fICMPType
	case "icmpcode":
		return fICMPCode
	case "modsrc":
		return fNATSrc
	case "modsrcport":
		return fNATSrcPort
	case "origdst":
		return fNATDst
	case "origdstport":
		return fNATDstPort
	case "action":
		return fAction
	case "ruleid":
		return fRule
	case "srcifname":
		return fIn
	case "dstifname":
		return fOut
	case "sent", "rcvd":
		return fBytes
	case "time":
		return fTime
	case "tz":
		return fZone
	}
	return fNone
}
