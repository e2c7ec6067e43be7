package fwlog

import "bytes"

// gcpRecord is what VPC flow logs and firewall logs of Google Cloud share
// ("VPC Flow Logs record format", "Firewall Rules Logging record format"): a
// jsonPayload with a connection, in a LogEntry or alone.
//
//	{"jsonPayload":{"connection":{"src_ip":"192.0.2.1","src_port":50000,"dest_ip":"198.51.100.2",
//	 "dest_port":22,"protocol":6},"disposition":"DENIED","rule_details":{"reference":
//	 "network:default/firewall:deny-ssh","direction":"INGRESS",…},…},"timestamp":"2024-…Z",…}
type gcpRecord struct {
	g            gather
	entry, start int64
	denied       []byte // disposition
	direction    []byte
	connected    bool
}

// readGCPFirewall reads firewall rules logging: allowed and denied.
func readGCPFirewall(p *Parser, l *line, e *Event) bool {
	if !gcpMaybe(l.body) || !bytes.Contains(l.body, []byte(`"disposition"`)) {
		return false
	}
	r := gcpRecord{g: gather{e: e}}
	if !r.read(p, l.body) {
		return false
	}
	switch string(r.denied) {
	case "ALLOWED":
		e.Action = Permit
	case "DENIED":
		e.Action = Deny
	default:
		return false
	}
	switch string(r.direction) {
	case "INGRESS":
		e.In = r.direction
	case "EGRESS":
		e.Out = r.direction
	}
	return r.g.doneTo()
}

// readGCPFlow reads VPC flow logs: samples of one direction of a flow. They do
// not say what a firewall did.
func readGCPFlow(p *Parser, l *line, e *Event) bool {
	if !gcpMaybe(l.body) || !bytes.Contains(l.body, []byte(`"bytes_sent"`)) {
		return false
	}
	r := gcpRecord{g: gather{e: e}}
	if !r.read(p, l.body) || r.denied != nil {
		return false
	}
	return r.g.doneTo()
}

func gcpMaybe(b []byte) bool {
	return len(b) > 0 && b[0] == '{' && bytes.Contains(b, []byte(`"connection"`)) && bytes.Contains(b, []byte(`"src_ip"`))
}

func (r *gcpRecord) read(p *Parser, b []byte) bool {
	s := jsonFields{rest: b}
	for s.next() {
		switch string(s.key) {
		case "jsonPayload", "data":
			if s.value[0] == '{' && !r.fields(p, s.value) {
				return false
			}
		case "timestamp":
			r.entry, _ = p.parseStamp(jsonPlain(s.value))
		}
	}
	if s.bad || !r.connected && !r.fields(p, b) {
		return false
	}
	r.g.e.Time = r.entry
	if r.start != 0 {
		r.g.e.Time = r.start
	}
	return r.connected
}

func (r *gcpRecord) fields(p *Parser, b []byte) bool {
	s := jsonFields{rest: b}
	for s.next() {
		v := jsonPlain(s.value)
		switch string(s.key) {
		case "connection":
			r.connection(s.value)
		case "disposition":
			r.denied = v
		case "rule_details":
			r.rule(p, s.value)
		case "bytes_sent":
			r.g.set(fBytes, v, false)
		case "packets_sent":
			r.g.set(fPackets, v, false)
		case "start_time":
			r.start, _ = p.parseStamp(v)
		}
	}
	return !s.bad
}

func (r *gcpRecord) connection(b []byte) {
	r.connected = true
	s := jsonFields{rest: b}
	for s.next() {
		v := jsonPlain(s.value)
		switch string(s.key) {
		case "src_ip":
			r.g.set(fSrc, v, false)
		case "dest_ip":
			r.g.set(fDst, v, false)
		case "src_port":
			r.g.set(fSrcPort, v, false)
		case "dest_port":
			r.g.set(fDstPort, v, false)
		case "protocol":
			r.g.set(fProto, v, false)
		}
	}
}

func (r *gcpRecord) rule(p *Parser, b []byte) {
	rule, kept := jsonText(jsonGet(b, "reference"), p.scratch[1])
	p.scratch[1] = kept
	r.g.set(fRule, rule, false)
	r.direction = jsonPlain(jsonGet(b, "direction"))
}
