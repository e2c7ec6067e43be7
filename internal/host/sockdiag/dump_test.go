package sockdiag

import (
	"context"
	"encoding/binary"
	"errors"
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// replay is a transport that answers from datagrams written beforehand.
type replay struct {
	datagrams [][]byte
	at        int
	sent      []byte
}

func (r *replay) send(b []byte) error { r.sent = append(r.sent[:0], b...); r.at = 0; return nil }
func (r *replay) close() error        { return nil }

func (r *replay) receive(b []byte) (int, error) {
	if r.at == len(r.datagrams) {
		return 0, errors.New("nothing more to read")
	}
	r.at++
	return copy(b, r.datagrams[r.at-1]), nil
}

func conn(datagrams ...[]byte) (*Conn, *replay) {
	r := &replay{datagrams: datagrams}
	return &Conn{t: r, portID: 7, in: make([]byte, receiveLen)}, r
}

// msg writes one message to sequence 1 of port 7.
func msg(kind, flags uint16, payload []byte) []byte {
	b := appendHeader(nil, kind, flags, 1)
	native.PutUint32(b[12:], 7)
	b = append(b, payload...)
	native.PutUint32(b, uint32(len(b)))
	for len(b)%4 != 0 {
		b = append(b, 0)
	}
	return b
}

func attr(kind uint16, value []byte) []byte {
	b := native.AppendUint16(nil, uint16(4+len(value)))
	b = native.AppendUint16(b, kind)
	b = append(b, value...)
	for len(b)%4 != 0 {
		b = append(b, 0)
	}
	return b
}

func u32(v uint32) []byte { return native.AppendUint32(nil, v) }

// inetMsg writes an IPv6 listener on [::1]:80.
func inetMsg(attrs ...[]byte) []byte {
	b := make([]byte, inetMsgLen)
	b[0], b[1] = byte(INET6), byte(StateListen)
	binary.BigEndian.PutUint16(b[4:], 80)
	b[23] = 1
	native.PutUint32(b[40:], 3)
	native.PutUint32(b[44:], 0x11)
	native.PutUint32(b[48:], 0x22)
	native.PutUint32(b[64:], 1000)
	native.PutUint32(b[68:], 4242)
	for _, a := range attrs {
		b = append(b, a...)
	}
	return b
}

func collect(t *testing.T, c *Conn) ([]Socket, error) {
	t.Helper()
	var out []Socket
	err := c.Inet(t.Context(), Request{Family: INET6, Protocol: TCP, States: AllStates}, func(s *Socket) error {
		out = append(out, *s)
		return nil
	})
	return out, err
}

func TestDumpReadsEveryAnswer(t *testing.T) {
	info := make([]byte, 144)
	native.PutUint32(info[52:], 1500)
	native.PutUint32(info[136:], 8)
	native.PutUint32(info[140:], 9)
	ulp := append(attr(ulpName, []byte("mptcp\x00")), attr(ulpMPTCP, attr(mptcpTokenLocal, u32(0xbeef)))...)
	one := inetMsg(attr(attrV6Only, []byte{1}), attr(attrShutdown, []byte{2}), attr(attrMark, u32(5)),
		attr(attrProtocol, []byte{6}), attr(attrCgroup, native.AppendUint64(nil, 99)), attr(attrULP|1<<15, ulp), attr(attrInfo, info), attr(99, nil))
	c, r := conn(append(msg(sockDiagByFamily, 2, one), msg(sockDiagByFamily, 2, inetMsg())...), msg(typeDone, 2, u32(0)))
	got, err := collect(t, c)
	if err != nil {
		t.Fatal(err)
	}
	plain := Socket{Family: INET6, State: StateListen, Src: netip.IPv6Loopback(), Dst: netip.IPv6Unspecified(), SrcPort: 80,
		Interface: 3, Cookie: 0x2200000011, UID: 1000, Inode: 4242}
	full := plain
	full.HasV6Only, full.V6Only, full.Shutdown, full.HasMark, full.Mark, full.Protocol, full.CgroupID = true, true, 2, true, 5, 6, 99
	full.ULP, full.Token, full.Info = []byte("mptcp"), 0xbeef, info
	if diff := cmp.Diff([]Socket{full, plain}, got, cmp.Comparer(func(a, b netip.Addr) bool { return a == b })); diff != "" {
		t.Error(diff)
	}
	if tr, ok := got[0].TCPTraffic(); !ok || tr != (Traffic{SegsIn: 9, SegsOut: 8, LastDataRecv: 1500}) {
		t.Errorf("traffic %+v %v", tr, ok)
	}
	if len(r.sent) != 72 || native.Uint32(r.sent) != 72 {
		t.Errorf("request of %d bytes", len(r.sent))
	}
}

// A reader must never take one protocol's sockets for another's on a kernel
// that does not know the attribute by which MPTCP is asked for.
func TestMPTCPIsAskedByAttribute(t *testing.T) {
	b := Request{Family: INET, Protocol: MPTCP}.append(nil, 1)
	if len(b) != 80 || b[17] != protocolByAttr || native.Uint32(b[76:]) != 262 {
		t.Errorf("request % x", b)
	}
}

func TestDumpErrors(t *testing.T) {
	good := msg(sockDiagByFamily, 2, inetMsg())
	done := msg(typeDone, 2, u32(0))
	errMsg := func(n int32) []byte { return msg(typeError, 0, u32(uint32(-n))) }
	stale := append([]byte(nil), good...)
	native.PutUint32(stale[8:], 77)
	tests := []struct {
		name      string
		datagrams [][]byte
		want      error
		sockets   int
	}{
		{"no such protocol", [][]byte{errMsg(2)}, ErrUnsupported, 0},
		{"refused", [][]byte{errMsg(1)}, ErrRefused, 0},
		{"interrupted", [][]byte{msg(sockDiagByFamily, 2|flagDumpIntr, inetMsg()), done}, ErrInterrupted, 1},
		{"interrupted, said at the end", [][]byte{good, msg(typeDone, 2|flagDumpIntr, nil)}, ErrInterrupted, 1},
		{"cut short", [][]byte{good[:40]}, ErrMalformed, 0},
		{"length beyond the datagram", [][]byte{append(u32(4000), good[4:]...)}, ErrMalformed, 0},
		{"short message", [][]byte{msg(sockDiagByFamily, 2, make([]byte, 20)), done}, ErrMalformed, 0},
		{"answer to an older request", [][]byte{stale, good, done}, nil, 1},
		{"empty done", [][]byte{good, msg(typeDone, 2, nil)}, nil, 1},
		{"error after answers", [][]byte{good, errMsg(2)}, ErrUnsupported, 1},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			c, _ := conn(test.datagrams...)
			got, err := collect(t, c)
			if !errors.Is(err, test.want) || (err == nil) != (test.want == nil) || len(got) != test.sockets {
				t.Errorf("%d sockets, error %v; want %d, %v", len(got), err, test.sockets, test.want)
			}
		})
	}
}

