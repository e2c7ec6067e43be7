package route

import (
	"encoding/hex"
	"net/netip"
	"testing"
)

var testHW = []byte{2, 0, 0, 0, 0, 9}

func advertisement() []byte {
	target := netip.MustParseAddr("fe80::2").As16()
	b, _ := putSolicitation(make([]byte, 128), testHW, target, target)
	b[ip6Len] = advertising
	b[ip6Len+24] = optTargetHW
	b[ip6Len+2], b[ip6Len+3] = 0, 0
	sum := checksum6(b)
	b[ip6Len+2], b[ip6Len+3] = byte(sum>>8), byte(sum)
	return b
}

// A request is laid out as RFC 826 says, byte for byte.
func TestARPRequest(t *testing.T) {
	got := hex.EncodeToString(putARP(make([]byte, 64), testHW, [4]byte{10, 0, 0, 1}, [4]byte{10, 0, 0, 2}))
	if want := "0001080006040001" + "020000000009" + "0a000001" + "000000000000" + "0a000002"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
}

func TestARPReply(t *testing.T) {
	b := putARP(make([]byte, 64), testHW, [4]byte{10, 0, 0, 7}, [4]byte{10, 0, 0, 1})
	if _, _, ok := readARP(b); ok {
		t.Error("a request was read as a reply")
	}
	b[7] = arpReply
	if from, hw, ok := readARP(b); !ok || from.String() != "10.0.0.7" || hw != [6]byte(testHW) {
		t.Error(from, hw, ok)
	}
	b[8] = 0xff
	if _, _, ok := readARP(b); ok {
		t.Error("a multicast hardware address was believed")
	}
}

// An advertisement is believed only if RFC 4861 section 7.1.2 allows it.
func TestAdvertisement(t *testing.T) {
	if target, hw, ok := readAdvertisement(advertisement()); !ok || target.String() != "fe80::2" || hw != [6]byte(testHW) {
		t.Error(target, hw, ok)
	}
	for name, spoil := range map[string]func(b []byte){
		"hop limit":       func(b []byte) { b[7] = 254 },
		"checksum":        func(b []byte) { b[ip6Len+2]++ },
		"code":            func(b []byte) { b[ip6Len+1] = 1 },
		"type":            func(b []byte) { b[ip6Len] = solicitation },
		"option length 0": func(b []byte) { b[ip6Len+25] = 0 },
		"payload length":  func(b []byte) { b[5] = 200 },
	} {
		b := advertisement()
		spoil(b)
		if name != "checksum" && name != "hop limit" && name != "payload length" {
			b[ip6Len+2], b[ip6Len+3] = 0, 0
			sum := checksum6(b)
			b[ip6Len+2], b[ip6Len+3] = byte(sum>>8), byte(sum)
		}
		if _, _, ok := readAdvertisement(b); ok {
			t.Errorf("believed in spite of its %s", name)
		}
	}
}

func FuzzFrames(f *testing.F) {
	f.Add(advertisement())
	f.Add(putARP(make([]byte, 64), testHW, [4]byte{10, 0, 0, 7}, [4]byte{10, 0, 0, 1}))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, b []byte) {
		if addr, hw, ok := readARP(b); ok && (!addr.Is4() || !isStation(hw)) {
			t.Error(addr, hw)
		}
		if addr, _, ok := readAdvertisement(b); ok && (!addr.Is6() || addr.IsMulticast()) {
			t.Error(addr)
		}
	})
}
