package fwlog

import "bytes"

// readAzureFirewall reads Azure Firewall's network and NAT rule logs: the
// structured ones (categories AZFWNetworkRule, AZFWNatRule, AZFWThreatIntel,
// AZFWIdpsSignature; resource tables of Azure Monitor), as records of a
// diagnostic setting or as rows, and the text of the older
// AzureFirewallNetworkRule.
//
//	{"category":"AZFWNetworkRule","time":"2024-…Z","properties":{"Protocol":"TCP","SourceIp":"192.0.2.1","SourcePort":50000,
//	 "DestinationIp":"198.51.100.2","DestinationPort":443,"Action":"Deny","Rule":"…",…}}
//	{"category":"AzureFirewallNetworkRule","properties":{"msg":"TCP request from 192.0.2.1:50000 to 198.51.100.2:443. Action: Deny. "}}
//
// Application rules name hosts, not addresses: they are no events.
func readAzureFirewall(p *Parser, l *line, e *Event) bool {
	b := l.body
	if len(b) == 0 || b[0] != '{' || !bytes.Contains(b, []byte("AZFW")) && !bytes.Contains(b, []byte("AzureFirewall")) {
		return false
	}
	if !isJSON(b) {
		return false
	}
	list := jsonGet(b, "records")
	if list == nil {
		return p.azfwRecord(b, e)
	}
	if list[0] != '[' {
		return false
	}
	records := jsonFields{rest: list}
	next := func(e *Event) bool {
		for records.element() {
			*e = Event{}
			if records.value[0] == '{' && p.azfwRecord(records.value, e) {
				return true
			}
		}
		return false
	}
	if !next(e) {
		return false
	}
	p.known = false // records of another category may have come first
	p.more = next
	return true
}

// azfw is what was met of a record.
type azfw struct {
	g        gather
	category []byte
	msg      []byte
}

func (p *Parser) azfwRecord(b []byte, e *Event) bool {
	a := azfw{g: gather{e: e, act: actionWord}}
	a.object(p, b, 2)
	switch string(a.category) {
	case "AZFWNetworkRule", "AZFWThreatIntel", "AZFWIdpsSignature":
		return a.g.doneTo()
	case "AZFWNatRule":
		e.Action = Permit
		return a.g.doneTo()
	case "AzureFirewallNetworkRule":
		return a.text() || p.noEvent()
	}
	if hasPrefix(a.category, "AZFW") || hasPrefix(a.category, "AzureFirewall") {
		p.noEvent()
	}
	return false
}

func (a *azfw) object(p *Parser, b []byte, depth int) {
	s := jsonFields{rest: b}
	for s.next() {
		v := jsonPlain(s.value)
		switch string(s.key) {
		case "properties":
			if depth > 1 && s.value[0] == '{' {
				a.object(p, s.value, depth-1)
			}
		case "category", "Category", "Type":
			a.category = v
		case "time", "TimeGenerated":
			a.g.e.Time, _ = p.parseStamp(v)
		case "msg", "msg_s":
			a.msg, p.scratch[1] = jsonText(s.value, p.scratch[1])
		default:
			a.g.set(azfwKey(s.key), v, false)
		}
	}
}

func azfwKey(key []byte) field {
	switch string(key) {
	case "Protocol":
		return fProto
	case "SourceIp", "SourceIP":
		return fSrc
	case "SourcePort":
		return fSrcPort
	case "DestinationIp", "DestinationIP":
		return fDst
	case "DestinationPort":
		return fDstPort
	case "TranslatedIp", "TranslatedIP":
		return fNATDst
	case "TranslatedPort":
		return fNATDstPort
	case "Action":
		return fAction
	case "Rule":
		return fRule
	}
	return fNone
}

// text reads the older form:
//
//	TCP request from 192.0.2.1:50000 to 198.51.100.2:443. Action: Deny. Rule Collection: a. Rule: b
//	TCP request from 192.0.2.1:50000 to 198.51.100.2:443 was DNAT'ed to 203.0.113.5:8443
//	ICMP Type=8 request from 192.0.2.1: to 198.51.100.2:. Action: Allow.
func (a *azfw) text() bool {
	proto, rest, ok := cutText(a.msg, " request from ")
	src, rest, also := cutText(rest, " to ")
	if !ok || !also {
		return false
	}
	name, kind, typed := cutText(proto, " Type=")
	a.g.set(fProto, name, false)
	if typed {
		a.g.set(fICMPType, kind, false)
	}
	dst, after, _ := cut(rest, ' ')
	switch {
	case hasPrefix(after, "was DNAT'ed to "):
		to, _, _ := cut(after[len("was DNAT'ed to "):], ' ')
		a.end(fNATDst, fNATDstPort, bytes.TrimRight(to, "."))
		a.g.e.Action = Permit
	case hasPrefix(after, "Action: "):
		word, _, dot := cut(after[len("Action: "):], '.')
		a.g.e.Action = actionWord(word)
		if !dot {
			return false
		}
	default:
		return false
	}
	if _, rule, ok := cutText(after, " Rule: "); ok {
		a.g.set(fRule, bytes.TrimRight(rule, ". "), false)
	}
	a.end(fSrc, fSrcPort, src)
	a.end(fDst, fDstPort, bytes.TrimSuffix(dst, []byte(".")))
	return a.g.done()
}

// end reads addr:port; ICMP's has nothing behind its colon.
func (a *azfw) end(addr, port field, b []byte) {
	host, ok := bytes.CutSuffix(b, []byte(":"))
	if ok {
		a.g.set(addr, host, false)
		return
	}
	at, n, has, fine := parseEndpoint(b, ':')
	if !fine {
		a.g.bad = true
		return
	}
	e := a.g.e
	switch addr {
	case fSrc:
		e.Src, e.SrcPort = at, n
	case fDst:
		e.Dst, e.DstPort = at, n
	case fNATDst:
		e.NATDst, e.NATDstPort = at, n
	}
	if has {
		a.g.seen |= 1 << port
	}
}
