package fwlog

import "bytes"

// readJuniperSRX reads session logs of Junos on SRX: RT_FLOW, APPTRACK and
// RT_IDS screens, as structured data (RFC 5424) or as text (Junos OS: Session
// Log Entries; Junos System Log Explorer).
//
//	… RT_FLOW - RT_FLOW_SESSION_CREATE [junos@2636.1.1.1.2.41 source-address="10.0.0.1" source-port="594" …]
//	RT_FLOW: RT_FLOW_SESSION_CREATE: session created 10.0.0.1/5000->192.0.2.1/53 junos-dns-udp 198.51.100.1/5001->192.0.2.1/53 NAT None 17 POLICY trust untrust 6316 …
//	RT_FLOW: RT_FLOW_SESSION_DENY: session denied 192.0.2.1/5000->10.0.0.1/22 junos-ssh 6(0) POLICY untrust trust …
//
// A policy may log the beginning of its sessions, the end or both. A close is
// an event of its own: often it is all there is.
//
// VOL_UPDATE and ROUTE_UPDATE tell of connections that go on: no events.
func readJuniperSRX(p *Parser, l *line, e *Event) bool {
	i := bytes.Index(l.text, []byte("_S"))
	if i < 0 {
		return false
	}
	kind, rest := srxKind(l.text)
	if kind == nil {
		return false
	}
	if l.when == 0 {
		e.Time = p.leadTime(l.text)
	}
	if srxRead(kind, rest, e) && e.whole() {
		return true
	}
	return p.noEvent()
}

// srxKind finds the name of the message and what is behind it.
func srxKind(b []byte) (kind, rest []byte) {
	for _, start := range [...]string{"RT_FLOW_SESSION_", "APPTRACK_SESSION_", "RT_SCREEN_"} {
		i := bytes.Index(b, []byte(start))
		if i < 0 || i > 0 && b[i-1] != ' ' && b[i-1] != '-' {
			continue
		}
		n := i
		for n < len(b) && (b[n] >= 'A' && b[n] <= 'Z' || b[n] == '_') {
			n++
		}
		return bytes.TrimSuffix(b[i:n], []byte("_LS")), b[n:]
	}
	return nil, nil
}

func srxRead(kind, rest []byte, e *Event) bool {
	switch string(kind) {
	case "RT_FLOW_SESSION_CREATE", "RT_FLOW_SESSION_CLOSE":
		e.Action = Permit
	case "APPTRACK_SESSION_CREATE", "APPTRACK_SESSION_CLOSE":
		// The session's own log tells the same.
		e.Action, e.Ends = Permit, true
	case "RT_FLOW_SESSION_DENY":
		e.Action = Deny
	case "RT_SCREEN_TCP", "RT_SCREEN_UDP", "RT_SCREEN_ICMP", "RT_SCREEN_IP":
	default:
		return false
	}
	if at := bytes.Index(rest, []byte(` source-address="`)); at >= 0 && at < 400 {
		return srxStructured(kind, rest, e)
	}
	if kind[3] == 'S' {
		return false
	}
	return srxText(rest, e)
}

func srxStructured(kind, b []byte, e *Event) bool {
	g := gather{e: e, act: srxAction}
	s := pairs{rest: b, sep: ' '}
	var zoneOut, zoneIn []byte
	for k, v, ok := s.next(); ok; k, v, ok = s.next() {
		switch string(k) {
		case "source-zone-name":
			zoneIn = v
		case "destination-zone-name":
			zoneOut = v
		default:
			// Values stand in quotes; what does not was cut.
			if f := srxKey(k); f != fNone && len(v) > 0 {
				g.set(f, v, len(s.rest) == 0 && b[len(b)-1] != '"' || v[0] == '"')
			}
		}
	}
	if len(zoneIn) > 0 {
		e.In = zoneIn
	}
	e.Out = zoneOut
	switch string(kind) {
	case "RT_SCREEN_TCP":
		e.setProto(protoTCP)
	case "RT_SCREEN_UDP":
		e.setProto(protoUDP)
	case "RT_SCREEN_ICMP":
		e.setProto(protoICMP)
	}
	if e.HasProto && e.Proto != protoICMP && e.Proto != protoICMPv6 || !bytes.Contains(kind, []byte("DENY")) {
		e.HasICMP = false
	}
	return g.done()
}

func srxKey(k []byte) field {
	switch string(k) {
	case "source-address":
		return fSrc
	case "destination-address":
		return fDst
	case "source-port":
		return fSrcPort
	case "destination-port":
		return fDstPort
	case "nat-source-address":
		return fNATSrc
	case "nat-destination-address":
		return fNATDst
	case "nat-source-port":
		return fNATSrcPort
	case "nat-destination-port":
		return fNATDstPort
	case "protocol-id":
		return fProto
	case "icmp-type":
		return fICMPType
	case "policy-name":
		return fRule
	case "attack-name":
		return fRule
	case "packet-incoming-interface", "interface-name":
		return fIn
	case "packets-from-client", "packets-from-server":
		return fPackets
	case "bytes-from-client", "bytes-from-server":
		return fBytes
	case "action":
		return fAction
	}
	return fNone
}

