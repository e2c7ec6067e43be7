package fwlog

import "bytes"

// readCilium reads what Cilium decided: Hubble's flows as JSON (hubble observe
// -o json, with and without "flow" around; flow.proto of the Cilium API), and
// the drops and policy verdicts of cilium monitor's text.
//
//	{"flow":{"time":"…","verdict":"DROPPED","IP":{"source":"192.0.2.1","destination":"198.51.100.2",…},
//	 "l4":{"TCP":{"source_port":50000,"destination_port":80,"flags":{"SYN":true}}},"is_reply":false,…}}
//	xx drop (Policy denied) flow 0x6d7b6dd0 to endpoint 1657, file bpf_lxc.c:2044, , identity 6->51566: 192.0.2.1:50000 -> 198.51.100.2:80 tcp SYN
//	Policy verdict log: flow 0x1 local EP ID 9, remote ID 2, proto 6, ingress, action deny, match none, 192.0.2.1:50000 -> 198.51.100.2:80 tcp SYN
//
// A flow that is a reply is turned: its destination began.
func readCilium(p *Parser, l *line, e *Event) bool {
	b := l.body
	if len(b) > 0 && b[0] == '{' {
		if !bytes.Contains(b, []byte(`"verdict"`)) || !bytes.Contains(b, []byte(`"IP"`)) || !isJSON(b) {
			return false
		}
		return p.hubble(b, e)
	}
	if _, rest, ok := cutText(l.text, "xx drop ("); ok {
		return ciliumDrop(rest, e)
	}
	if _, rest, ok := cutText(l.text, "Policy verdict log: flow "); ok {
		return ciliumVerdict(rest, e)
	}
	return false
}

// hubble reads a flow.
func (p *Parser) hubble(b []byte, e *Event) bool {
	if flow := jsonGet(b, "flow"); flow != nil {
		b = flow
	}
	h := hubble{g: gather{e: e}}
	s := jsonFields{rest: b}
	for s.next() {
		h.take(p, s.key, s.value)
	}
	switch string(h.verdict) {
	case "DROPPED":
		e.Action = Deny
	case "FORWARDED", "REDIRECTED", "AUDIT":
		e.Action = Permit
	case "TRACED", "TRANSLATED", "ERROR":
		return p.noEvent()
	default:
		return false
	}
	if !h.g.done() {
		return p.noEvent()
	}
	if h.reply {
		e.turn()
	}
	return true
}

type hubble struct {
	g       gather
	verdict []byte
	reply   bool
}

func (h *hubble) take(p *Parser, key, value []byte) {
	v := jsonPlain(value)
	switch string(key) {
	case "time":
		h.g.e.Time, _ = p.parseStamp(v)
	case "verdict":
		h.verdict = v
	case "IP":
		h.g.set(fSrc, jsonPlain(jsonGet(value, "source")), false)
		h.g.set(fDst, jsonPlain(jsonGet(value, "destination")), false)
	case "l4":
		h.layer4(value)
	case "is_reply":
		h.reply = string(v) == "true" || string(jsonPlain(jsonGet(value, "value"))) == "true"
	case "drop_reason_desc":
		h.g.e.Rule = v
	case "interface":
		if name := jsonPlain(jsonGet(value, "name")); len(name) > 0 {
			h.g.e.In = name
		}
	}
}

func (h *hubble) layer4(value []byte) {
	s := jsonFields{rest: value}
	for s.next() {
		h.g.set(fProto, s.key, false)
		switch string(s.key) {
		case "TCP", "UDP", "SCTP":
			h.g.set(fSrcPort, orZero(jsonGet(s.value, "source_port")), false)
			h.g.set(fDstPort, orZero(jsonGet(s.value, "destination_port")), false)
		case "ICMPv4", "ICMPv6":
			h.g.set(fICMPType, orZero(jsonGet(s.value, "type")), false)
			h.g.set(fICMPCode, orZero(jsonGet(s.value, "code")), false)
		}
	}
}

var zero = []byte("0")

// orZero: protobuf's JSON leaves zeros out.
func orZero(value []byte) []byte {
	if value == nil {
		return zero
	}
	return jsonPlain(value)
}

// ciliumDrop reads what follows "xx drop (".
func ciliumDrop(b []byte, e *Event) bool {
	reason, rest, ok := cut(b, ')')
	_, rest, also := cutText(rest, "identity ")
	_, rest, colon := cutText(rest, ": ")
	if !ok || !also || !colon || !ciliumPacket(rest, e) {
		return false
	}
	e.Rule, e.Action = reason, Deny
	return true
}

// ciliumVerdict reads what follows "Policy verdict log: flow ".
func ciliumVerdict(b []byte, e *Event) bool {
	_, rest, ok := cutText(b, ", action ")
	word, rest, also := cutText(rest, ", ")
	match, rest, matched := cutText(rest, ", ")
	if rule, good := cutPrefix(match, "match "); good {
		e.Rule = rule
	}
	for matched && hasPrefix(rest, "auth: ") { // since 1.14
		_, rest, matched = cutText(rest, ", ")
	}
	e.Action = actionWord(word)
	if string(word) == "audit" || string(word) == "redirect" {
		e.Action = Permit
	}
	return ok && also && matched && e.Action != NoAction && ciliumPacket(rest, e)
}

// ciliumPacket reads "a:1 -> b:2 tcp SYN", "a -> b EchoRequest", where IPv6
// with ports is in brackets. A line of a protocol with ports says more behind
// the ports: it was not cut in them.
func ciliumPacket(b []byte, e *Event) bool {
	w := words{rest: b}
	src, arrow, dst, what := w.next(), w.next(), w.next(), w.next()
	if string(arrow) != "->" || what == nil {
		return false
	}
	var from, to, a, z bool
	e.Src, e.SrcPort, from, a = parseEndpoint(src, ':')
	e.Dst, e.DstPort, to, z = parseEndpoint(dst, ':')
	if !a || !z || from != to {
		return false
	}
	if string(what) == "icmp" {
		what = w.next()
	}
	if from {
		number, ok := parseProto(what)
		if !ok || !portful(number) {
			return false
		}
		e.HasPorts = true
		e.setProto(number)
		return true
	}
	return ciliumICMP(what, e)
}

// ciliumICMP knows the names that gopacket gives to types: enough to tell
// IPv4 from IPv6, and the common ones.
func ciliumICMP(name []byte, e *Event) bool {
	proto, echo := uint8(protoICMP), [2]uint8{8, 0}
	if e.Src.Is6() {
		proto, echo = protoICMPv6, [2]uint8{128, 129}
	}
	kind, _, _ := cut(name, '(')
	switch string(kind) {
	case "EchoRequest":
		e.setICMP(echo[0], 0)
	case "EchoReply":
		e.setICMP(echo[1], 0)
	case "RouterSolicitation":
		e.setICMP(133, 0)
	case "RouterAdvertisement":
		e.setICMP(134, 0)
	case "NeighborSolicitation":
		e.setICMP(135, 0)
	case "NeighborAdvertisement":
		e.setICMP(136, 0)
	case "DestinationUnreachable", "TimeExceeded", "PacketTooBig", "Redirect", "ParameterProblem":
	default:
		number, ok := parseProto(kind)
		if !ok || portful(number) {
			return false
		}
		proto = number
	}
	e.setProto(proto)
	return true
}
