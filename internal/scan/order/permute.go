package order

import (
	"encoding/binary"
	"math/bits"
)

const feistelRounds = 6

// permutation is a bijection of the numbers below n.
type permutation struct {
	n           uint64
	low         uint // bits of the right half
	left, right uint64
	keys        [feistelRounds]uint64
}

// newPermutation makes the bijection that seed names; n is at least 1.
func newPermutation(n uint64, seed [32]byte) permutation {
	width := uint(max(2, bits.Len64(n-1)))
	p := permutation{n: n, low: width / 2}
	p.right = 1<<p.low - 1
	p.left = 1<<(width-p.low) - 1
	for i := range p.keys {
		p.keys[i] = mix(binary.LittleEndian.Uint64(seed[i%4*8:]) + uint64(i)*0x9e3779b97f4a7c15)
	}
	return p
}

// at gives the i-th number; i must be below n.
func (p *permutation) at(i uint64) uint64 {
	for {
		i = p.once(i)
		if i < p.n {
			return i
		}
	}
}

// once permutes the power of two that covers n.
func (p *permutation) once(v uint64) uint64 {
	l, r := v>>p.low, v&p.right
	for i := 0; i < feistelRounds; i += 2 {
		l ^= mix(r^p.keys[i]) & p.left
		r ^= mix(l^p.keys[i+1]) & p.right
	}
	return l<<p.low | r
}

// mix is a 64-bit finaliser (multiply and shift).
func mix(v uint64) uint64 {
	v ^= v >> 32
	v *= 0xd6e8feb86659fd93
	v ^= v >> 32
	v *= 0xd6e8feb86659fd93
	return v ^ v>>32
}
