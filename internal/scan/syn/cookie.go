package syn

import (
	"crypto/rand"
	"encoding/binary"
)

// cookie makes and checks sequence numbers. A sequence number holds, under a
// session's random key, the port that was asked and a check over the port and
// the target's index, so that an answer is told from noise and attributed
// without any memory of the probe.
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

// check is a 12-bit keyed check of (target, port): multiply-shift hashing.
func (c cookie) check(target uint8, port uint16) uint32 {
	h := (uint64(target)<<16 | uint64(port)) + c.key[1]
	h *= c.key[0]
	h ^= h >> 29
	h *= c.key[0]
	return uint32(h >> 52)
}

// seq is the sequence number for a probe to a target's port; target is below
// maxChunk (4 bits).
func (c cookie) seq(target uint8, port uint16) uint32 {
	return (uint32(port)<<16 | uint32(target)<<12 | c.check(target, port)) ^ c.mask
}

// open reads a sequence number back.
func (c cookie) open(seq uint32) (target uint8, port uint16, ok bool) {
	v := seq ^ c.mask
	target, port = uint8(v>>12&0xf), uint16(v>>16)
	return target, port, v&0xfff == c.check(target, port)
}
