package synack

import (
	"encoding/binary"
	"net/netip"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// option is one TCP option as a test writes it.
type option struct {
	letter byte
	bytes  []byte
}

func drawOptions(t *rapid.T) []option {
	pool := []option{
		{LetterNOP, []byte{1}}, {LetterMSS, []byte{2, 4, 5, 180}}, {LetterScale, []byte{3, 3, 7}},
		{LetterSACK, []byte{4, 2}}, {LetterTimestamp, []byte{8, 10, 0, 0, 0, 9, 0, 0, 0, 8}}, {LetterOther, []byte{19, 4, 1, 2}},
	}
	var out []option
	left := 40
	for range rapid.IntRange(0, 8).Draw(t, "options") {
		o := pool[rapid.IntRange(0, len(pool)-1).Draw(t, "option")]
		if len(o.bytes) <= left {
			out, left = append(out, o), left-len(o.bytes)
		}
	}
	return out
}

// packetWith is an IPv4 or IPv6 SYN-ACK with options, padded as RFC 9293 asks.
func packetWith(v6 bool, options []byte, ttl byte, window uint16) []byte {
	for len(options)%4 != 0 {
		options = append(options, 0)
	}
	tcp := make([]byte, 20, 60)
	tcp[12], tcp[13] = byte(5+len(options)/4)<<4, flagSYN|flagACK
	binary.BigEndian.PutUint16(tcp[14:], window)
	tcp = append(tcp, options...)
	ip := make([]byte, 20)
	ip[0], ip[6], ip[8], ip[9] = 0x45, 0x40, ttl, protoTCP
	binary.BigEndian.PutUint16(ip[2:], uint16(20+len(tcp)))
	if v6 {
		ip = make([]byte, 40)
		ip[0], ip[6], ip[7] = 0x60, protoTCP, ttl
		binary.BigEndian.PutUint16(ip[4:], uint16(len(tcp)))
	}
	return append(ip, tcp...)
}

// What a packet was made of is what is read from it, whatever follows it on
// the wire.
func TestDecodeReadsWhatWasWritten(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		options := drawOptions(t)
		var bytes, letters []byte
		for _, o := range options {
			bytes, letters = append(bytes, o.bytes...), append(letters, o.letter)
		}
		if len(bytes)%4 != 0 {
			letters = append(letters, LetterEnd)
		}
		v6, ttl := rapid.Bool().Draw(t, "v6"), rapid.Byte().Draw(t, "ttl")
		window := rapid.Uint16().Draw(t, "window")
		raw := packetWith(v6, bytes, ttl, window)
		raw = append(raw, make([]byte, rapid.IntRange(0, 6).Draw(t, "padding"))...)
		a, ok := Decode(raw)
		if !ok || !a.IsSYNACK() || a.Layout != string(letters) || a.TTL != ttl || a.Window != window || a.BadOptions || a.Payload != 0 {
			t.Fatalf("%v: %+v, want %s", ok, a, letters)
		}
		if has := strings.ContainsRune(a.Layout, LetterScale); (a.Scale == 7) != has || !has && a.Scale != NoScale {
			t.Fatalf("scale %d of %s", a.Scale, a.Layout)
		}
	})
}

// A cut packet is refused or read in part, never past its end.
func FuzzDecode(f *testing.F) {
	f.Add(packetWith(false, []byte{2, 4, 5, 180, 4, 2, 8, 10, 0, 0, 0, 1, 0, 0, 0, 2, 1, 3, 3, 7}, 64, 65160))
	f.Add(packetWith(true, []byte{2, 4, 5, 160, 1, 3, 3, 6, 1, 1, 4, 2}, 57, 65535))
	f.Add(packetWith(false, []byte{8, 2, 2, 60}, 1, 0))
	f.Add([]byte{0x4f, 0, 0, 0})
	f.Fuzz(func(t *testing.T, raw []byte) {
		a, ok := Decode(raw)
		if !ok {
			return
		}
		if len(a.Layout) > 40 || a.Pad > 40 || a.Payload < 0 || a.Payload > len(raw) || a.EffectiveMSS() < 0 {
			t.Errorf("%+v", a)
		}
		_, _, _ = echoReply(true, raw)
	})
}

// The SYN that is sent reads as an ordinary client's, and its checksum is
// right: the sum over all with the checksum in place is all ones.
func TestSYNReadsAsAClients(t *testing.T) {
	for _, pair := range [][2]string{{"10.0.0.1", "10.0.0.2"}, {"fd00::1", "fd00::2"}} {
		src, dst := netip.MustParseAddr(pair[0]), netip.MustParseAddr(pair[1])
		b := syn{src: src, dst: dst, sport: 40000, dport: 80, seq: 7, tsval: 9, ecn: true}.bytes()
		var a Answer
		if !a.decodeTCP(b) || a.Layout != "MSTNW" || a.TSVal != 9 || a.Flags != flagSYN|flagECE|flagCWR || a.Window != 64240 {
			t.Errorf("%+v", a)
		}
		if sum := checksum(b, pseudoSum(src, dst, len(b))); sum != 0 {
			t.Errorf("checksum leaves %#x", sum)
		}
	}
}

// A TTL is rounded up to what stacks begin with.
func TestInitialTTL(t *testing.T) {
	for have, want := range map[uint8]uint8{1: 32, 32: 32, 33: 64, 64: 64, 65: 128, 128: 128, 129: 255, 255: 255} {
		if got := InitialTTL(have); got != want {
			t.Errorf("InitialTTL(%d) = %d, want %d", have, got, want)
		}
	}
}
