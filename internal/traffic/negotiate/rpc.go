package negotiate

import (
	"encoding/binary"
	"fmt"
	"strings"
	"time"

	"github.com/portreeve/portreeve/internal/traffic/wire"
)

const (
	// rpcHold is how long a registered port is taken for the program's: until
	// the service starts again it keeps it.
	rpcHold = 12 * time.Hour
	// rpcbindProgram is the portmapper's own number and port.
	rpcbindProgram = 100000
	rpcbindPort    = 111
	// maxListed is how many lines of a list are read.
	maxListed = 512
)

// rpcRecord reads a record of ONC RPC over TCP: RFC 5531 section 11.
func (x *exchange) rpcRecord(b []byte) int {
	const head = 12 // record mark, transaction, message type
	if len(b) < head {
		return 0
	}
	if kind := binary.BigEndian.Uint32(b[8:]); kind > 1 || binary.BigEndian.Uint32(b)&0x7fffffff < 8 {
		return 1
	}
	var whole []byte
	for at := 0; ; {
		if len(b) < at+4 {
			return 0
		}
		mark := binary.BigEndian.Uint32(b[at:])
		n := int(mark & 0x7fffffff)
		if n > maxMessage-at {
			return at + 4 + min(n, 1<<24)
		}
		if len(b) < at+4+n {
			return 0
		}
		whole = append(whole, b[at+4:at+4+n]...)
		if at += 4 + n; mark>>31 == 1 {
			x.rpc(whole)
			return at
		}
	}
}

// rpc reads a call or a reply: RFC 5531 section 9.
func (x *exchange) rpc(b []byte) {
	c := cursor{b: b}
	id := c.take(4)
	kind := c.u32()
	switch {
	case c.bad:
	case kind == 0 && !x.fromServer:
		x.rpcCall(id, c)
	case kind == 1 && x.fromServer:
		x.rpcReply(id, c)
	}
}

func (x *exchange) rpcCall(id []byte, c cursor) {
	version, program := c.u32(), c.u32()
	q := question{version: c.u32(), procedure: c.u32()}
	for range 2 { // credential, verifier
		c.u32()
		c.opaque()
	}
	if c.bad || version != 2 || program != rpcbindProgram {
		return
	}
	// The version asked of rpcbind decides the reply's form.
	q.call = rpcbindCall(q.version, q.procedure)
	if q.call == "" {
		return
	}
	if q.call != callDump && q.call != callDump2 {
		q.program, q.version = c.u32(), c.u32()
		q.transport = rpcTransport(q.call, &c, x.proto)
	}
	if !c.bad {
		x.w.asked.add(x.askedKey(rpcbind, id), q)
	}
}

// rpcTransport is the transport that a call asks about; 0 when it is none
// that is known.
func rpcTransport(call string, c *cursor, over uint8) uint32 {
	switch call {
	case callGetPort:
		return c.u32()
	case callGetAddr, callList:
		netid := string(c.opaque())
		if netid == "" {
			return uint32(over)
		}
		return uint32(netidProto(netid))
	}
	return protoUDP // calls through rpcbind go to the program's UDP port
}

// The forms of replies: RFC 1833 sections 2.1 and 3.
const (
	callGetPort  = "getport"
	callDump2    = "dump2"
	callIt2      = "callit2"
	callGetAddr  = "getaddr"
	callDump     = "dump"
	callIndirect = "indirect"
	callList     = "getaddrlist"
)

func rpcbindCall(version, procedure uint32) string {
	type call struct{ version, procedure uint32 }
	return map[call]string{
		{2, 3}: callGetPort, {2, 4}: callDump2, {2, 5}: callIt2,
		{3, 3}: callGetAddr, {3, 4}: callDump, {3, 5}: callIndirect,
		{4, 3}: callGetAddr, {4, 4}: callDump, {4, 5}: callIndirect,
		{4, 9}: callGetAddr, {4, 10}: callIndirect, {4, 11}: callList,
	}[call{version, procedure}]
}

