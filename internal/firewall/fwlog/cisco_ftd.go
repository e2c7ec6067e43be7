package fwlog

import "bytes"

// ftdEvent reads the connection events of Firepower Threat Defense, which are
// "Key: value, Key: value" (Cisco Secure Firewall Threat Defense Syslog
// Messages, 430002 begin, 430003 end), and intrusion events (430001) where
// these say that the packet was dropped.
func ftdEvent(p *Parser, m mnemonic, e *Event) bool {
	var read bool
	switch string(m.name) {
	case "430001", "430002", "430003":
		read = true
	}
	if !read {
		return false
	}
	g := gather{e: e, act: ftdAction}
	var zoneIn, zoneOut []byte
	for b := m.text; len(b) > 0; {
		var key, value []byte
		var open bool
		key, value, b, open = ftdPair(b)
		switch string(key) {
		case "IngressZone":
			zoneIn = value
		case "EgressZone":
			zoneOut = value
		case "FirstPacketSecond":
			if when, ok := p.parseStamp(value); ok && m.name[5] == '2' {
				e.Time = when
			}
		default:
			if f := ftdKey(key); f != fNone {
				g.set(f, value, open)
			}
		}
	}
	if zoneIn != nil && e.In == nil {
		e.In = zoneIn
	}
	if zoneOut != nil && e.Out == nil {
		e.Out = zoneOut
	}
	return g.done() && (m.name[5] != '1' || e.Action == Deny)
}

// ftdPair takes the next "Key: value" off. A value may hold commas: it goes on
// until a comma behind which a word and a colon stand.
func ftdPair(b []byte) (key, value, rest []byte, open bool) {
	i := bytes.Index(b, []byte(": "))
	if i < 0 {
		return nil, nil, nil, true
	}
	key, b = trim(b[:i]), b[i+2:]
	for from := 0; ; {
		j := bytes.Index(b[from:], []byte(", "))
		if j < 0 {
			return key, trim(b), nil, true
		}
		j += from
		if ftdKeyAt(b[j+2:]) {
			return key, trim(b[:j]), b[j+2:], false
		}
		from = j + 2
	}
}

// ftdKeyAt tells whether b begins with a key: a word or two, a colon, a blank.
func ftdKeyAt(b []byte) bool {
	for i, c := range b {
		switch {
		case c == ':':
			return i > 0 && i+1 < len(b) && b[i+1] == ' '
		case !letter(c) && !digit(c) && c != '_' && c != ' ' || i > 40:
			return false
		}
	}
	return false
}

func ftdKey(key []byte) field {
	switch string(key) {
	case "SrcIP":
		return fSrc
	case "DstIP":
		return fDst
	case "SrcPort":
		return fSrcPort
	case "DstPort":
		return fDstPort
	case "Protocol":
		return fProto
	case "ICMPType":
		return fICMPType
	case "ICMPCode":
		return fICMPCode
	case "NAT_InitiatorIP", "NATInitiatorIP":
		return fNATSrc
	case "NAT_ResponderIP", "NATResponderIP":
		return fNATDst
	case "NAT_InitiatorPort", "NATInitiatorPort":
		return fNATSrcPort
	case "NAT_ResponderPort", "NATResponderPort":
		return fNATDstPort
	case "IngressInterface":
		return fIn
	case "EgressInterface":
		return fOut
	case "AccessControlRuleName":
		return fRule
	case "AccessControlRuleAction", "InlineResult":
		return fAction
	case "InitiatorPackets", "ResponderPackets":
		return fPackets
	case "InitiatorBytes", "ResponderBytes":
		return fBytes
	}
	return fNone
}

// ftdAction: Monitor only logs, other rules decide; what they decided is not
// told.
func ftdAction(v []byte) Action {
	switch {
	case bytes.HasPrefix(v, []byte("Block")), bytes.HasPrefix(v, []byte("Interactive Block")), same(v, "dropped"):
		return Deny
	case same(v, "allow"), same(v, "trust"), same(v, "fastpath"):
		return Permit
	}
	return NoAction
}
