package fwlog

import "bytes"

// readUlogd reads a packet in ulogd2's JSON (output/ulogd_output_JSON.c): flat,
// with Splunk's CIM names for addresses and ports, others by the plugin that
// told them. With boolean_label=1 "action" is allowed or blocked by the stack
// that saw the packet; else the prefix may tell.
//
//	{"timestamp": "2024-05-21T10:54:05.058650+0200", "dvc": "Netfilter",
//	 "oob.prefix": "DROP", "oob.in": "eth0", "oob.out": "", "ip.protocol": 6,
//	 "src_ip": "192.0.2.1", "dest_ip": "198.51.100.2", "src_port": 40000,
//	 "dest_port": 22, …}
//
// all in one line.
func readUlogd(p *Parser, l *line, e *Event) bool {
	b := l.body
	if len(b) == 0 || b[0] != '{' || !bytes.Contains(b, []byte(`"oob.`)) {
		return false
	}
	var u ulog
	s := jsonFields{rest: b}
	for s.next() {
		u.take(p, s.key, s.value, e)
	}
	if s.bad || !u.oob {
		return false
	}
	if e.Action == NoAction {
		e.Action = prefixAction(e.Rule)
	}
	if u.ports == 2 {
		e.setPorts(e.SrcPort, e.DstPort)
	}
	e.HasICMP = u.icmp
	return e.Src.IsValid() && e.Dst.IsValid() || p.noEvent()
}

// ulog is what was met of a packet.
type ulog struct {
	oob, icmp bool
	ports     int
}

func (u *ulog) take(p *Parser, key, value []byte, e *Event) {
	v := jsonPlain(value)
	switch string(key) {
	case "timestamp":
		if when, ok := p.parseStamp(v); ok {
			e.Time = when
		}
	case "oob.prefix":
		text, kept := jsonText(value, p.scratch[1])
		p.scratch[1] = kept
		e.Rule = bytes.TrimRight(trim(text), ": ")
	case "oob.family":
		u.oob = true
	case "oob.in":
		u.oob, e.In = true, v
	case "oob.out":
		e.Out = v
	case "action":
		e.Action = actionWord(v)
	case "src_ip", "ip.saddr.str":
		e.Src, _ = parseAddr(v)
	case "dest_ip", "ip.daddr.str":
		e.Dst, _ = parseAddr(v)
	default:
		u.layer4(key, v, e)
	}
}

func (u *ulog) layer4(key, v []byte, e *Event) {
	switch string(key) {
	case "ip.protocol", "ip6.nexthdr":
		// of an IPv6 packet with extensions the first is the last's number
		if n, ok := parseByte(v); ok && !e.HasProto {
			e.setProto(n)
		}
	case "src_port", "tcp.sport", "udp.sport", "sctp.sport":
		e.SrcPort = u.port(v)
	case "dest_port", "tcp.dport", "udp.dport", "sctp.dport":
		e.DstPort = u.port(v)
	case "icmp.type", "icmpv6.type":
		e.ICMPType, u.icmp = parseByte(v)
	case "icmp.code", "icmpv6.code":
		e.ICMPCode, _ = parseByte(v)
	}
}

func (u *ulog) port(v []byte) uint16 {
	n, ok := parsePort(v)
	if ok {
		u.ports++
	}
	return n
}
