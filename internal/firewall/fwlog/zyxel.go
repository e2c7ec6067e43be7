package fwlog

import "bytes"

// readZyxel reads the event and traffic logs of ZyWALL, USG and ATP devices
// (ZyWALL User's Guide, Syslog Logs):
//
//	src="192.0.2.1:11031" dst="198.51.100.1:23" msg="Match default rule DROP" note="ACCESS BLOCK" … cat="Security Policy Control"
//	src="10.0.0.1:53090" dst="192.0.2.1:443" msg="Traffic Log" note="Traffic Log" … sent=1 rcvd=2 dir="LAN:WAN" protoID=6 proto="https"
//
// The protocol is in protoID or proto, or the message says it (", TCP,").
func readZyxel(p *Parser, l *line, e *Event) bool {
	t := l.text
	at := bytes.Index(t, []byte(`src="`))
	if at < 0 || !bytes.Contains(t, []byte(`note="`)) || !bytes.Contains(t, []byte(`cat="`)) && !bytes.Contains(t, []byte(`devID="`)) {
		return false
	}
	z := zyxel{g: gather{e: e, act: zyxelAction, sep: ':'}}
	z.g.pairs(t[at:], ' ', zyxelKey)
	z.message(t, e)
	if e.Action != NoAction && z.g.anyProto() {
		return true
	}
	return p.noEvent()
}

type zyxel struct{ g gather }

func zyxelKey(k []byte) field {
	switch string(k) {
	case "src":
		return fSrcEnd
	case "dst":
		return fDstEnd
	case "protoID", "proto":
		return fProto
	case "note":
		return fAction
	case "sourceTranslatedAddress":
		return fNATSrc
	case "sourceTranslatedPort":
		return fNATSrcPort
	case "sent", "rcvd":
		return fBytes
	}
	return fNone
}

// zyxelAction reads the note.
func zyxelAction(v []byte) Action {
	switch string(v) {
	case "ACCESS BLOCK", "ACCESS DROP", "ACCESS REJECT", "ACCESS DENY", "ATTACK":
		return Deny
	case "ACCESS FORWARD", "ACCESS ALLOW", "ACCESS PERMIT", "ACCESS PERMITTED":
		return Permit
	}
	return NoAction
}

// message takes from msg="…" what the fields do not tell: of a traffic log
// that the connection was let through, the protocol, the rule's number and
// the zones: "priority:7, from LAN to WAN, TCP, service Telnet, ACCEPT".
func (z *zyxel) message(t []byte, e *Event) {
	_, msg, ok := cutText(t, `msg="`)
	if !ok {
		return
	}
	msg, _, ok = cut(msg, '"')
	if !ok {
		return
	}
	if string(msg) == "Traffic Log" {
		e.Action = Permit
		zyxelZones(t, e)
		return
	}
	c := csv{rest: msg, sep: ','}
	for part, ok := c.next(); ok; part, ok = c.next() {
		part = trim(part)
		if proto, ok := parseProto(part); ok && !e.HasProto && !digit(part[0]) {
			e.setProto(proto)
		}
		if n, ok := cutPrefix(part, "priority:"); ok {
			e.Rule = n
		}
		if zones, ok := cutPrefix(part, "from "); ok {
			e.In, e.Out, _ = cutText(zones, " to ")
		}
	}
}

// zyxelZones reads dir=FROM:TO, in quotes or not.
func zyxelZones(t []byte, e *Event) {
	_, rest, ok := cutText(t, " dir=")
	zones, _, closed := cut(rest, ' ')
	if !ok || !closed {
		return
	}
	if from, to, ok := cut(bytes.Trim(zones, `"`), ':'); ok {
		e.In, e.Out = from, to
	}
}
