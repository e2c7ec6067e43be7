package negotiate

import (
	"bytes"
	"encoding/binary"
	"net/netip"
	"strconv"
	"strings"
	"time"
)

const (
	tftpHold = time.Minute
	dccHold  = 5 * time.Minute
	greHold  = 24 * time.Hour
	turnHold = 10 * time.Minute // RFC 8656 section 3.2: an allocation's life unless refreshed
	tnsHold  = time.Minute
)

// tftp reads a request: RFC 1350. The server answers from a port that it
// chooses to the one that the request came from.
func (x *exchange) tftp(b []byte) {
	if x.fromServer || len(b) < 6 || b[0] != 0 || b[1] != 1 && b[1] != 2 {
		return
	}
	file, rest, ok := bytes.Cut(b[2:], []byte{0})
	mode, _, ended := bytes.Cut(rest, []byte{0})
	if !ok || !ended || len(file) == 0 {
		return
	}
	detail := map[byte]string{1: "read", 2: "write"}[b[1]]
	switch strings.ToLower(string(mode)) {
	case "octet", "netascii", "mail":
		x.agree(protoUDP, x.client, x.server.Addr, Agreement{Name: "tftp-data", ControlProto: "tftp", Detail: detail}, tftpHold)
	}
}

// ircLine reads an offer of a direct connection: CTCP "DCC SEND name address
// port size", "DCC CHAT chat address port".
func (x *exchange) ircLine(line string) {
	_, offer, ok := strings.Cut(line, "\x01DCC ")
	offer, _, ended := strings.Cut(offer, "\x01")
	if !ok || !ended || !strings.Contains(line, "PRIVMSG ") {
		return
	}
	verb, rest, _ := strings.Cut(offer, " ")
	switch strings.ToUpper(verb) {
	case "SEND", "TSEND", "SSEND", "CHAT", "SCHAT":
	default:
		return
	}
	f := strings.Fields(afterName(rest))
	if len(f) < 2 {
		return
	}
	addr, ok := dccAddr(f[0])
	port, free := parsePort(f[1])
	if ok && free && port >= firstFree {
		x.dcc(addr, port, strings.ToLower(verb))
	}
}

// afterName passes over a file's name, which is quoted when it has spaces.
func afterName(s string) string {
	if strings.HasPrefix(s, `"`) {
		_, s, _ = strings.Cut(s[1:], `"`)
		return s
	}
	_, s, _ = strings.Cut(s, " ")
	return s
}

// dccAddr reads an IPv4 address as one decimal number, or any as text.
func dccAddr(text string) ([16]byte, bool) {
	n, err := strconv.ParseUint(text, 10, 32)
	if err != nil {
		return parseAddr(text)
	}
	a := netip.AddrFrom4([4]byte(binary.BigEndian.AppendUint32(nil, uint32(n)))).As16()
	return a, ordinary(a)
}

// dcc notes an offer: on its way to who is to take it, it is his; on its way
// to the IRC server, it is anyone's, at the address of who makes it. It
// outlives the control connection.
func (x *exchange) dcc(addr [16]byte, port uint16, detail string) {
	x.life = nil
	a := Agreement{Name: "irc-dcc", ControlProto: "irc", Detail: detail}
	if x.fromServer {
		x.agree(protoTCP, Endpoint{addr, port}, x.client.Addr, a, dccHold)
		return
	}
	x.agree(protoTCP, Endpoint{x.client.Addr, port}, anyone, a, dccHold)
}

// pptp reads a control message: RFC 2637. An outgoing or incoming call that
// was accepted begins a GRE tunnel between both.
func (x *exchange) pptp(b []byte) int {
	const head, cookie = 12, 0x1a2b3c4d
	if len(b) < head {
		return 0
	}
	n := int(binary.BigEndian.Uint16(b))
	if n < head || n > maxMessage || binary.BigEndian.Uint32(b[4:]) != cookie {
		return 1
	}
	if len(b) < n {
		return 0
	}
	const outgoingReply, incomingConnected = 8, 11
	kind := binary.BigEndian.Uint16(b[8:])
	if kind == outgoingReply && n > 16 && b[16] == 1 || kind == incomingConnected {
		x.agree(protoGRE, Endpoint{Addr: x.server.Addr}, x.client.Addr, Agreement{Name: "pptp-gre", ControlProto: "pptp"}, greHold)
	}
	return n
}

// STUN: RFC 8489 section 5; TURN: RFC 8656 sections 12 and 18.
const (
	stunHead        = 20
	stunCookie      = 0x2112a442
	allocateRequest = 0x0003
	allocateSuccess = 0x0103
	relayedAddress  = 0x0016
)

// stunStream reads STUN messages and TURN channel data over TCP.
func (x *exchange) stunStream(b []byte) int {
	if len(b) < 8 {
		return 0
	}
	n := int(binary.BigEndian.Uint16(b[2:]))
	if b[0]>>6 == 1 {
		return 4 + (n+3)&^3
	}
	switch {
	case b[0]>>6 != 0 || n&3 != 0 || binary.BigEndian.Uint32(b[4:]) != stunCookie:
		return 1
	case n > maxMessage-stunHead:
		return stunHead + n
	case len(b) < stunHead+n:
		return 0
	}
	x.stun(b[:stunHead+n])
	return stunHead + n
}

