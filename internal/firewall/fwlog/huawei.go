package fwlog

import "bytes"

// readHuawei reads the policy and session logs of USG firewalls (Huawei
// HiSecEngine USG: Log Reference, POLICY and SECLOG):
//
//	%%01POLICY/6/POLICYDENY(l):vsys=public, protocol=17, source-ip=192.0.2.1, source-port=1, destination-ip=…, destination-port=2, time=…, source-zone=untrust, destination-zone=local, application-name=, rule-name=x.
//	%%01SECLOG/6/SESSION_TEARDOWN(l):IPVer=4,Protocol=udp,SourceIP=…,DestinationIP=…,SourcePort=1,DestinationPort=2,SourceNatIP=…,…,PolicyName=x,CloseReason=aged-out.
func readHuawei(p *Parser, l *line, e *Event) bool {
	_, rest, ok := cutText(l.text, "%%01")
	if !ok {
		return false
	}
	name, rest, ok := cut(rest, ':')
	if !ok {
		return false
	}
	switch {
	case bytes.Contains(name, []byte("/POLICYPERMIT")), bytes.Contains(name, []byte("/SESSION_TEARDOWN")):
		e.Action = Permit
	case bytes.Contains(name, []byte("/POLICYDENY")):
		e.Action = Deny
	default:
		return false
	}
	g := gather{e: e, act: actionWord}
	s := pairs{rest: rest, sep: ','}
	for k, v, ok := s.next(); ok; k, v, ok = s.next() {
		if f := huaweiKey(k); f == fRule {
			e.Rule = bytes.TrimRight(v, ".")
		} else if f != fNone && v != nil {
			g.set(f, v, len(s.rest) == 0)
		}
	}
	if g.done() {
		return true
	}
	return p.noEvent()
}

func huaweiKey(k []byte) field {
	switch string(k) {
	case "protocol", "Protocol":
		return fProto
	case "source-ip", "SourceIP":
		return fSrc
	case "source-port", "SourcePort":
		return fSrcPort
	case "destination-ip", "DestinationIP":
		return fDst
	case "destination-port", "DestinationPort":
		return fDstPort
	case "source-zone", "SourceZone":
		return fIn
	case "destination-zone", "DestinationZone":
		return fOut
	case "rule-name", "PolicyName":
		return fRule
	case "SourceNatIP":
		return fNATSrc
	case "SourceNatPort":
		return fNATSrcPort
	case "DestinationNatIP":
		return fNATDst
	case "DestinationNatPort":
		return fNATDstPort
	case "SendPkts", "RcvPkts":
		return fPackets
	case "SendBytes", "RcvBytes":
		return fBytes
	}
	return fNone
}

// readH3C reads the packet filter log of Comware firewalls (H3C SecPath: System
// Log Messages, FILTER). Keys have their number behind them:
//
//	%%10FILTER/6/FILTER_ZONE_IPV4_EXECUTION: SrcZoneName(1025)=Untrust;DstZoneName(1035)=Trust;…;RuleID(1078)=2;
//	Protocol(1001)=TCP;…;SrcIPAddr(1003)=192.0.2.1;SrcPort(1004)=1;DstIPAddr(1007)=…;DstPort(1008)=2;MatchCount(1069)=1;Event(1048)=Permit;
func readH3C(p *Parser, l *line, e *Event) bool {
	_, rest, ok := cutText(l.text, "FILTER/6/FILTER_")
	if !ok {
		return false
	}
	_, rest, _ = cutText(rest, ": ")
	if l.when == 0 {
		e.Time = p.leadTime(l.text)
	}
	g := gather{e: e, act: actionWord}
	g.pairs(rest, ';', h3cKey)
	if e.Action != NoAction && g.done() {
		return true
	}
	return p.noEvent()
}

func h3cKey(k []byte) field {
	k, _, _ = cut(k, '(')
	switch string(k) {
	case "SrcIPAddr", "SrcIPv6Addr":
		return fSrc
	case "DstIPAddr", "DstIPv6Addr":
		return fDst
	case "SrcPort":
		return fSrcPort
	case "DstPort":
		return fDstPort
	case "Protocol":
		return fProto
	case "SrcZoneName":
		return fIn
	case "DstZoneName":
		return fOut
	case "SecurityPolicy", "ObjectPolicy", "ZonePairPolicy":
		return fRule
	case "MatchCount":
		return fPackets
	case "Event":
		return fAction
	}
	return fNone
}
