package logview

import "math/bits"

// slab gives out blocks of 16, 32, 64 … bytes, up to a chunk. A block is known
// by its chunk and its place in it, in units of 16 bytes.
type slab struct {
	chunks [][]byte
	free   [classes + 1][]uint32
}

const (
	unit    = 16
	chunk   = 1 << 14
	places  = chunk / unit
	classes = 11 // 16 << 10 is a chunk
)

func blockSize(class uint8) int { return unit / 2 << class }

// classOf is the class of the smallest block of at least size bytes.
func classOf(size int) uint8 { return uint8(bits.Len(uint(max(size, unit)-1)) - 3) }

// get gives a block of zeros.
func (s *slab) get(class uint8) uint32 {
	if len(s.free[class]) == 0 {
		s.carve(class)
	}
	free := s.free[class]
	at := free[len(free)-1]
	s.free[class] = free[:len(free)-1]
	clear(s.bytes(at, class))
	return at
}

func (s *slab) carve(class uint8) {
	n := uint32(len(s.chunks))
	s.chunks = append(s.chunks, make([]byte, chunk))
	for at := chunk; at > 0; at -= blockSize(class) {
		s.free[class] = append(s.free[class], n*places+uint32(at-blockSize(class))/unit)
	}
}

func (s *slab) put(class uint8, at uint32) { s.free[class] = append(s.free[class], at) }

func (s *slab) bytes(at uint32, class uint8) []byte {
	from := int(at%places) * unit
	return s.chunks[at/places][from : from+blockSize(class)]
}

// block is what holds the set, nil for an empty one.
func (s *slab) block(t *set) []byte {
	if t.class == 0 {
		return nil
	}
	return s.bytes(t.at, t.class)
}
