package syn

import (
	"encoding/binary"
	"net/netip"
	"testing"

	"pgregory.net/rapid"

	"github.com/portreeve/portreeve/internal/exposure"
)

func anyAddr(t *rapid.T, is4 bool, label string) netip.Addr {
	if is4 {
		return netip.AddrFrom4([4]byte(rapid.SliceOfN(rapid.Byte(), 4, 4).Draw(t, label)))
	}
	return netip.AddrFrom16([16]byte(rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, label)))
}

// naiveSum is the checksum of RFC 1071 over the whole packet, byte by byte; a
// correct segment gives 0.
func naiveSum(src, dst netip.Addr, seg []byte) uint16 {
	var all []byte
	all = append(all, src.AsSlice()...)
	all = append(all, dst.AsSlice()...)
	if src.Is4() {
		all = append(all, 0, 6)
		all = binary.BigEndian.AppendUint16(all, uint16(len(seg)))
	} else {
		all = binary.BigEndian.AppendUint32(all, uint32(len(seg)))
		all = append(all, 0, 0, 0, 6)
	}
	all = append(all, seg...)
	total := 0
	for i := 0; i < len(all); i += 2 {
		total += int(all[i])*256 + int(all[i+1])
		if total > 0xffff {
			total -= 0xffff
		}
	}
	return ^uint16(total)
}

// Every probe is a SYN with a right checksum, read back as it was made.
func TestTemplateProperty(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		is4 := rapid.Bool().Draw(t, "is4")
		src, dst := anyAddr(t, is4, "src"), anyAddr(t, is4, "dst")
		sport, dport, seq := rapid.Uint16().Draw(t, "sport"), rapid.Uint16().Draw(t, "dport"), rapid.Uint32().Draw(t, "seq")
		template := newTemplate(src, dst, sport)
		b := make([]byte, segmentLen)
		template.put(b, dport, seq)
		if sum := naiveSum(src, dst, b); sum != 0 {
			t.Fatalf("checksum is off by %#x: %x", sum, b)
		}
		got, ok := decodeTCP(b)
		if !ok || got != (segment{sport, dport, seq, 0, flagSYN}) {
			t.Fatalf("%+v, %v", got, ok)
		}
	})
}

// A cookie gives its target and port back, and noise is refused but for the
// share that 12 bits let through.
func TestCookieProperty(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := newCookie()
		target, port := rapid.Uint8Range(0, maxChunk-1).Draw(t, "target"), rapid.Uint16().Draw(t, "port")
		gotTarget, gotPort, ok := c.open(c.seq(target, port))
		if !ok || gotTarget != target || gotPort != port {
			t.Fatalf("(%d, %d) came back as (%d, %d, %v)", target, port, gotTarget, gotPort, ok)
		}
	})
	c, passed := newCookie(), 0
	for i := range uint32(1 << 16) {
		if _, _, ok := c.open(i * 2654435761); ok {
			passed++
		}
	}
	if passed > 64 { // 16 expected
		t.Errorf("%d of 65536 random numbers pass for cookies", passed)
	}
}

// A SYN-ACK wins whatever came before or after; otherwise the first answer of
// the other side stays.
func TestMergeProperty(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		said := rapid.SliceOf(rapid.Custom(func(t *rapid.T) answer {
			return answer(rapid.IntRange(int(silent), int(synAck)).Draw(t, "answer"))
		})).Draw(t, "answers")
		got, open, first := unasked, false, unasked
		for _, a := range said {
			got = got.merge(a)
			open = open || a == synAck
			if first == unasked && a.settled() {
				first = a
			}
		}
		switch {
		case open && got != synAck, !open && first != unasked && got != first, !open && first == unasked && got.settled():
			t.Fatalf("%v gives %v", said, got)
		}
	})
}

func TestEveryAnswerHasAMeaning(t *testing.T) {
	for a := silent; a <= synAck; a++ {
		if meaning[a].state == "" || meaning[a].reason == "" {
			t.Errorf("answer %d has no meaning", a)
		}
	}
	if a, ok := refusal(false, 3, 13); !ok || meaning[a].reason != "admin-prohibited" || meaning[a].state != exposure.Filtered {
		t.Errorf("ICMP 3/13 gives %d, %v", a, ok)
	}
	if _, ok := refusal(false, 11, 0); ok {
		t.Error("time exceeded is no refusal")
	}
}

// quote makes an ICMP error around the first bytes of a probe.
func quote(src, dst netip.Addr, seg []byte) []byte {
	icmp := []byte{3, 3, 0, 0, 0, 0, 0, 0}
	ip := make([]byte, 20)
	ip[0], ip[9] = 0x45, protoTCP
	copy(ip[12:], src.AsSlice())
	copy(ip[16:], dst.AsSlice())
	return append(append(icmp, ip...), seg[:8]...)
}

func TestDecodeQuote(t *testing.T) {
	src, dst := netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("192.0.2.2")
	template := newTemplate(src, dst, 1234)
	seg := make([]byte, segmentLen)
	template.put(seg, 80, 0xdeadbeef)
	whole := quote(src, dst, seg)
	got, ok := decodeQuote(whole)
	if !ok || got != (quoted{dst, 1234, 80, 0xdeadbeef}) {
		t.Errorf("%+v, %v", got, ok)
	}
	for n := range whole {
		if _, ok := decodeQuote(whole[:n]); ok {
			t.Errorf("cut at %d was read", n)
		}
	}
}

// No bytes make the decoders fail, and what they accept lies inside them.
func FuzzDecode(f *testing.F) {
	src, dst := netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("192.0.2.2")
	template := newTemplate(src, dst, 1234)
	seg := make([]byte, segmentLen)
	template.put(seg, 80, 7)
	f.Add(seg)
	f.Add(quote(src, dst, seg))
	f.Add(quote(src, dst, seg)[8:])
	f.Add([]byte{0x4f, 0, 0, 60})
	f.Add(append([]byte{0x60, 0, 0, 0, 0, 20, 6, 64}, make([]byte, 52)...))
	f.Fuzz(func(t *testing.T, b []byte) {
		if p, ok := decodeIP(b); ok {
			if len(p.payload) > len(b)-20 || !p.src.IsValid() || !p.dst.IsValid() {
				t.Errorf("packet %+v of %d bytes", p, len(b))
			}
			decodeTCP(p.payload)
		}
		if q, ok := decodeQuote(b); ok && (len(b) < 36 || !q.dst.IsValid()) {
			t.Errorf("quote %+v of %d bytes", q, len(b))
		}
		if s, ok := decodeTCP(b); ok && s.isSYNACK() && s.flags&flagRST != 0 {
			t.Errorf("segment %+v", s)
		}
	})
}