// A caller that stops early leaves nothing behind that the next dump could
// take for its own.
func TestCallerStops(t *testing.T) {
	c, r := conn(msg(sockDiagByFamily, 2, inetMsg()), msg(sockDiagByFamily, 2, inetMsg()), msg(typeDone, 2, u32(0)))
	stop, seen := errors.New("enough"), 0
	err := c.Inet(t.Context(), Request{Family: INET, Protocol: TCP}, func(*Socket) error { seen++; return stop })
	if !errors.Is(err, stop) || seen != 1 || r.at != 3 {
		t.Errorf("error %v after %d sockets and %d datagrams", err, seen, r.at)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	c.seq = 0
	if err := c.Inet(ctx, Request{}, func(*Socket) error { t.Error("called"); return nil }); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

// The budget of the streaming path: a dump of 10,000 sockets allocates a
// handful of closures, nothing for a message.
func TestNoAllocationPerMessage(t *testing.T) {
	var datagram []byte
	for range 300 {
		datagram = append(datagram, msg(sockDiagByFamily, 2, inetMsg(attr(attrV6Only, []byte{1}), attr(attrShutdown, []byte{0})))...)
	}
	var all [][]byte
	for range 33 {
		all = append(all, datagram)
	}
	c, _ := conn(append(all, msg(typeDone, 2, u32(0)))...)
	n := 0
	allocs := testing.AllocsPerRun(10, func() {
		c.seq = 0
		if err := c.Inet(t.Context(), Request{Family: INET, Protocol: TCP}, func(*Socket) error { n++; return nil }); err != nil {
			t.Fatal(err)
		}
	})
	if n != 11*9900 || allocs > 12 {
		t.Errorf("%d sockets with %.0f allocations a dump, want at most 12", n, allocs)
	}
}

func FuzzDump(f *testing.F) {
	f.Add(append(msg(sockDiagByFamily, 2, inetMsg(attr(attrULP, attr(ulpName, []byte("tls"))))), msg(typeDone, 2, u32(0))...))
	f.Add(msg(typeError, 0, u32(0xfffffffe)))
	f.Add(msg(sockDiagByFamily, 2, inetMsg())[:50])
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, b []byte) {
		c, _ := conn(b, msg(typeDone, 2, u32(0)))
		_ = c.Inet(t.Context(), Request{Family: INET, Protocol: TCP}, func(s *Socket) error {
			s.TCPTraffic()
			s.MPTCPToken()
			if !s.Src.IsValid() || !s.Dst.IsValid() {
				t.Error("an address is missing")
			}
			return nil
		})
	})
}

func FuzzPacket(f *testing.F) {
	b := make([]byte, packetMsgLen)
	b[0] = byte(PACKET)
	f.Add(append(b, attr(packetFilter, make([]byte, 16))...))
	f.Add(append(b[:16:16], attr(packetMemInfo, make([]byte, 36))...))
	f.Fuzz(func(t *testing.T, b []byte) {
		var s PacketSocket
		if DecodePacket(b, &s) != nil {
			return
		}
		program, err := DecodeFilter(s.Filter)
		if err == nil && len(program) != len(s.Filter)/8 {
			t.Error("instructions lost")
		}
	})
}
