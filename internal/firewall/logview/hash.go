package logview

import (
	"encoding/binary"
	"hash/maphash"
	"math/bits"
)

// mix makes 64 well-mixed bits of two words (the multiply-and-fold step that
// wyhash is made of).
func mix(a, b uint64) uint64 {
	hi, lo := bits.Mul64(a^0x9e3779b97f4a7c15, b^0xe7037ed1a0b428db)
	return hi ^ lo
}

func hashAddr(seed uint64, a *[16]byte) uint64 {
	lo, hi := binary.LittleEndian.Uint64(a[:8]), binary.LittleEndian.Uint64(a[8:])
	return mix(mix(lo^seed, hi), seed^0x8ebc6af09c88c6e3)
}

// hashText does not come from maphash: its seed cannot be given, and views
// that are merged need the same.
func hashText(seed uint64, text []byte) uint64 {
	h := seed ^ uint64(len(text))
	for len(text) >= 8 {
		h = mix(h, binary.LittleEndian.Uint64(text))
		text = text[8:]
	}
	var rest [8]byte
	copy(rest[:], text)
	return mix(h, binary.LittleEndian.Uint64(rest[:]))
}

// RandomSeed gives a seed that nobody can foresee.
func RandomSeed() uint64 { return maphash.Bytes(maphash.MakeSeed(), nil) }
