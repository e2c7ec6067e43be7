package fwlog

import "bytes"

// asaDenied reads what was refused on its way through.
func asaDenied(m mnemonic, e *Event) bool {
	s := scan{rest: m.text}
	ok := false
	switch string(m.name) {
	case "106001":
		ok = s.asaFromTo(e, protoTCP, "Inbound TCP connection denied from ", " to ")
	case "106006", "106007":
		ok = s.asaFromTo(e, protoUDP, "Deny inbound UDP from ", " to ")
	case "106015":
		ok = s.asaFromTo(e, protoTCP, "Deny TCP (no connection) from ", " to ")
	case "106012", "106016", "106017", "106020":
		s.tail = m.name[4] != '1' || m.name[5] == '7'
		ok = s.asaAddresses(e)
	case "106021", "106022":
		ok = s.asaSpoof(e)
	case "106002", "106018":
		ok = s.asaOutbound(e)
	case "106010", "106011", "106014", "106023", "305005", "305006", "305013":
		ok = s.asaSrcDst(m, e)
	case "313004", "313005", "313009":
		ok = s.asaDeniedICMP(m, e)
	case "110002", "110003", "338005", "338006", "338007", "338008", "410001", "419001", "434002", "201011":
		ok = s.asaDropped(m, e)
	case "402117":
		ok = s.asaNotIPsec(e)
	}
	if ok && e.Action == NoAction {
		e.Action = Deny
	}
	return ok
}

// asaFromTo reads ADDRESS/PORT to ADDRESS/PORT … on interface NAME.
func (s *scan) asaFromTo(e *Event, proto uint8, from, to string) bool {
	s.lit(from)
	src := s.asaEnd(false)
	s.lit(to)
	dst := s.asaEnd(false)
	if s.bad || len(s.rest) == 0 {
		return false
	}
	e.setProto(proto)
	e.between(src, dst)
	s.asaOn(e)
	return true
}

// asaOn reads the interface on which a packet came, where it is named.
func (s *scan) asaOn(e *Event) {
	at := *s
	if s.past(" on interface "); !s.bad {
		e.In = bytes.TrimRight(s.upto(" ,:"), ".")
	} else {
		*s = at
	}
}

// asaAddresses reads … from (ADDRESS) to ADDRESS: packets of which no port is
// told.
func (s *scan) asaAddresses(e *Event) bool {
	s.past(" from ")
	src, ok := s.group()
	if !ok {
		src = s.upto(" ")
	}
	s.lit(" to ")
	dst := s.upto(" ,")
	if s.bad || len(s.rest) == 0 && !s.tail {
		return false
	}
	dst = bytes.TrimRight(dst, ".")
	var also bool
	e.Src, ok = parseAddr(src)
	e.Dst, also = parseAddr(dst)
	s.asaOn(e)
	return ok && also
}

// asaSpoof reads Deny PROTO reverse path check|connection spoof from A to B
// on interface NAME.
func (s *scan) asaSpoof(e *Event) bool {
	s.lit("Deny ")
	proto, ok := parseProto(s.asaProto())
	if ok {
		e.setProto(proto)
	}
	if !s.asaAddresses(e) || len(s.rest) == 0 && len(e.In) == 0 {
		return false
	}
	return true
}

// asaProto is a protocol's name, or "protocol" and its number.
func (s *scan) asaProto() []byte {
	s.maybe("protocol ")
	return s.word()
}

// asaOutbound reads the two messages of the old outbound lists.
func (s *scan) asaOutbound(e *Event) bool {
	s.past("denied by outbound list ")
	rule := s.word()
	s.lit(" src ")
	src := s.asaEnd(false)
	s.lit(" dest ")
	dst := bytes.TrimRight(s.rest, ".")
	var ok bool
	e.between(src, endpoint{})
	e.Dst, ok = parseAddr(dst)
	e.Rule = rule
	return ok && !s.bad
}

// asaSrcDst reads … PROTO src IFC:ADDRESS/PORT dst IFC:ADDRESS/PORT …
func (s *scan) asaSrcDst(m mnemonic, e *Event) bool {
	before := s.past(" src ")
	src := s.asaEnd(true)
	s.asaGroups()
	s.lit(" dst ")
	proto, ok := parseProto(lastWord(before))
	s.tail = !isICMP(proto) && asaEndsThere(m)
	dst := s.asaEnd(true)
	if s.bad || !ok || len(s.rest) == 0 && portful(proto) && !dst.has {
		return false
	}
	e.setProto(proto)
	e.between(src, dst)
	if isICMP(proto) {
		s.asaTypeCode(e, "type ", ", code ")
	}
	s.asaGroup(e)
	return true
}

