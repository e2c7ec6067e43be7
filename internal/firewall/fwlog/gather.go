package fwlog

import (
	"bytes"
	"net/netip"
)

// field is what a key of a key=value dialect means to an Event.
type field uint8

// Fields. Counts (packets, bytes) are added up: many products tell one for
// each direction.
const (
	fNone field = iota
	fSrc
	fDst
	fSrcEnd // address and port in one
	fDstEnd
	fSrcPort
	fDstPort
	fProto
	fICMPType
	fICMPCode
	fNATSrc
	fNATDst
	fNATSrcPort
	fNATDstPort
	fIn
	fOut
	fRule
	fAction
	fPackets
	fBytes
	fDate
	fTime
	fZone
	fEpoch
)

// gather collects an Event from the fields of a line. Logs are cut short on
// their way (datagrams, buffers, full disks), so the value that ends where the
// line ends is open: "10.1.2.3" may be what is left of "10.1.2.34". An open
// address, port or protocol is none, unless the dialect's lines end with it.
type gather struct {
	e    *Event
	tail field // with which whole lines of the dialect may end
	sep  byte  // between address and port
	act  func([]byte) Action

	seen        uint32 // bits by field
	bad         bool   // an address or port that is none, or two of them
	date, clock []byte
	zone        []byte
	epoch       []byte
}

func (g *gather) has(f field) bool { return g.seen&(1<<f) != 0 }

// pairs takes all key=value fields of b.
func (g *gather) pairs(b []byte, sep byte, key func([]byte) field) {
	s := pairs{rest: b, sep: sep}
	closed := len(b) > 0 && b[len(b)-1] == '"'
	for {
		k, v, ok := s.next()
		if !ok || len(v) > 0 && v[0] == '"' { // a quoted text that does not end
			return
		}
		if f := key(k); f != fNone && v != nil {
			g.set(f, v, len(s.rest) == 0 && !closed)
		}
	}
}

// set takes the value of a field; open as in gather's comment.
func (g *gather) set(f field, v []byte, open bool) {
	if open && f != g.tail && f < fAction && f != fICMPCode && (f != fProto || len(v) == 0 || !letter(v[0])) {
		g.bad = g.bad || f <= fProto
		return
	}
	if len(v) == 0 {
		return
	}
	g.fill(f, v)
	g.seen |= 1 << f
}

func (g *gather) fill(f field, v []byte) {
	switch f {
	case fSrc:
		g.addr(&g.e.Src, v)
	case fDst:
		g.addr(&g.e.Dst, v)
	case fSrcEnd:
		g.end(&g.e.Src, &g.e.SrcPort, fSrcPort, v)
	case fDstEnd:
		g.end(&g.e.Dst, &g.e.DstPort, fDstPort, v)
	case fSrcPort, fDstPort, fNATSrcPort, fNATDstPort:
		g.port(f, v)
	case fNATSrc:
		g.nat(&g.e.NATSrc, v)
	case fNATDst:
		g.nat(&g.e.NATDst, v)
	default:
		g.other(f, v)
	}
}

func (g *gather) other(f field, v []byte) {
	switch f {
	case fProto:
		g.proto(v)
	case fAction:
		if a := g.act(v); a != NoAction {
			g.e.Action = a
		}
	case fIn:
		g.e.In = v
	case fOut:
		g.e.Out = v
	case fRule:
		g.e.Rule = v
	case fPackets, fBytes:
		g.count(f, v)
	case fICMPType, fICMPCode:
		g.icmp(f, v)
	case fDate:
		g.date = v
	case fTime:
		g.clock = v
	case fZone:
		g.zone = v
	case fEpoch:
		g.epoch = v
	}
}

// addr takes an address; another one under the same key spoils the line.
func (g *gather) addr(to *netip.Addr, v []byte) {
	a, ok := parseAddr(v)
	if !ok || to.IsValid() && *to != a {
		g.bad = true
		return
	}
	*to = a
}

func (g *gather) nat(to *netip.Addr, v []byte) {
	if a, ok := parseAddr(v); ok {
		*to = a
	}
}

func (g *gather) end(to *netip.Addr, port *uint16, f field, v []byte) {
	a, n, has, ok := parseEndpoint(v, g.sep)
	if !ok || to.IsValid() && *to != a {
		g.bad = true
		return
	}
	*to = a
	if has {
		*port = n
		g.seen |= 1 << f
	}
}

func (g *gather) port(f field, v []byte) {
	n, ok := parsePort(v)
	e := g.e
	to := &e.SrcPort
	switch f {
	case fDstPort:
		to = &e.DstPort
	case fNATSrcPort:
		to = &e.NATSrcPort
	case fNATDstPort:
		to = &e.NATDstPort
	}
	if !ok || g.has(f) && *to != n {
		g.bad = g.bad || f == fSrcPort || f == fDstPort
		return
	}
	*to = n
}

