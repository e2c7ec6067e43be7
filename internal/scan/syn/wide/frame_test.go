package wide

import (
	"encoding/binary"
	"net/netip"
	"testing"

	"pgregory.net/rapid"
)

// naiveSum is the Internet checksum (RFC 1071), byte by byte.
func naiveSum(parts ...[]byte) uint16 {
	sum, odd := uint32(0), false
	for _, p := range parts {
		for _, c := range p {
			if odd {
				sum += uint32(c)
			} else {
				sum += uint32(c) << 8
			}
			odd = !odd
			if sum > 0xffff {
				sum = sum&0xffff + sum>>16
			}
		}
	}
	return ^uint16(sum)
}

func anyAddr(t *rapid.T, six bool, label string) netip.Addr {
	if six {
		return netip.AddrFrom16([16]byte(rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, label)))
	}
	return netip.AddrFrom4([4]byte(rapid.SliceOfN(rapid.Byte(), 4, 4).Draw(t, label)))
}

// Every frame has right lengths and checksums and says what it was told to,
// by a checksum that is computed the plain way.
func TestFramesAreRight(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		six := rapid.Bool().Draw(t, "six")
		src, dst := anyAddr(t, six, "src"), anyAddr(t, six, "dst")
		sport, dport, seq := rapid.Uint16().Draw(t, "sport"), rapid.Uint16().Draw(t, "dport"), rapid.Uint32().Draw(t, "seq")
		link := rapid.SampledFrom([]int{0, 14}).Draw(t, "link")
		h := NewHop(1, make([]byte, link), src, rapid.IntRange(1280, 9000).Draw(t, "mtu"))
		frame := make([]byte, maxFrame)
		ip := frame[:h.put(frame, dst, sport, dport, seq)][link:]
		tcp, pseudo := ip[ipv4Len:], append(append(src.AsSlice(), dst.AsSlice()...), 0, protoTCP, 0, tcpLen)
		if six {
			tcp = ip[ipv6Len:]
			if got := int(binary.BigEndian.Uint16(ip[4:])); got != len(tcp) {
				t.Fatalf("payload length %d of %d", got, len(tcp))
			}
		} else if naiveSum(ip[:ipv4Len]) != 0 || int(binary.BigEndian.Uint16(ip[2:])) != len(ip) {
			t.Fatalf("IP header % x", ip[:ipv4Len])
		}
		if naiveSum(pseudo, tcp) != 0 {
			t.Fatalf("TCP checksum of % x", tcp)
		}
		p, ok := readIP(ip)
		if !ok || p.src != src.Unmap() && p.src != src || p.dst != dst || p.proto != protoTCP || p.ttl != 64 {
			t.Fatalf("%+v, %v", p, ok)
		}
		if binary.BigEndian.Uint16(tcp) != sport || binary.BigEndian.Uint16(tcp[2:]) != dport || binary.BigEndian.Uint32(tcp[4:]) != seq || tcp[13] != flagSYN {
			t.Fatalf("TCP header % x", tcp)
		}
	})
}

// A sequence number brings back its place, and the check refuses others.
func TestCookieRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := newCookie()
		number, canary := rapid.Uint64().Draw(t, "number"), rapid.Bool().Draw(t, "canary")
		slot := uint32(number % maxWindow)
		seq := c.seq(slot, number, canary)
		if s, k := c.slot(seq); s != slot || k != canary || !c.valid(seq, number) {
			t.Fatalf("slot %d canary %v, want %d %v", s, k, slot, canary)
		}
	})
	c, wrong := newCookie(), 0
	for n := range uint64(1 << 16) {
		if c.valid(c.seq(7, n, false), n+1) {
			wrong++
		}
	}
	if wrong > 200 { // 65,536 / 2,048 are expected
		t.Errorf("%d of 65,536 wrong checks pass", wrong)
	}
}

