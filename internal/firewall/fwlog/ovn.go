package fwlog

import "bytes"

// readOVN reads the access list log of OVN's controller (ovn-nb(5), ACL:
// log), which OVN-Kubernetes writes for network policies: a verdict, then the
// packet as Open vSwitch's flow (ovs-fields(7)).
//
//	2024-03-01T10:00:00.123Z|00004|acl_log(ovn_pinctrl0)|INFO|name="NP:default:deny", verdict=drop, severity=alert, direction=to-lport: tcp,vlan_tci=0x0000,
//	 dl_src=…,dl_dst=…,nw_src=192.0.2.1,nw_dst=198.51.100.2,nw_tos=0,nw_ecn=0,nw_ttl=64,nw_frag=no,tp_src=50000,tp_dst=80,tcp_flags=syn
func readOVN(p *Parser, l *line, e *Event) bool {
	_, b, ok := cutText(l.text, "acl_log(")
	if !ok {
		return false
	}
	_, b, ok = cutText(b, "|name=")
	if !ok {
		return false
	}
	b, ok = ovnVerdict(b, e)
	if !ok {
		return false
	}
	if at, _, ok := cut(l.text, '|'); ok {
		e.Time, _ = p.parseStamp(at)
	}
	return ovnPacket(b, e)
}

// ovnVerdict reads NAME, verdict=…, …: and gives what follows the colon.
func ovnVerdict(b []byte, e *Event) ([]byte, bool) {
	if n := 0; len(b) > 0 && b[0] == '"' {
		if n = quoted(b); n == 0 {
			return nil, false
		}
		e.Rule, b = b[1:n-1], b[n:]
	} else {
		name, rest, ok := cutText(b, ", verdict=")
		if !ok {
			return nil, false
		}
		if string(name) != "<unnamed>" {
			e.Rule = name
		}
		b = b[len(b)-len(rest)-len(", verdict="):]
	}
	b, ok := cutPrefix(b, ", verdict=")
	head, rest, also := cutText(b, ": ")
	word, _, _ := cut(head, ',')
	switch string(word) {
	case "allow", "allow-related", "allow-stateless":
		e.Action = Permit
	case "drop", "reject":
		e.Action = Deny
	case "pass": // another tier decides
	default:
		ok = false
	}
	return rest, ok && also
}

// ovnPacket reads a flow: the protocol's name, then fields. The last field of
// a whole line is tcp_flags, or a port or ICMP code: those at the very end may
// be cut, so that only tcp, whose line goes on, has them for certain.
func ovnPacket(b []byte, e *Event) bool {
	g := gather{e: e}
	name, rest, ok := cut(b, ',')
	g.set(fProto, bytes.TrimSuffix(name, []byte("6")), false)
	if string(name) == "icmp6" {
		e.setProto(protoICMPv6)
	}
	if string(name) == "ip" || string(name) == "ipv6" {
		e.HasProto = false
	}
	for len(rest) > 0 && ok {
		var pair []byte
		pair, rest, _ = cut(rest, ',')
		key, value, _ := cut(pair, '=')
		if f := ovnKey(key); f != fNone {
			g.set(f, value, len(rest) == 0 && f <= fDst)
		}
	}
	if e.HasProto && e.Proto == protoTCP && !bytes.Contains(b, []byte("tcp_flags=")) {
		return false
	}
	return g.done()
}

func ovnKey(key []byte) field {
	switch string(key) {
	case "nw_src", "ipv6_src":
		return fSrc
	case "nw_dst", "ipv6_dst":
		return fDst
	case "tp_src":
		return fSrcPort
	case "tp_dst":
		return fDstPort
	case "nw_proto":
		return fProto
	case "icmp_type":
		return fICMPType
	case "icmp_code":
		return fICMPCode
	}
	return fNone
}