func (g *gather) proto(v []byte) {
	n, ok := parseProto(v)
	if ok && g.e.HasProto && g.e.Proto != n {
		g.bad = true
	}
	if ok {
		g.e.setProto(n)
	}
}

func (g *gather) icmp(f field, v []byte) {
	n, ok := parseByte(v)
	switch {
	case !ok:
	case f == fICMPType:
		g.e.ICMPType, g.e.HasICMP = n, true
	default:
		g.e.ICMPCode = n
	}
}

func (g *gather) count(f field, v []byte) {
	n, ok := parseUint(v)
	if !ok {
		return
	}
	if f == fPackets {
		g.e.Packets += n
	} else {
		g.e.Bytes += n
	}
}

// done checks what was gathered: both addresses, a protocol and the ports
// that belong to it.
func (g *gather) done() bool { return g.e.HasProto && g.anyProto() }

// anyProto is done for products that do not always tell the protocol.
func (g *gather) anyProto() bool { return g.checked(g.has(fSrcPort) && g.has(fDstPort)) }

// doneTo is anyProto for products that may leave the source port out.
func (g *gather) doneTo() bool { return g.checked(g.has(fDstPort)) }

func (g *gather) checked(ports bool) bool {
	e := g.e
	if g.bad || !e.Src.IsValid() || !e.Dst.IsValid() {
		return false
	}
	if !e.HasProto && !ports {
		return false
	}
	e.family()
	g.settle(ports)
	return !e.HasProto || !portful(e.Proto) || e.HasPorts
}

// settle drops what the protocol does not have.
func (g *gather) settle(ports bool) {
	e := g.e
	e.HasPorts = ports && (!e.HasProto || portful(e.Proto))
	if !e.HasPorts {
		e.SrcPort, e.DstPort, e.NATSrcPort, e.NATDstPort = 0, 0, 0, 0
	}
	if !isICMP(e.Proto) || !e.HasProto {
		e.HasICMP, e.ICMPType, e.ICMPCode = false, 0, 0
	}
	untranslated(&e.NATSrc, &e.NATSrcPort, e.Src, e.SrcPort)
	untranslated(&e.NATDst, &e.NATDstPort, e.Dst, e.DstPort)
}

// untranslated clears a translation into the same or into nothing.
func untranslated(nat *netip.Addr, natPort *uint16, real netip.Addr, port uint16) {
	if !nat.IsValid() || *nat == real || nat.IsUnspecified() {
		if *natPort == port {
			*natPort = 0
		}
		if *natPort == 0 || *nat != real {
			*nat = netip.Addr{}
		}
	}
}

// portful tells whether a protocol has ports.
func portful(proto uint8) bool {
	switch proto {
	case protoTCP, protoUDP, protoSCTP, protoDCCP, protoUDPLite:
		return true
	}
	return false
}

func isICMP(proto uint8) bool { return proto == protoICMP || proto == protoICMPv6 }

// when puts date, time and zone together: with a zone they are certain; else
// what counts from 1970 is better. 0 if nothing is told.
func (g *gather) when(p *Parser) int64 {
	if len(g.date) > 0 && len(g.clock) > 0 && len(g.zone) > 0 {
		if when := p.joined(g.date, g.clock, g.zone); when != 0 {
			return when
		}
	}
	if when, ok := parseEpoch(g.epoch); ok {
		return when
	}
	return p.joined(g.date, g.clock, nil)
}

// joined reads a time from its parts; without a date the other is all of it.
func (p *Parser) joined(date, clock, zone []byte) int64 {
	if len(date)+len(clock)+len(zone)+2 > len(p.parts) {
		return 0
	}
	b := append(p.parts[:0], date...)
	for _, part := range [...][]byte{clock, zone} {
		if len(b) > 0 && len(part) > 0 {
			b = append(b, ' ')
		}
		b = append(b, part...)
	}
	when, _ := p.parseStamp(b)
	return when
}

// sure chooses between a time of a line that names no zone and the envelope's:
// where they are hours apart the zone is what is between them.
func sure(inner, envelope int64) int64 {
	const day = 16 * 3600 * 1e9
	if envelope != 0 && (inner == 0 || distant(inner, envelope) && inner-envelope < day && envelope-inner < day) {
		return envelope
	}
	return inner
}

// within gives what stands behind the first mark in b, at the start or behind
// a byte that is no letter or digit.
func within(b []byte, mark string) ([]byte, bool) {
	for from := 0; from < len(b); {
		i := bytes.Index(b[from:], []byte(mark))
		if i < 0 {
			return nil, false
		}
		i += from
		if i == 0 || !letter(b[i-1]) && !digit(b[i-1]) {
			return b[i+len(mark):], true
		}
		from = i + 1
	}
	return nil, false
}
