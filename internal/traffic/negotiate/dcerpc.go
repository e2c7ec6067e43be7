package negotiate

import (
	"bytes"
	"encoding/binary"
	"net/netip"
	"strings"
	"time"
)

const (
	// epmHold is how long an endpoint that a mapper told is taken for the
	// interface's: until the service starts again it keeps it.
	epmHold = 12 * time.Hour
	// pduHead is the length of a PDU's common header, respHead of a
	// response's: DCE 1.1 (C706) section 12.6.
	pduHead  = 16
	respHead = 24
	response = 2
	lastPDU  = 19
	// maxTail is what is kept of a fragment, for what begins in it and ends in
	// the next: longer than any tower or string binding with a port.
	maxTail = 512
)

// dcerpc reads a connection-oriented PDU of the endpoint mapper or the OXID
// resolver. Only responses tell endpoints.
func (x *exchange) dcerpc(s *stream, b []byte) int {
	if len(b) < pduHead {
		return 0
	}
	var order binary.ByteOrder = binary.BigEndian
	if b[4]&0x10 != 0 {
		order = binary.LittleEndian
	}
	n := int(order.Uint16(b[8:]))
	switch {
	case b[0] != 5 || b[1] > 1 || b[2] > lastPDU || b[4]&0xee != 0 || n < pduHead:
		return 1
	case n > maxMessage:
		return n
	case len(b) < n:
		return 0
	}
	if x.fromServer && b[2] == response && n >= respHead {
		x.stub(s, order, b[:n])
	}
	return n
}

// stub looks through a response's data for protocol towers and string
// bindings, together with the end of the fragment before it. Towers and
// bindings are found by their own marks, so that it does not matter which
// call it was, nor whether the data are in NDR or NDR64.
func (x *exchange) stub(s *stream, order binary.ByteOrder, pdu []byte) {
	const first, last = 1, 2
	end := len(pdu)
	if auth := int(order.Uint16(pdu[10:])); auth > 0 {
		end = max(respHead, end-auth-8)
	}
	data := pdu[respHead:end]
	if pdu[3]&first == 0 && len(s.tail) > 0 {
		data = append(s.tail, data...)
	}
	x.towers(data)
	x.bindings(data)
	s.tail = nil
	if pdu[3]&last == 0 {
		s.tail = bytes.Clone(data[max(0, len(data)-maxTail):])
	}
}

// Floor protocols: C706 appendix I and L, [MS-RPCE] 2.1.
const (
	floorUUID = 0x0d
	floorNCAN = 0x0b
	floorNCDG = 0x0a
	floorTCP  = 0x07
	floorUDP  = 0x08
	floorIP   = 0x09
	floorHTTP = 0x1f
)

// tower is what a protocol tower says.
type tower struct {
	id    []byte // the interface's UUID, as on the wire
	proto uint8
	port  uint16
	addr  [16]byte
	known bool // addr is an address, not the wildcard
	http  bool
}

// towers finds protocol towers: five floors, of which the first two are UUIDs.
func (x *exchange) towers(data []byte) {
	mark := []byte{5, 0, 19, 0, floorUUID}
	for {
		at := bytes.Index(data, mark)
		if at < 0 {
			return
		}
		data = data[at+2:]
		if t, ok := readTower(data); ok {
			x.toldTower(t)
		}
	}
}

