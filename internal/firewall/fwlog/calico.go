package fwlog

import "bytes"

// readCalico reads flow logs of Calico Enterprise and Cloud ("Flow log data
// types"). Addresses are null where flows were put together by name: those are
// no events. The source port mostly is null.
//
//	{"start_time":1597086517,"end_time":1597086527,"source_ip":"192.0.2.1","source_port":null,"dest_ip":"198.51.100.2",
//	 "dest_port":5432,"proto":"tcp","action":"deny","reporter":"dst","packets_in":1,…,"policies":{"all_policies":["0|tier|ns/tier.name|deny"]}}
func readCalico(p *Parser, l *line, e *Event) bool {
	b := l.body
	if len(b) == 0 || b[0] != '{' || !bytes.Contains(b, []byte(`"reporter"`)) || !bytes.Contains(b, []byte(`"dest_ip"`)) {
		return false
	}
	if source := jsonGet(b, "_source"); source != nil { // a row of Elasticsearch
		b = source
	}
	g := gather{e: e, act: actionWord}
	s := jsonFields{rest: b}
	for s.next() {
		v := jsonPlain(s.value)
		switch string(s.key) {
		case "start_time":
			if when, ok := parseEpoch(v); ok {
				e.Time = when
			} else {
				e.Time, _ = p.parseStamp(v)
			}
		case "policies":
			g.set(fRule, calicoPolicy(s.value), false)
		default:
			g.set(calicoKey(s.key), v, false)
		}
	}
	if s.bad {
		return false
	}
	if e.Action == NoAction || !g.has(fProto) {
		return false
	}
	return g.doneTo() || p.noEvent()
}

func calicoKey(key []byte) field {
	switch string(key) {
	case "source_ip":
		return fSrc
	case "dest_ip":
		return fDst
	case "source_port":
		return fSrcPort
	case "dest_port":
		return fDstPort
	case "proto":
		return fProto
	case "action":
		return fAction
	case "packets_in", "packets_out":
		return fPackets
	case "bytes_in", "bytes_out":
		return fBytes
	}
	return fNone
}

// calicoPolicy is the last policy of the list: the one that decided.
func calicoPolicy(value []byte) (last []byte) {
	list := jsonFields{rest: jsonGet(value, "all_policies")}
	for list.element() {
		last = jsonPlain(list.value)
	}
	return last
}
