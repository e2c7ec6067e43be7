package fwlog

import "bytes"

// readSophosUTM reads the packet filter's log of UTM (SG, Astaro), written by
// ulogd (Sophos UTM: packetfilter.log):
//
//	2023:04:28-00:50:54 utm ulogd[12511]: id="2001" severity="info" sys="SecureNet" sub="packetfilter" name="Packet dropped"
//	action="drop" fwrule="60001" initf="eth6" … srcip="192.0.2.1" dstip="198.51.100.1" proto="17" … srcport="1" dstport="2"
//
// Actions like "DNS request" and "log" tell no verdict.
func readSophosUTM(p *Parser, l *line, e *Event) bool {
	if !bytes.Contains(l.text, []byte(`sub="packetfilter"`)) {
		return false
	}
	if when := p.utmTime(l.text); when != 0 {
		e.Time = when
	}
	g := gather{e: e, act: actionWord}
	g.pairs(l.text, ' ', utmKey)
	if g.done() {
		return true
	}
	return p.noEvent()
}

// utmTime reads 2023:04:28-00:50:54 at the start.
func (p *Parser) utmTime(b []byte) int64 {
	b, _ = priority(b)
	if len(b) < 19 || b[4] != ':' || b[7] != ':' || b[10] != '-' {
		return 0
	}
	t := p.parts[:copy(p.parts[:], b[:19])]
	t[4], t[7], t[10] = '-', '-', ' '
	when, _ := p.parseStamp(t)
	return when
}

func utmKey(k []byte) field {
	switch string(k) {
	case "srcip":
		return fSrc
	case "dstip":
		return fDst
	case "srcport":
		return fSrcPort
	case "dstport":
		return fDstPort
	case "proto":
		return fProto
	case "type":
		return fICMPType
	case "code":
		return fICMPCode
	case "action":
		return fAction
	case "fwrule":
		return fRule
	case "initf":
		return fIn
	case "outitf":
		return fOut
	}
	return fNone
}

// readSophosXG reads SFOS (XG, XGS, Cyberoam) firewall logs in their device
// standard and their central form (Sophos Firewall: Log File Details):
//
//	device="SFW" date=2025-06-01 time=10:15:30 timezone="CEST" … log_type="Firewall" log_component="Firewall Rule"
//	log_subtype="Denied" … fw_rule_id=5 … src_ip=10.0.0.1 dst_ip=192.0.2.1 protocol="TCP" src_port=51000 dst_port=443
//
// log_type IDP, Content Filtering and others are no verdicts of the firewall.
func readSophosXG(p *Parser, l *line, e *Event) bool {
	t := l.text
	if !bytes.Contains(t, []byte("log_type=")) || !bytes.Contains(t, []byte("log_subtype=")) {
		return false
	}
	if !bytes.Contains(t, []byte(`log_type="Firewall"`)) && !bytes.Contains(t, []byte("log_type=Firewall")) {
		return false
	}
	g := gather{e: e, act: actionWord}
	x := xgState{}
	g.pairs(t, ' ', x.key)
	if when := g.when(p); when != 0 {
		e.Time = when
		if !x.stamped {
			e.Time = sure(when, l.when)
		}
	}
	e.Ends = bytes.Contains(t, []byte(`con_event="Stop"`)) || bytes.Contains(t, []byte(`connevent="Stop"`))
	if g.done() && e.Action != NoAction {
		return true
	}
	return p.noEvent()
}

// xgState remembers that a time was told with its zone.
type xgState struct{ stamped bool }

func (x *xgState) key(k []byte) field {
	switch string(k) {
	case "src_ip":
		return fSrc
	case "dst_ip":
		return fDst
	case "src_port":
		return fSrcPort
	case "dst_port":
		return fDstPort
	case "protocol":
		return fProto
	case "icmp_type":
		return fICMPType
	case "icmp_code":
		return fICMPCode
	case "log_subtype":
		return fAction
	case "fw_rule_id":
		return fRule
	case "in_interface":
		return fIn
	case "out_interface":
		return fOut
	}
	return x.rest(k)
}

func (x *xgState) rest(k []byte) field {
	switch string(k) {
	case "tran_src_ip", "src_trans_ip":
		return fNATSrc
	case "tran_dst_ip", "dst_trans_ip":
		return fNATDst
	case "tran_src_port", "src_trans_port":
		return fNATSrcPort
	case "tran_dst_port", "dst_trans_port":
		return fNATDstPort
	case "sent_pkts", "recv_pkts", "packets_sent", "packets_received":
		return fPackets
	case "sent_bytes", "recv_bytes", "bytes_sent", "bytes_received":
		return fBytes
	case "timestamp":
		x.stamped = true
		return fTime
	case "date":
		return fDate
	case "time":
		if x.stamped {
			return fNone
		}
		return fTime
	}
	return fNone
}