// readTower reads the five floors, whose lengths are little-endian and whose
// ports are big-endian whatever the PDU's order.
func readTower(b []byte) (t tower, ok bool) {
	var floors [5]struct{ left, right []byte }
	for i := range floors {
		if floors[i].left, b, ok = counted(b); !ok || len(floors[i].left) == 0 {
			return t, false
		}
		if floors[i].right, b, ok = counted(b); !ok {
			return t, false
		}
	}
	if len(floors[0].left) != 19 || len(floors[1].left) != 19 || floors[1].left[0] != floorUUID {
		return t, false
	}
	t.id = floors[0].left[1:17]
	carrier, transport, network := floors[2].left[0], floors[3], floors[4]
	if len(transport.right) != 2 || network.left[0] != floorIP || len(network.right) != 4 {
		return t, false
	}
	t.port = binary.BigEndian.Uint16(transport.right)
	addr := netip.AddrFrom4([4]byte(network.right))
	t.addr, t.known = addr.As16(), !addr.IsUnspecified()
	switch {
	case carrier == floorNCAN && transport.left[0] == floorTCP:
		t.proto = protoTCP
	case carrier == floorNCAN && transport.left[0] == floorHTTP:
		t.proto, t.http = protoTCP, true
	case carrier == floorNCDG && transport.left[0] == floorUDP:
		t.proto = protoUDP
	}
	return t, t.proto != 0 && t.port != 0
}

// counted takes what a 16-bit length is before.
func counted(b []byte) (field, rest []byte, ok bool) {
	if len(b) < 2 {
		return nil, nil, false
	}
	n := int(binary.LittleEndian.Uint16(b))
	if len(b) < 2+n {
		return nil, nil, false
	}
	return b[2 : 2+n], b[2+n:], true
}

// toldTower notes a tower's endpoint: for everyone at the server's own
// address, at another for who asked.
func (x *exchange) toldTower(t tower) {
	name := x.w.tables.interfaces[[16]byte(t.id)]
	if name == "" {
		name = "msrpc"
	}
	a := Agreement{Name: name, ControlProto: "msrpc", Detail: "interface " + formatUUID(t.id)}
	if t.http {
		a.Detail += " over http"
	}
	x.mapped(t.proto, t.port, t.addr, t.known, a)
}

// mapped notes an endpoint that an endpoint mapper or OXID resolver told.
// Several interfaces share one: the first that is known by name counts.
func (x *exchange) mapped(proto uint8, port uint16, addr [16]byte, known bool, a Agreement) {
	x.life = nil
	if own := (Endpoint{x.server.Addr, port}); !x.named(proto, own, anyone, a.Name) {
		x.agree(proto, own, anyone, a, epmHold)
	}
	if at := (Endpoint{addr, port}); known && addr != x.server.Addr && port >= firstFree && ordinary(addr) &&
		!x.named(proto, at, x.client.Addr, a.Name) {
		x.agree(proto, at, x.client.Addr, a, epmHold)
	}
}

// named reports an endpoint that already has a better name than this.
func (x *exchange) named(proto uint8, at Endpoint, peer [16]byte, name string) bool {
	old := x.w.expects.find(expectKey{proto, at, peer}, x.when)
	return old != nil && old.ControlProto == "msrpc" && old.Name != "msrpc" && old.Name != "dcom" && old.Name != name
}

// bindings finds DCOM string bindings of TCP with a port, "host[port]" in
// UTF-16 behind the tower identifier: [MS-DCOM] 2.2.19.3.
func (x *exchange) bindings(data []byte) {
	for at := 0; at+4 <= len(data); {
		next := bytes.Index(data[at:], []byte{floorTCP, 0})
		if next < 0 {
			return
		}
		at += next + 2
		if host, port, ok := readBinding(data[at:]); ok {
			addr, known := parseAddr(host)
			x.mapped(protoTCP, port, addr, known, Agreement{Name: "dcom", ControlProto: "msrpc", Detail: "object exporter"})
		}
	}
}

// readBinding reads a network address that ends in "[port]" and a NUL.
func readBinding(b []byte) (host string, port uint16, ok bool) {
	const longest = 255
	var text []byte
	for i := 0; i+1 < len(b); i += 2 {
		c := b[i]
		if b[i+1] != 0 || len(text) > longest || c != 0 && (c < 33 || c > 126) {
			return "", 0, false
		}
		if c == 0 {
			host, after, found := strings.Cut(string(text), "[")
			digits, end := strings.CutSuffix(after, "]")
			port, ok = parsePort(digits)
			return host, port, ok && found && end && host != ""
		}
		text = append(text, c)
	}
	return "", 0, false
}
