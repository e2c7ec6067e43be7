package wide

import (
	"crypto/rand"
	"encoding/binary"
)

// A sequence number holds, under a random mask, a place (a slot of the window
// or of the canaries) and a keyed check of the probe's whole number.
const (
	slotBits  = 20
	checkBits = 32 - slotBits - 1
	canaryBit = 1 << 31
)

// cookie makes and reads sequence numbers.
type cookie struct {
	mask uint32
	key  [2]uint64
}

func newCookie() cookie {
	var b [20]byte
	_, _ = rand.Read(b[:]) // never fails: crypto/rand.Read
	return cookie{
		mask: binary.LittleEndian.Uint32(b[0:]),
		key:  [2]uint64{binary.LittleEndian.Uint64(b[4:]) | 1, binary.LittleEndian.Uint64(b[12:])},
	}
}

// check is a keyed check of a number: multiply-shift hashing.
func (c *cookie) check(number uint64) uint32 {
	h := (number + c.key[1]) * c.key[0]
	h ^= h >> 29
	h *= c.key[0]
	return uint32(h >> (64 - checkBits))
}

// seq is the sequence number for probe number, which is in a slot.
func (c *cookie) seq(slot uint32, number uint64, canary bool) uint32 {
	v := slot<<checkBits | c.check(number)
	if canary {
		v |= canaryBit
	}
	return v ^ c.mask
}

// slot reads the place; the check is verified by valid when the number is
// known.
func (c *cookie) slot(seq uint32) (slot uint32, canary bool) {
	v := seq ^ c.mask
	return v &^ canaryBit >> checkBits, v&canaryBit != 0
}

func (c *cookie) valid(seq uint32, number uint64) bool {
	return (seq^c.mask)&(1<<checkBits-1) == c.check(number)
}