// answerTo makes the packet that answers a probe.
func answerTo(probe []byte, flags byte, ack uint32) []byte {
	p, _ := readIP(probe)
	header := len(probe) - len(p.payload)
	out := make([]byte, header+20)
	copy(out, probe[:header])
	if header == ipv6Len {
		copy(out[8:], p.dst.AsSlice())
		copy(out[24:], p.src.AsSlice())
	} else {
		copy(out[12:], p.dst.AsSlice())
		copy(out[16:], p.src.AsSlice())
	}
	tcp := out[header:]
	copy(tcp, p.payload[2:4])
	copy(tcp[2:], p.payload[:2])
	binary.BigEndian.PutUint32(tcp[8:], ack)
	tcp[12], tcp[13] = 5<<4, flags
	return out
}

// probeOf is the IP packet of a probe.
func probeOf(src, dst string, sport, dport uint16, seq uint32) []byte {
	h := NewHop(1, nil, netip.MustParseAddr(src), 1500)
	frame := make([]byte, maxFrame)
	return frame[:h.put(frame, netip.MustParseAddr(dst), sport, dport, seq)]
}

// refusalOf is a destination-unreachable message that quotes a probe.
func refusalOf(probe []byte, kind, sub byte) []byte {
	p, _ := readIP(probe)
	header := len(probe) - len(p.payload)
	out := append([]byte(nil), probe[:header]...)
	if header == ipv6Len {
		out[6] = 58
	} else {
		out[9] = 1
	}
	return append(append(out, kind, sub, 0, 0, 0, 0, 0, 0), probe...)
}

// Answers of every kind are read, by both families; what answers nothing is
// not.
func TestReadAnswers(t *testing.T) {
	for _, c := range []struct{ src, dst string }{{"10.0.0.1", "10.0.0.2"}, {"fd00::1", "fd00::2"}} {
		probe := probeOf(c.src, c.dst, 40001, 443, 77)
		kind, port, prohibited := byte(3), byte(3), byte(13)
		if len(probe) == ipv6Len+tcpLen {
			kind, port, prohibited = 1, 4, 1
		}
		for name, q := range map[string]struct {
			packet []byte
			reason string
		}{
			"SYN-ACK":             {answerTo(probe, flagSYN|flagACK, 78), "syn-ack"},
			"RST":                 {answerTo(probe, flagRST|flagACK, 78), "reset"},
			"port unreachable":    {refusalOf(probe, kind, port), "port-unreach"},
			"prohibited":          {refusalOf(probe, kind, prohibited), "admin-prohibited"},
			"plain ACK":           {answerTo(probe, flagACK, 78), ""},
			"its own SYN":         {probe, ""},
			"cut":                 {answerTo(probe, flagSYN|flagACK, 78)[:30], ""},
			"another ICMP":        {refusalOf(probe, 8, 0), ""},
			"a quote that is cut": {refusalOf(probe, kind, port)[:50], ""},
		} {
			h, ok := read(q.packet)
			if ok != (q.reason != "") {
				t.Errorf("%s %s: %v", c.dst, name, ok)
				continue
			}
			if _, reason := h.code.meaning(); ok && (reason != q.reason || h.port != 443 || h.sport != 40001 || h.seq != 77 || h.target.String() != c.dst) {
				t.Errorf("%s %s: %+v %s", c.dst, name, h, reason)
			}
		}
	}
}

// FuzzRead: nothing that comes from a network hurts, and what is read as an
// answer has a meaning.
func FuzzRead(f *testing.F) {
	for _, c := range []struct{ src, dst string }{{"10.0.0.1", "10.0.0.2"}, {"fd00::1", "fd00::2"}} {
		probe := probeOf(c.src, c.dst, 40001, 443, 77)
		f.Add(answerTo(probe, flagSYN|flagACK, 78))
		f.Add(refusalOf(probe, 3, 3))
		f.Add(refusalOf(probe, 1, 4))
	}
	f.Add([]byte{0x60, 0, 0, 0, 0, 8, 0, 64})
	f.Fuzz(func(t *testing.T, b []byte) {
		if h, ok := read(b); ok {
			if state, reason := h.code.meaning(); state == "" || reason == "" || reason == "no-response" || !h.target.IsValid() {
				t.Fatalf("%+v means %s %s", h, state, reason)
			}
		}
	})
}
