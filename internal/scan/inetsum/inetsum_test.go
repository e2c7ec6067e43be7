package inetsum

import (
	"testing"

	"pgregory.net/rapid"
)

// The sum in steps is the one that adds byte by byte and carries at once.
func TestAgainstByteByByte(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		b := rapid.SliceOfN(rapid.Byte(), 0, 2000).Draw(t, "bytes")
		cut := rapid.IntRange(0, len(b)/2).Draw(t, "cut") * 2
		naive := uint32(0)
		for i, c := range b {
			word := uint32(c)
			if i%2 == 0 {
				word <<= 8
			}
			if naive += word; naive > 0xffff {
				naive -= 0xffff
			}
		}
		if got := Fold(Add(Add(0, b[:cut]), b[cut:])); uint32(got) != naive {
			t.Fatalf("%#x, byte by byte %#x", got, naive)
		}
	})
}

// The example of RFC 1071 section 3.
func TestRFC1071(t *testing.T) {
	if got := Fold(Add(0, []byte{0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7})); got != 0xddf2 {
		t.Errorf("%#x", got)
	}
}
