package negotiate

import (
	"encoding/binary"
	"net/netip"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/portreeve/portreeve/internal/traffic/wire"
)

// sent is one packet of a made-up conversation.
type sent struct {
	proto    uint8
	from, to string // "address:port"
	flags    uint16
	data     string
}

func tcp(from, to, data string) sent { return sent{protoTCP, from, to, ack, data} }
func udp(from, to, data string) sent { return sent{protoUDP, from, to, 0, data} }

// lab feeds conversations to a Watcher, with sequence numbers and a clock that
// goes on a millisecond with each packet.
type lab struct {
	*Watcher
	now  int64
	next map[[2]string]uint32
}

func newLab(o Options) *lab { return &lab{New(o), int64(time.Hour), map[[2]string]uint32{}} }

func heard(packets ...sent) *lab {
	l := newLab(Options{})
	l.hear(packets...)
	return l
}

func (l *lab) hear(packets ...sent) {
	for _, s := range packets {
		p := l.packet(s)
		l.Packet(&p, l.now)
	}
}

func (l *lab) packet(s sent) wire.Packet {
	l.now += int64(time.Millisecond)
	from, to := netip.MustParseAddrPort(s.from), netip.MustParseAddrPort(s.to)
	p := wire.Packet{
		Kind: wire.KindIP, Proto: s.proto, Src: from.Addr().As16(), Dst: to.Addr().As16(), SrcPort: from.Port(), DstPort: to.Port(),
		HasPorts: true, Payload: []byte(s.data), PayloadLen: uint32(len(s.data)),
	}
	if s.proto != protoTCP {
		return p
	}
	way := [2]string{s.from, s.to}
	p.HasTCP, p.Flags, p.Seq, p.Ack = true, s.flags, l.next[way], l.next[[2]string{s.to, s.from}]
	l.next[way] += uint32(len(s.data))
	if s.flags&(syn|fin) != 0 {
		l.next[way]++
	}
	return p
}

// ask labels a flow that begins now: "tcp 10.0.0.1:20 10.0.0.2:4000".
func (l *lab) ask(flow string) string { return l.askAt(flow, l.now) }

func (l *lab) askAt(flow string, first int64) string {
	f := strings.Fields(flow)
	s, d := netip.MustParseAddrPort(f[1]), netip.MustParseAddrPort(f[2])
	proto := map[string]uint8{"tcp": protoTCP, "udp": protoUDP, "gre": protoGRE}[f[0]]
	a, ok := l.Label(proto, s.Addr().As16(), s.Port(), d.Addr().As16(), d.Port(), first)
	if !ok {
		return ""
	}
	return a.Name
}

// wants checks many flows: a name, or "" for none.
func (l *lab) wants(t *testing.T, flows map[string]string) {
	t.Helper()
	for flow, want := range flows {
		if got := l.ask(flow); got != want {
			t.Errorf("%s: %q, want %q", flow, got, want)
		}
	}
}

// xdr composes words and strings: uint32 and string (RFC 4506).
func xdr(values ...any) string {
	var b []byte
	for _, v := range values {
		switch v := v.(type) {
		case int:
			b = binary.BigEndian.AppendUint32(b, uint32(v))
		case string:
			b = binary.BigEndian.AppendUint32(b, uint32(len(v)))
			b = append(b, v...)
			b = append(b, make([]byte, -len(v)&3)...)
		}
	}
	return string(b)
}

// rpcCalled and rpcReplied compose messages to and from rpcbind.
func rpcCalled(id, version, procedure int, args ...any) string {
	return xdr(append([]any{id, 0, 2, rpcbindProgram, version, procedure, 1, "12345678", 0, ""}, args...)...)
}

func rpcReplied(id int, results ...any) string {
	return xdr(append([]any{id, 1, 0, 0, "", 0}, results...)...)
}

// record puts a record mark before an RPC message.
func record(message string) string {
	return string(binary.BigEndian.AppendUint32(nil, 1<<31|uint32(len(message)))) + message
}

// towerOf composes a protocol tower.
func towerOf(id string, carrier, transport byte, port uint16, addr [4]byte) string {
	u, err := parseUUID(id)
	if err != nil {
		panic(err)
	}
	ndr, _ := parseUUID("8a885d04-1ceb-11c9-9fe8-08002b104860")
	b := []byte{5, 0, 19, 0, floorUUID}
	b = append(append(b, u[:]...), 1, 0, 2, 0, 0, 0)
	b = append(append(append(b, 19, 0, floorUUID), ndr[:]...), 2, 0, 2, 0, 0, 0)
	b = append(b, 1, 0, carrier, 2, 0, 0, 0, 1, 0, transport, 2, 0, byte(port>>8), byte(port), 1, 0, floorIP, 4, 0)
	return string(append(b, addr[:]...))
}

// mapped composes the response PDU of ept_map with one tower each, in NDR.
func mapReply(towers ...string) string {
	le := binary.LittleEndian
	stub := make([]byte, 20)
	stub = le.AppendUint32(stub, uint32(len(towers)))
	for _, n := range []int{len(towers), 0, len(towers)} {
		stub = le.AppendUint32(stub, uint32(n))
	}
	for i := range towers {
		stub = le.AppendUint32(stub, uint32(i+3))
	}
	for _, tower := range towers {
		stub = le.AppendUint32(stub, uint32(len(tower)))
		stub = le.AppendUint32(stub, uint32(len(tower)))
		stub = append(stub, tower...)
		stub = append(stub, make([]byte, -len(stub)&3)...)
	}
	return pdu(response, 3, string(le.AppendUint32(stub, 0)))
}

// pdu composes a response or request PDU, little-endian.
func pdu(kind, flags byte, stub string) string {
	b := []byte{5, 0, kind, flags, 0x10, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, byte(len(stub)), 0, 0, 0, 0, 0, 0, 0}
	binary.LittleEndian.PutUint16(b[8:], uint16(len(b)+len(stub)))
	return string(b) + stub
}

// sdp composes a session description from its lines.
func sdp(lines ...string) string {
	return "v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\n" + strings.Join(lines, "\r\n") + "\r\n"
}

// sipped composes a SIP message.
func sipped(first, id, body string) string {
	kind := ""
	if body != "" {
		kind = "Content-Type: application/sdp\r\n"
	}
	return first + "\r\nVia: SIP/2.0/UDP 192.0.2.1\r\nFrom: <sip:a@example.org>;tag=1\r\nTo: <sip:b@example.org>\r\nCall-ID: " + id +
		"\r\nCSeq: 1 INVITE\r\n" + kind + "Content-Length: " + itoa(len(body)) + "\r\n\r\n" + body
}

func itoa(n int) string { return strconv.Itoa(n) }