// srxAction is of screens: alarm-without-drop lets the packet through.
func srxAction(v []byte) Action {
	switch string(v) {
	case "drop":
		return Deny
	case "alarm-without-drop":
		return Permit
	}
	return NoAction
}

// srxText reads the text forms. Newer releases put a connection tag (0x0)
// behind the addresses and the type of a NAT rule before its name.
func srxText(b []byte, e *Event) bool {
	s := scan{rest: b}
	s.past("session ")
	verb := s.word()
	switch string(verb) {
	case "created", "denied":
	case "closed":
		if !s.srxReason() {
			return false
		}
	default:
		return false
	}
	src, dst, ok := srxFlow(s.word())
	if s.bad || !ok {
		return false
	}
	e.between(src, dst)
	if e.Action == Deny {
		return s.srxDenied(e)
	}
	return s.srxSession(e, string(verb) == "closed")
}

// srxReason passes "TCP FIN:" and the like.
func (s *scan) srxReason() bool {
	i := bytes.Index(s.rest, []byte("->"))
	if i < 0 {
		return false
	}
	j := bytes.LastIndex(s.rest[:i], []byte(": "))
	if j < 0 {
		return false
	}
	s.rest = s.rest[j+2:]
	return true
}

// srxFlow reads ADDRESS/PORT->ADDRESS/PORT.
func srxFlow(b []byte) (src, dst endpoint, ok bool) {
	left, right, ok := cutText(b, "->")
	if !ok {
		return src, dst, false
	}
	var also bool
	src.addr, src.port, src.has, ok = parseEndpoint(left, '/')
	dst.addr, dst.port, dst.has, also = parseEndpoint(right, '/')
	return src, dst, ok && also && src.has && dst.has
}

// srxDenied reads SERVICE PROTO(ICMPTYPE) POLICY FROMZONE TOZONE ….
func (s *scan) srxDenied(e *Event) bool {
	if hasPrefix(s.word(), "0x") {
		s.word()
	}
	n, kind, ok := cut(s.word(), '(')
	proto, good := parseByte(n)
	if s.bad || !ok || !good || len(kind) == 0 || kind[len(kind)-1] != ')' {
		return false
	}
	e.setProto(proto)
	if t, ok := parseByte(kind[:len(kind)-1]); ok && isICMP(proto) {
		e.ICMPType, e.HasICMP = t, true
	}
	e.Rule, e.In, e.Out = s.word(), s.word(), s.word()
	if len(s.rest) == 0 {
		e.Out = nil
	}
	return true
}

// srxSession reads SERVICE NATSRC->NATDST … PROTO POLICY FROM TO SESSION [N(B) N(B)].
func (s *scan) srxSession(e *Event, counts bool) bool {
	var nsrc, ndst endpoint
	ok := false
	for range 3 { // a tag, the service, the translated pair
		if nsrc, ndst, ok = srxFlow(s.word()); ok {
			break
		}
	}
	if !ok {
		return false
	}
	word := s.word()
	if hasPrefix(word, "0x") {
		word = s.word()
	}
	s.srxRule(word)
	s.srxRule(s.word())
	proto, ok := parseByte(s.word())
	if s.bad || !ok || len(s.rest) == 0 {
		return false
	}
	e.setProto(proto)
	e.Rule, e.In, e.Out = s.word(), s.word(), s.word()
	e.NATSrc, e.NATSrcPort, e.NATDst, e.NATDstPort = nsrc.addr, nsrc.port, ndst.addr, ndst.port
	untranslated(&e.NATSrc, &e.NATSrcPort, e.Src, e.SrcPort)
	untranslated(&e.NATDst, &e.NATDstPort, e.Dst, e.DstPort)
	s.word() // the session's number
	if counts {
		s.srxCounts(e)
		s.srxCounts(e)
	}
	return true
}

// srxRule passes the name of a translation's rule; newer releases put its type
// before it: "source rule NAME", "N/A N/A".
func (s *scan) srxRule(word []byte) {
	if string(word) == "N/A" || s.maybe(" rule") {
		s.word()
	}
}

// srxCounts reads PACKETS(BYTES).
func (s *scan) srxCounts(e *Event) {
	n, rest, ok := cut(s.word(), '(')
	if s.bad || !ok || len(rest) < 2 || rest[len(rest)-1] != ')' {
		s.bad = true
		return
	}
	packets, _ := parseUint(n)
	size, _ := parseUint(rest[:len(rest)-1])
	e.Packets += packets
	e.Bytes += size
}