// asaEndsThere are messages of which nothing may follow the destination.
func asaEndsThere(m mnemonic) bool {
	switch string(m.name) {
	case "106010", "106011", "305005", "305006", "110002", "110003", "434002":
		return true
	}
	return false
}

// asaGroup reads by access-group "NAME".
func (s *scan) asaGroup(e *Event) {
	at := *s
	s.past(`by access-group "`)
	if name := s.past(`"`); !s.bad {
		e.Rule = name
		return
	}
	*s = at
}

// asaDeniedICMP reads the refusals of ICMP that name both ends.
func (s *scan) asaDeniedICMP(m mnemonic, e *Event) bool {
	e.setProto(protoICMP)
	var src, dst endpoint
	switch string(m.name) {
	case "313004":
		s.past(" from ")
		s.maybe("laddr ")
		src = s.asaEnd(false)
		s.asaOn(e)
		in := e.In
		s.lit(" to ")
		if i := bytes.IndexByte(s.rest, ':'); i > 0 && hasPrefix(s.rest[i:], ": no") || hasPrefix(s.rest[max(i, 0):], ":no") {
			dst.addr, _ = parseAddr(s.rest[:i])
		}
		src.ifc = in
	case "313005":
		s.past("icmp src ")
		src = s.asaEnd(true)
		s.asaGroups()
		s.lit(" dst ")
		dst = s.asaEnd(true)
		s.asaTypeCode(e, "type ", ", code ")
	case "313009":
		s.past(" for ")
		src = s.asaEnd(true)
		s.asaMapped()
		s.lit(" to ")
		dst = s.asaEnd(true)
	}
	if s.bad || len(s.rest) == 0 {
		return false
	}
	e.between(src, dst)
	return true
}

// asaDropped reads … PROTO … from|for IFC:ADDRESS/PORT (…) to IFC:ADDRESS/PORT.
func (s *scan) asaDropped(m mnemonic, e *Event) bool {
	before := s.past(" from ")
	named := string(m.name) != "201011"
	if named {
		s.maybe("src ")
	}
	src := s.asaEnd(named)
	s.asaMapped()
	s.asaGroups()
	s.lit(" to ")
	if s.tail = asaEndsThere(m); s.tail && m.name[0] == '1' { // no way out was found
		named = false
	}
	dst := s.asaEnd(named)
	if s.bad {
		return false
	}
	w := words{rest: before}
	for b := w.next(); b != nil; b = w.next() {
		if proto, ok := parseProto(b); ok && !digit(b[0]) {
			e.setProto(proto)
			break
		}
	}
	e.between(src, dst)
	s.asaOn(e)
	return e.HasProto || e.HasPorts
}

// asaNotIPsec reads IPSEC: Received a non-IPSec packet (protocol= P) from A to B.
func (s *scan) asaNotIPsec(e *Event) bool {
	s.tail = true
	s.past("non-IP")
	s.past("(protocol=")
	proto, ok := parseProto(trim(s.past(")")))
	if ok {
		e.setProto(proto)
	}
	return s.asaAddresses(e)
}

// asaToBox reads what was addressed to the device itself.
func asaToBox(m mnemonic, e *Event) bool {
	s := scan{rest: m.text}
	switch string(m.name) {
	case "710001", "710002", "710003", "710004", "710005", "710006":
		proto, ok := parseProto(s.word())
		s.past(" from ")
		src := s.asaEnd(false)
		s.lit(" to ")
		s.tail = true
		dst := s.asaEnd(true)
		if s.bad || !ok {
			return false
		}
		e.setProto(proto)
		e.between(src, dst)
		e.In, e.Out = dst.ifc, nil
		e.Action = asaBoxAction(m.name[5])
		return true
	case "500004":
		s.past("protocol=")
		proto, ok := parseProto(s.past(", "))
		if s.maybe("from "); !ok {
			return false
		}
		src := s.asaEnd(false)
		s.lit(" to ")
		s.tail = true
		dst := s.asaEnd(false)
		e.setProto(proto)
		e.between(src, dst)
		return !s.bad
	case "419002":
		s.past("uplicate TCP SYN from ")
		src := s.asaEnd(true)
		s.lit(" to ")
		dst := s.asaEnd(true)
		e.setProto(protoTCP)
		e.between(src, dst)
		return !s.bad && len(s.rest) > 0
	}
	return false
}

// asaBoxAction is what 71000x says: 1 that access was asked for.
func asaBoxAction(c byte) Action {
	switch c {
	case '1':
		return NoAction
	case '2':
		return Permit
	}
	return Deny
}