// stun reads the allocation of a relayed address. One at another host than
// the server is not believed: nothing ties that host to it.
func (x *exchange) stun(b []byte) {
	if len(b) < stunHead || binary.BigEndian.Uint32(b[4:]) != stunCookie {
		return
	}
	id := b[8:stunHead]
	switch kind := binary.BigEndian.Uint16(b); {
	case kind == allocateRequest && !x.fromServer:
		x.w.asked.add(x.askedKey(turn, id), question{transport: stunTransport(b)})
	case kind == allocateSuccess && x.fromServer:
		q, ok := x.w.asked.answered(x.askedKey(turn, id))
		at, found := relayed(b)
		if ok && found && at.Addr == x.server.Addr && at.Port >= firstFree {
			x.agree(uint8(q.transport), at, anyone, Agreement{Name: "turn-relay", ControlProto: "turn"}, turnHold)
		}
	}
}

// stunAttribute finds an attribute's value.
func stunAttribute(b []byte, kind uint16) []byte {
	c := cursor{b: b[stunHead:]}
	for !c.bad && len(c.b) >= 4 {
		k, n := c.u16(), c.u16()
		v := c.take(int(n))
		if k == kind && !c.bad {
			return v
		}
		c.take(int(-n & 3))
	}
	return nil
}

// stunTransport is the transport that an allocation is asked for.
func stunTransport(b []byte) uint32 {
	const requestedTransport = 0x0019
	if v := stunAttribute(b, requestedTransport); len(v) == 4 && v[0] == protoTCP {
		return protoTCP
	}
	return protoUDP
}

// relayed reads the XOR-RELAYED-ADDRESS: RFC 8489 section 14.2.
func relayed(b []byte) (at Endpoint, ok bool) {
	v := stunAttribute(b, relayedAddress)
	if len(v) != 8 && len(v) != 20 || (v[1] == 1) != (len(v) == 8) {
		return at, false
	}
	at.Port = binary.BigEndian.Uint16(v[2:]) ^ stunCookie>>16
	raw := bytes.Clone(v[4:])
	for i := range raw {
		raw[i] ^= b[4+i]
	}
	addr, _ := netip.AddrFromSlice(raw)
	at.Addr = addr.As16()
	return at, ordinary(at.Addr)
}

// mapping reads NAT-PMP (RFC 6886) and PCP (RFC 6887): a port of the client
// that a gateway opens. That is for everyone, at the client's own address.
func (x *exchange) mapping(b []byte) {
	if len(b) < 2 {
		return
	}
	switch b[0] {
	case 0:
		x.natpmp(b)
	case 2:
		x.pcp(b)
	}
}

func (x *exchange) natpmp(b []byte) {
	op, n := b[1]&0x7f, 12
	if x.fromServer {
		n = 16
	}
	if op != 1 && op != 2 || len(b) < n {
		return
	}
	if !x.fromServer {
		x.w.asked.add(x.askedKey(natpmp, []byte{0, op, b[4], b[5]}), question{})
		return
	}
	_, ok := x.w.asked.answered(x.askedKey(natpmp, []byte{0, op, b[8], b[9]}))
	if ok && b[1]&0x80 != 0 && binary.BigEndian.Uint16(b[2:]) == 0 {
		proto := map[byte]uint8{1: protoUDP, 2: protoTCP}[op]
		x.opened("nat-pmp", proto, binary.BigEndian.Uint16(b[8:]), binary.BigEndian.Uint32(b[12:]))
	}
}

func (x *exchange) pcp(b []byte) {
	const opMap, size = 1, 60
	if len(b) < size || b[1]&0x7f != opMap {
		return
	}
	id := b[24:36] // the nonce
	if !x.fromServer {
		x.w.asked.add(x.askedKey(natpmp, id), question{})
		return
	}
	if _, ok := x.w.asked.answered(x.askedKey(natpmp, id)); ok && b[1]&0x80 != 0 && b[3] == 0 {
		x.opened("pcp", b[36], binary.BigEndian.Uint16(b[40:]), binary.BigEndian.Uint32(b[4:]))
	}
}

func (x *exchange) opened(by string, proto uint8, port uint16, seconds uint32) {
	const longest = 24 * 3600
	if port < firstFree || seconds == 0 || proto != protoTCP && proto != protoUDP {
		return
	}
	hold := time.Duration(min(seconds, longest)) * time.Second
	x.agree(proto, Endpoint{x.client.Addr, port}, anyone, Agreement{Name: "nat-mapping", ControlProto: by}, hold)
}

// tns reads Oracle's packets until a connection is accepted: a redirect names
// another endpoint of the server's side.
func (x *exchange) tns(b []byte) int {
	const head, accept, redirect, data, last = 8, 2, 5, 6, 19
	if len(b) < head {
		return 0
	}
	n, kind := int(binary.BigEndian.Uint16(b)), b[4]
	switch {
	case n < head || kind == 0 || kind > last || kind == accept:
		x.conn.deaf = true
		return len(b)
	case n > maxMessage:
		return n
	case len(b) < n:
		return 0
	}
	if x.fromServer && (kind == redirect || kind == data) {
		x.tnsAddress(string(b[head:n]))
	}
	return n
}

// tnsAddress reads "(ADDRESS=(PROTOCOL=tcp)(HOST=…)(PORT=…))".
func (x *exchange) tnsAddress(text string) {
	_, text, ok := strings.Cut(strings.ToUpper(text), "(ADDRESS=")
	if !ok || !strings.Contains(text, "(PROTOCOL=TCP)") {
		return
	}
	port, ok := parsePort(value(text, "(PORT="))
	if !ok {
		return
	}
	host, known := parseAddr(value(text, "(HOST="))
	if !known {
		host = x.server.Addr
	}
	x.life = nil
	x.told(protoTCP, host, port, Agreement{Name: "oracle-tns", ControlProto: "oracle-tns", Detail: "redirect"}, tnsHold)
}

func value(text, key string) string {
	_, text, _ = strings.Cut(text, key)
	text, _, _ = strings.Cut(text, ")")
	return strings.TrimSpace(text)
}
