package file

import (
	"fmt"

	"github.com/portreeve/portreeve/internal/traffic/capture"
)

// sectionMagic is the type of a section header block, the same in both byte
// orders, with which every pcapng begins (draft-ietf-opsawg-pcapng, 4.1).
const sectionMagic = "\x0a\x0d\x0d\x0a"

// Block types that are read (draft-ietf-opsawg-pcapng, 4 and 11.1).
const (
	blockSection    = 0x0a0d0d0a
	blockInterface  = 1
	blockPacket     = 2 // obsolete
	blockSimple     = 3
	blockStatistics = 5
	blockEnhanced   = 6
)

const (
	blockFrame = 12       // type, length, and the length again
	sectionMin = 28       // a section header without options
	maxBlock   = 16 << 20 // as libpcap has it
	byteOrder  = 0x1a2b3c4d
)

// pcapng frames blocks.
type pcapng struct {
	order
	known   *shared
	places  []place // the section's interfaces
	foreign bool    // the section is of a version that is not read
	packets uint64  // handed over in all
	offset  int64   // of the block at hand
	stepped *capture.DamageError
}

func (s *Source) openPcapng() error {
	first, err := s.peek(blockFrame)
	if err != nil {
		return err
	}
	f := &pcapng{known: &s.known}
	s.frames = f
	if len(first) == blockFrame {
		if _, ok := orderOf(first[8:]); !ok {
			return notCapture(first)
		}
	}
	return nil
}

// orderOf reads a section's byte order magic.
func orderOf(b []byte) (order, bool) {
	for _, o := range []order{{false}, {true}} {
		if o.u32(b) == byteOrder {
			return o, true
		}
	}
	return order{}, false
}

func (f *pcapng) name() string                 { return "pcapng" }
func (f *pcapng) damage() *capture.DamageError { return f.stepped }

func (f *pcapng) frame(b *capture.Batch, data []byte, offset int64) (done, need int, wrong string) {
	for len(b.Packets) < batchPackets {
		rest := data[done:]
		if len(rest) < blockFrame {
			return done, blockFrame, ""
		}
		h := (*[blockFrame]byte)(rest)
		kind := f.u32(h[0:4])
		if kind == blockSection {
			if wrong = f.turn(h); wrong != "" {
				return done, 0, wrong
			}
		}
		size := f.u32(h[4:8])
		if size < blockFrame || size%4 != 0 || size > maxBlock {
			return done, 0, fmt.Sprintf("a block length of %d, which is not a multiple of 4 from %d to %d", size, blockFrame, maxBlock)
		}
		if len(rest) < int(size) {
			return done, int(size), ""
		}
		if again := f.u32(rest[size-4 : size]); again != size {
			return done, 0, fmt.Sprintf("a block says at its head that it is %d bytes long and at its end %d", size, again)
		}
		f.offset = offset + int64(done)
		if body := rest[8 : size-4]; kind == blockEnhanced && !f.foreign {
			f.enhanced(b, body)
		} else if wrong = f.block(b, kind, body); wrong != "" {
			return done, 0, wrong
		}
		done += int(size)
	}
	return done, 0, ""
}

// turn takes over the byte order of the section that begins at h. It may be
// asked again for the same one when more of it is there.
func (f *pcapng) turn(h *[blockFrame]byte) (wrong string) {
	o, ok := orderOf(h[8:12])
	if !ok {
		return fmt.Sprintf("a section whose byte order magic is % x", h[8:12])
	}
	f.order = o
	return ""
}

// block takes in one whole block other than an enhanced packet; body is what is between its lengths. What is
// wrong with it alone is noted; what makes all that follows doubtful is
// returned.
func (f *pcapng) block(b *capture.Batch, kind uint32, body []byte) (wrong string) {
	switch {
	case kind == blockSection:
		return f.section(body)
	case f.foreign:
	case kind == blockSimple:
		f.simple(b, body)
	case kind == blockPacket:
		f.packet(b, body)
	case kind == blockInterface:
		return f.addInterface(body)
	case kind == blockStatistics:
		f.addStatistics(body)
	default:
		f.beside(kind, body)
	}
	return ""
}

// section begins a section. One of another major version is left out, as the
// draft has it.
func (f *pcapng) section(body []byte) (wrong string) {
	if len(body) < sectionMin-blockFrame {
		return fmt.Sprintf("a section header of %d bytes", len(body)+blockFrame)
	}
	f.places = f.places[:0]
	major, minor := f.u16(body[4:]), f.u16(body[6:])
	f.foreign = major != 1
	switch {
	case f.foreign:
		f.step(fmt.Sprintf("a section of version %d.%d, which is left out", major, minor))
	case minor != 0 && minor != 2: // 1.2 is 1.0 (4.1)
		f.step(fmt.Sprintf("a section of version %d.%d, which nobody has described, read as 1.0", major, minor))
		fallthrough
	default:
		f.options(body[sectionMin-blockFrame:])
	}
	return ""
}

// step notes damage that is stepped over.
func (f *pcapng) step(detail string) {
	if f.stepped != nil {
		f.stepped.Others++
		return
	}
	f.stepped = &capture.DamageError{
		Kind: capture.ErrDamaged, Format: f.name(), Offset: f.offset, Packet: f.packets + 1, Detail: detail,
	}
}