func (x *exchange) rpcReply(id []byte, c cursor) {
	q, ok := x.w.asked.answered(x.askedKey(rpcbind, id))
	if !ok || c.u32() != 0 { // accepted
		return
	}
	c.u32()
	c.opaque()
	if c.u32() != 0 || c.bad { // success
		return
	}
	switch q.call {
	case callGetPort, callIt2:
		x.rpcPort(q, c.u32())
	case callGetAddr, callIndirect:
		x.rpcAddr(q, string(c.opaque()))
	case callDump2:
		x.rpcDump2(c)
	case callDump:
		x.rpcDump(c)
	case callList:
		x.rpcList(q, c)
	}
}

func (x *exchange) rpcDump2(c cursor) {
	for range maxListed {
		if c.u32() != 1 {
			return
		}
		q := question{program: c.u32(), version: c.u32(), transport: c.u32()}
		if port := c.u32(); !c.bad {
			x.rpcPort(q, port)
		}
	}
}

func (x *exchange) rpcDump(c cursor) {
	for range maxListed {
		if c.u32() != 1 {
			return
		}
		q := question{program: c.u32(), version: c.u32(), transport: uint32(netidProto(string(c.opaque())))}
		addr := string(c.opaque())
		c.opaque() // owner
		if !c.bad {
			x.rpcAddr(q, addr)
		}
	}
}

func (x *exchange) rpcList(q question, c cursor) {
	for range maxListed {
		if c.u32() != 1 {
			return
		}
		addr, netid := string(c.opaque()), string(c.opaque())
		c.u32()    // semantics
		c.opaque() // protocol family
		c.opaque() // protocol
		if !c.bad {
			q.transport = uint32(netidProto(netid))
			x.rpcAddr(q, addr)
		}
	}
}

// rpcPort notes where a program listens at the server.
func (x *exchange) rpcPort(q question, port uint32) {
	if port == 0 || port > 0xffff || port == rpcbindPort || q.transport != protoTCP && q.transport != protoUDP {
		return
	}
	x.agreeRPC(q, Endpoint{x.server.Addr, uint16(port)}, anyone)
}

func (x *exchange) agreeRPC(q question, at Endpoint, peer [16]byte) {
	name := x.w.tables.programs[q.program]
	if name == "" {
		name = "onc-rpc"
	}
	x.life = nil
	x.agree(uint8(q.transport), at, peer, Agreement{
		Name: name, ControlProto: "rpcbind", Detail: fmt.Sprintf("program %d version %d", q.program, q.version),
	}, rpcHold)
}

// rpcAddr notes where a program listens, as a universal address tells:
// "h1.h2.h3.h4.p1.p2", RFC 5665 section 5.2.3. The port counts for the
// server's own address, and for another that it names (of several it has) for
// who asked. What listens on its loopback is nobody else's.
func (x *exchange) rpcAddr(q question, text string) {
	host, port, ok := universal(text)
	if !ok {
		return
	}
	addr, known := parseAddr(host)
	if known && addr != x.server.Addr && wire.Addr(addr).IsLoopback() {
		return
	}
	x.rpcPort(q, uint32(port))
	if known && addr != x.server.Addr && port >= firstFree && (q.transport == protoTCP || q.transport == protoUDP) {
		x.agreeRPC(q, Endpoint{addr, port}, x.client.Addr)
	}
}

func universal(text string) (host string, port uint16, ok bool) {
	low := strings.LastIndexByte(text, '.')
	if low < 0 {
		return "", 0, false
	}
	high := strings.LastIndexByte(text[:low], '.')
	if high < 0 {
		return "", 0, false
	}
	b, ok := numbers(text[high+1:low] + "," + text[low+1:])
	if !ok || len(b) != 2 {
		return "", 0, false
	}
	return text[:high], uint16(b[0])<<8 | uint16(b[1]), true
}

// netidProto is the transport of a network identifier: RFC 5665 section 5.1.
func netidProto(netid string) uint8 {
	switch netid {
	case "tcp", "tcp6":
		return protoTCP
	case "udp", "udp6":
		return protoUDP
	}
	return 0
}
