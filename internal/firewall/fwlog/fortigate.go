package fwlog

import "bytes"

// readFortiGate reads FortiOS traffic logs (FortiOS Log Message Reference,
// type traffic): key=value parted by blanks or, with set csv enable, by
// commas; and as CEF.
//
//	date=2020-04-23 time=01:16:08 … type="traffic" subtype="forward" … srcip=10.0.0.1 srcport=1 srcintf="lan"
//	dstip=192.0.2.1 dstport=161 dstintf="wan1" … proto=17 action="deny" policyid=0 …
//
// action=deny was refused by a policy; all documented others say how a
// connection that was allowed began or ended. Logs of type utm and event are
// no verdicts about connections.
func readFortiGate(p *Parser, l *line, e *Event) bool {
	if bytes.Contains(l.text, []byte("srcip=")) {
		return p.fortiPairs(l.text, e)
	}
	if bytes.Contains(l.text, []byte("|Fortinet|")) {
		return p.fortiCEF(l, e)
	}
	return false
}

func (p *Parser) fortiPairs(b []byte, e *Event) bool {
	b, _ = priority(b)
	if !bytes.Contains(b, []byte("type=\"traffic\"")) && !bytes.Contains(b, []byte("type=traffic")) {
		if bytes.Contains(b, []byte("devid=")) && bytes.Contains(b, []byte("subtype=")) {
			return p.noEvent()
		}
		return false
	}
	sep := byte(' ')
	if bytes.Contains(b, []byte(",time=")) || bytes.Contains(b, []byte(",srcip=")) {
		sep = ','
	}
	g := gather{e: e, act: fortiAction}
	g.pairs(b, sep, fortiKey)
	if when := g.when(p); when != 0 {
		e.Time = when
	}
	return g.done() && e.Action != NoAction
}

func fortiKey(k []byte) field {
	switch string(k) {
	case "srcip", "src":
		return fSrc
	case "dstip", "dst":
		return fDst
	case "srcport", "src_port":
		return fSrcPort
	case "dstport", "dst_port":
		return fDstPort
	case "proto":
		return fProto
	case "action", "status":
		return fAction
	case "srcintf", "src_int":
		return fIn
	case "dstintf", "dst_int":
		return fOut
	case "policyid":
		return fRule
	case "transip":
		return fNATSrc
	case "transport":
		return fNATSrcPort
	case "tranip", "transdip":
		return fNATDst
	case "tranport", "transdport":
		return fNATDstPort
	case "sentbyte", "rcvdbyte", "sent", "rcvd":
		return fBytes
	case "sentpkt", "rcvdpkt", "sent_pkt", "rcvd_pkt":
		return fPackets
	case "date":
		return fDate
	case "time":
		return fTime
	case "tz":
		return fZone
	case "eventtime":
		return fEpoch
	}
	return fNone
}

// fortiAction: "Deny = blocked by firewall policy. Start = session start log.
// All others = allowed by firewall policy and the status indicates how it was
// closed." Words that are not known are not understood all the same.
func fortiAction(v []byte) Action {
	switch string(v) {
	case "deny", "blocked", "block", "dropped", "drop":
		return Deny
	case "accept", "start", "close", "timeout", "client-rst", "server-rst", "ip-conn", "dns",
		"pass", "passthrough", "ssl-vpn", "redirect":
		return Permit
	}
	return NoAction
}

func (p *Parser) fortiCEF(l *line, e *Event) bool {
	r, ok := cefRecord(l)
	if !ok || string(r.vendor) != "Fortinet" || !hasPrefix(r.name, "traffic") {
		return false
	}
	return p.cefEvent(&r, fortiCEFKey, fortiAction, fNone, e) && e.Action != NoAction
}

func fortiCEFKey(k []byte) field {
	switch string(k) {
	case "FTNTFGTpolicyid", "ad.policyid":
		return fRule
	case "FTNTFGTsentpkt", "FTNTFGTrcvdpkt", "ad.sentpkt", "ad.rcvdpkt":
		return fPackets
	case "FTNTFGTeventtime", "ad.eventtime":
		return fEpoch
	}
	return cefKeys(k)
}
