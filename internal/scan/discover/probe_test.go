package discover

import (
	"encoding/binary"
	"net/netip"
	"testing"

	"pgregory.net/rapid"

	"github.com/portreeve/portreeve/internal/scan/inetsum"
)

var (
	ours4, host4 = netip.MustParseAddr("10.0.0.1"), netip.MustParseAddr("10.0.0.9")
	ours6, host6 = netip.MustParseAddr("fd00::1"), netip.MustParseAddr("fd00::9")
)

const testPort = 40_001

// reply is what a host answers to a probe, built from the RFCs.
func reply(probe []byte, refused bool) []byte {
	p, _ := decodeIP(probe)
	body := append([]byte(nil), p.payload...)
	proto := p.proto
	switch {
	case refused:
		body = append([]byte{unreachable, 3, 0, 0, 0, 0, 0, 0}, probe[:len(probe)-len(p.payload)+8]...)
		proto = protoICMP
		if p.src.Is6() {
			body[0], body[1], proto = unreachable6, 4, protoICMP6
		}
	case proto == protoTCP:
		seq, ack := binary.BigEndian.Uint32(body[4:]), binary.BigEndian.Uint32(body[8:])
		body = body[:20]
		copy(body[0:2], p.payload[2:4])
		copy(body[2:4], p.payload[0:2])
		if p.payload[13] == flagSYN {
			binary.BigEndian.PutUint32(body[4:], 0)
			binary.BigEndian.PutUint32(body[8:], seq+1)
			body[13] = flagRST | flagACK
		} else {
			binary.BigEndian.PutUint32(body[4:], ack)
			binary.BigEndian.PutUint32(body[8:], 0)
			body[13] = flagRST
		}
	case body[0] == echoRequest:
		body[0] = echoReply
	case body[0] == stampRequest:
		body[0] = stampReply
	case body[0] == echoRequest6:
		body[0] = echoReply6
	}
	head := head6
	if p.src.Is4() {
		head = head4
	}
	out := make([]byte, head+len(body))
	copy(out[head:], body)
	putHead(out, proto, p.dst, p.src)
	return out
}

// Whatever a host answers, or refuses with the fewest bytes quoted, gives the
// probe's kind and token back; an error from elsewhere does not.
func TestAnswersCarryTheToken(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		src, dst := ours4, host4
		if rapid.Bool().Draw(t, "IPv6") {
			src, dst = ours6, host6
		}
		kind := rapid.IntRange(0, kinds(dst.Is4())-1).Draw(t, "kind")
		token := rapid.Uint32().Draw(t, "token")
		probe := putProbe(make([]byte, longestPacket), kind, src, dst, testPort, token)
		p, ok := decodeIP(probe)
		if !ok || p.src != src || p.dst != dst || !whole(probe) {
			t.Fatalf("probe % x is not whole", probe)
		}
		refused := rapid.Bool().Draw(t, "refused")
		b := reply(probe, refused)
		h, ok := decode(b, testPort)
		if !ok || h.from != dst || h.kind != kind || h.token != token || h.ttl != 64 {
			t.Fatalf("%+v, %v", h, ok)
		}
		if refused {
			putHead(b, b[map[bool]int{true: 9, false: 6}[dst.Is4()]], src, src) // a router's word
			if h, ok := decode(b, testPort); ok {
				t.Fatalf("a router's error counts: %+v", h)
			}
		}
	})
}

// whole checks checksums the slow way: every part sums to all ones.
func whole(b []byte) bool {
	p, _ := decodeIP(b)
	if p.src.Is4() && inetsum.Fold(inetsum.Add(0, b[:head4])) != 0xffff {
		return false
	}
	sum := uint32(0)
	if p.proto != protoICMP {
		sum = inetsum.Add(inetsum.Add(uint32(p.proto)+uint32(len(p.payload)), p.src.AsSlice()), p.dst.AsSlice())
	}
	return inetsum.Fold(inetsum.Add(sum, p.payload)) == 0xffff
}

// Tokens differ by address and kind, and from search to search.
func TestTokensDiffer(t *testing.T) {
	a, b := newTokens(), newTokens()
	if a.of(host4, 0) == a.of(ours4, 0) || a.of(host4, 0) == a.of(host4, 1) || a.of(host4, 0) == b.of(host4, 0) {
		t.Error("two tokens are the same")
	}
	if a.of(host4, 0) != a.of(netip.MustParseAddr("10.0.0.9"), 0) {
		t.Error("one address has two tokens")
	}
}

func FuzzDecode(f *testing.F) {
	for _, dst := range []netip.Addr{host4, host6} {
		src := ours4
		if dst.Is6() {
			src = ours6
		}
		for kind := range kinds(dst.Is4()) {
			probe := putProbe(make([]byte, longestPacket), kind, src, dst, testPort, 0x01020304)
			f.Add(reply(probe, false))
			f.Add(reply(probe, true))
		}
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		h, ok := decode(b, testPort)
		if ok && (!h.from.IsValid() || h.reason == "" || h.kind < 0 || h.kind > kindStamp) {
			t.Errorf("%+v", h)
		}
		agreeWithFilter(t, b, ok)
	})
}
