package fwlog

import "bytes"

// readNetworkFirewall reads AWS Network Firewall's alert and flow logs
// ("Logging network traffic from AWS Network Firewall"): Suricata's EVE inside
// an envelope of its own. A netflow record is one direction of a flow, and
// says nothing about a verdict.
//
//	{"firewall_name":"fw","availability_zone":"us-east-1b","event_timestamp":"1602627001",
//	 "event":{"timestamp":"2020-10-13T22:10:01.006481+0000","event_type":"alert",
//	 "src_ip":"192.0.2.1","src_port":50000,"dest_ip":"198.51.100.2","dest_port":22,"proto":"TCP",
//	 "alert":{"action":"blocked","signature_id":1000003,"signature":"deny ssh"}}}
func readNetworkFirewall(p *Parser, l *line, e *Event) bool {
	b := l.body
	if len(b) == 0 || b[0] != '{' || !bytes.Contains(b, []byte(`"firewall_name"`)) || !isJSON(b) {
		return false
	}
	event := jsonGet(b, "event")
	if event == nil {
		return false
	}
	if event[0] == '"' { // Firehose's JSON in JSON
		event, p.scratch[1] = jsonText(event, p.scratch[1])
		if !isJSON(event) {
			return false
		}
	}
	n := anf{g: gather{e: e}}
	s := jsonFields{rest: event}
	for s.next() {
		n.take(p, s.key, s.value)
	}
	if when, ok := parseEpoch(jsonPlain(jsonGet(b, "event_timestamp"))); ok && e.Time == 0 {
		e.Time = when
	}
	if n.verdict == NoAction && !n.flow {
		return p.noEvent()
	}
	e.Action = n.verdict
	return n.g.done() || p.noEvent()
}

type anf struct {
	g       gather
	verdict Action
	flow    bool
}

func (n *anf) take(p *Parser, key, value []byte) {
	v := jsonPlain(value)
	switch string(key) {
	case "timestamp":
		n.g.e.Time, _ = p.parseStamp(v)
	case "src_ip":
		n.g.set(fSrc, v, false)
	case "dest_ip":
		n.g.set(fDst, v, false)
	case "src_port":
		n.g.set(fSrcPort, v, false)
	case "dest_port":
		n.g.set(fDstPort, v, false)
	case "proto":
		n.g.set(fProto, v, false)
	case "icmp_type":
		n.g.set(fICMPType, v, false)
	case "icmp_code":
		n.g.set(fICMPCode, v, false)
	case "alert":
		n.alert(value)
	case "verdict": // what became of the packet, where an alert alone does not say
		if a := actionWord(jsonPlain(jsonGet(value, "action"))); a != NoAction {
			n.verdict = a
		}
	case "netflow":
		n.flow = true
		n.g.set(fPackets, jsonPlain(jsonGet(value, "pkts")), false)
		n.g.set(fBytes, jsonPlain(jsonGet(value, "bytes")), false)
	}
}

func (n *anf) alert(value []byte) {
	if n.verdict == NoAction {
		n.verdict = actionWord(jsonPlain(jsonGet(value, "action")))
	}
	rule := jsonPlain(jsonGet(value, "signature"))
	if len(rule) == 0 {
		rule = jsonPlain(jsonGet(value, "signature_id"))
	}
	n.g.set(fRule, rule, false)
}
