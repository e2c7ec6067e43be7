package fwlog

import (
	"bytes"
	"net/netip"
)

// mnemonic is what stands between % and : in a line of a Cisco device:
// %ASA-session-6-106100, %SEC-6-IPACCESSLOGP, %ACL-IPV4_ACL-6-IPACCESSLOGP.
type mnemonic struct {
	facility []byte // ASA, SEC, ACL-IPV4_ACL
	name     []byte // 106100, IPACCESSLOGP
	text     []byte // what is behind the colon
	before   []byte // what is before the %
}

// cisco finds the mnemonic of a line: the first that has a severity.
func cisco(b []byte) (m mnemonic, ok bool) {
	for from := 0; from < len(b); {
		i := bytes.IndexByte(b[from:], '%')
		if i < 0 {
			return m, false
		}
		from += i + 1
		if m, ok = ciscoAt(b[from:]); ok {
			m.before = b[:from-1]
			return m, true
		}
	}
	return m, false
}

func ciscoAt(b []byte) (m mnemonic, ok bool) {
	n := 0
	for n < len(b) && (letter(b[n]) || digit(b[n]) || b[n] == '-' || b[n] == '_') {
		n++
	}
	word := b[:n]
	name := bytes.LastIndexByte(word, '-')
	if name < 3 || word[name-2] != '-' || !digit(word[name-1]) || name+1 == n {
		return m, false
	}
	m.facility, m.name = word[:name-2], word[name+1:]
	rest := trimLeft(b[n:])
	if len(rest) > 0 && rest[0] == ':' {
		rest = rest[1:]
	}
	m.text = trimLeft(rest)
	return m, true
}

// scan goes through a text from left to right. After the first thing that is
// not there it finds nothing any more.
type scan struct {
	rest []byte
	bad  bool
	tail bool // whole lines may end with the next address
}

// lit passes exactly that text.
func (s *scan) lit(text string) bool {
	if s.bad || !hasPrefix(s.rest, text) {
		s.bad = true
		return false
	}
	s.rest = s.rest[len(text):]
	return true
}

// maybe passes the text if it is there.
func (s *scan) maybe(text string) bool {
	if s.bad || !hasPrefix(s.rest, text) {
		return false
	}
	s.rest = s.rest[len(text):]
	return true
}

// past gives what is before the first such text and passes both.
func (s *scan) past(text string) []byte {
	i := bytes.Index(s.rest, []byte(text))
	if s.bad || i < 0 {
		s.bad = true
		return nil
	}
	b := s.rest[:i]
	s.rest = s.rest[i+len(text):]
	return b
}

// word gives the next word.
func (s *scan) word() []byte {
	w := words{rest: s.rest}
	b := w.next()
	if s.bad || b == nil {
		s.bad = true
		return nil
	}
	s.rest = w.rest
	return b
}

// upto gives what is before the first of the bytes, which stays; all of the
// rest if there is none.
func (s *scan) upto(bytesOf string) []byte {
	n := bytes.IndexAny(s.rest, bytesOf)
	if n < 0 {
		n = len(s.rest)
	}
	b := s.rest[:n]
	s.rest = s.rest[n:]
	return b
}

func (s *scan) blanks() { s.rest = trimLeft(s.rest) }

// group passes one (…) and gives what is in it.
func (s *scan) group() ([]byte, bool) {
	if s.bad || len(s.rest) == 0 || s.rest[0] != '(' {
		return nil, false
	}
	i := bytes.IndexByte(s.rest, ')')
	if i < 0 {
		return nil, false
	}
	b := s.rest[1:i]
	s.rest = s.rest[i+1:]
	return b, true
}

// endpoint is one side of a connection as a line names it.
type endpoint struct {
	ifc  []byte
	addr netip.Addr
	port uint16
	has  bool // a port
}

// to puts two endpoints into e, the first as the initiator.
func (e *Event) between(src, dst endpoint) {
	e.Src, e.Dst, e.In, e.Out = src.addr, dst.addr, src.ifc, dst.ifc
	if src.has && dst.has {
		e.setPorts(src.port, dst.port)
	}
}

// whole tells whether e has all that its protocol needs.
func (e *Event) whole() bool {
	if !e.Src.IsValid() || !e.Dst.IsValid() {
		return false
	}
	e.family()
	if e.HasProto && !portful(e.Proto) {
		e.HasPorts, e.SrcPort, e.DstPort = false, 0, 0
		e.NATSrcPort, e.NATDstPort = 0, 0
	}
	return !e.HasProto || !portful(e.Proto) || e.HasPorts
}

// family: many products call ICMPv6 icmp.
func (e *Event) family() {
	if e.HasProto && e.Proto == protoICMP && e.Src.Is6() && !e.Src.Is4In6() {
		e.Proto = protoICMPv6
	}
}

// deviceTime reads the time that a device itself put before its message,
// behind the envelope's: "Feb  9 04:00:48 host 1234: *Feb  9 04:00:47.272: ".
// Without a zone it is believed only where it is close to the envelope's.
func (p *Parser) deviceTime(before []byte, envelope int64) int64 {
	b := bytes.TrimRight(before, " :")
	for i := max(0, len(b)-40); i+15 <= len(b); i++ {
		if i > 0 && b[i-1] != ' ' && b[i-1] != '*' && b[i-1] != ':' && b[i-1] != '.' {
			continue
		}
		when, size := p.stamp(b[i:])
		if size == 0 {
			continue
		}
		zone := trim(b[i+size:])
		if sure := p.inZone(when, zone); sure != 0 {
			return sure
		}
		if len(zone) > 5 || when == 0 || envelope != 0 && distant(when, envelope) {
			continue
		}
		return when
	}
	return envelope
}

// leadTime reads the time of headers that are nearly of a standard: a blank
// behind PRI, RFC 5424 without a zone.
func (p *Parser) leadTime(b []byte) int64 {
	b, _ = priority(b)
	b = trimLeft(bytes.TrimPrefix(b, []byte("1 ")))
	when, _ := p.stamp(b)
	return when
}

// distant tells whether two times are not the same moment seen by two
// machines, but by two zones.
func distant(a, b int64) bool {
	const most = 10 * 60 * 1e9
	return a-b > most || b-a > most
}
