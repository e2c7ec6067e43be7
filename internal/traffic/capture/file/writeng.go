package file

import (
	"encoding/binary"
	"fmt"
	"math"
	"slices"

	"github.com/portreeve/portreeve/internal/traffic/capture"
)

// section begins a pcapng: one section of unknown length.
func (w *Writer) section() error {
	b := binary.LittleEndian.AppendUint32(w.block[:0], byteOrder)
	b = append(b, 1, 0, 0, 0) // version 1.0
	b = binary.LittleEndian.AppendUint64(b, math.MaxUint64)
	return w.wrap(blockSection, b)
}

// describe writes an interface description and gives its number.
func (w *Writer) describe(s source) (uint32, error) {
	if n, ok := w.places[s]; ok {
		return n, nil
	}
	if s.link > math.MaxUint16 {
		return 0, fmt.Errorf("%w: %d", ErrLink, s.link)
	}
	i := capture.Interface{SnapLen: w.options.SnapLen}
	if known := w.interfaces(); uint64(s.number) < uint64(len(known)) {
		i = known[s.number]
	}
	n := uint32(len(w.places))
	w.places[s] = n
	b := binary.LittleEndian.AppendUint32(w.block[:0], uint32(s.link))
	b = binary.LittleEndian.AppendUint32(b, i.SnapLen)
	b = appendOption(b, optionName, i.Name)
	b = appendOption(b, optionResolution, "\x09")
	if i.Filter != "" {
		b = appendOption(b, optionFilter, "\x00"+i.Filter)
	}
	b = append(b, 0, 0, 0, 0) // the end of options
	return n, w.wrap(blockInterface, b)
}

// appendOption adds an option that has a value; longer ones than fit are cut.
func appendOption(b []byte, code uint16, value string) []byte {
	if value == "" {
		return b
	}
	value = value[:min(len(value), math.MaxUint16)]
	b = binary.LittleEndian.AppendUint16(b, code)
	b = binary.LittleEndian.AppendUint16(b, uint16(len(value)))
	return pad(append(b, value...))
}

// pad fills up to a multiple of four.
func pad(b []byte) []byte {
	for len(b)%4 != 0 {
		b = append(b, 0)
	}
	return b
}

// wrap writes a block; body, in w.block's storage, becomes the buffer.
func (w *Writer) wrap(kind uint32, body []byte) error {
	w.block = body
	size := uint32(len(body) + blockFrame)
	binary.LittleEndian.PutUint32(w.head[:], kind)
	binary.LittleEndian.PutUint32(w.head[4:], size)
	if err := w.out(w.head[:]); err != nil {
		return err
	}
	if err := w.out(body); err != nil {
		return err
	}
	return w.out(w.head[4:])
}

func (w *Writer) enhanced(p *capture.Packet, data []byte, length uint32) error {
	n, err := w.describe(source{p.Interface, p.Link})
	if err != nil {
		return err
	}
	t := uint64(max(p.Time, 0))
	b := slices.Grow(w.block[:0], enhancedHeader+len(data)+16)
	b = binary.LittleEndian.AppendUint32(b, n)
	b = binary.LittleEndian.AppendUint32(b, uint32(t>>32))
	b = binary.LittleEndian.AppendUint32(b, uint32(t))
	b = binary.LittleEndian.AppendUint32(b, uint32(len(data)))
	b = binary.LittleEndian.AppendUint32(b, length)
	b = pad(append(b, data...))
	if p.Direction != capture.DirUnknown {
		b = append(b, optionFlags, 0, 4, 0, byte(p.Direction), 0, 0, 0, 0, 0, 0, 0)
	}
	return w.wrap(blockEnhanced, b)
}
