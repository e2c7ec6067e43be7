package file

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"

	"github.com/portreeve/portreeve/internal/traffic/capture"
	"github.com/portreeve/portreeve/internal/traffic/wire"
)

// Format is what a Writer writes. All are little-endian.
type Format uint8

const (
	// Auto is Nanoseconds where Options describe exactly one interface, else
	// PCAPNG: only that can take more of them later.
	Auto         Format = iota
	Microseconds        // pcap 2.4; the rest of a microsecond is lost
	Nanoseconds         // pcap 2.4 with magic a1b23c4d
	PCAPNG              // pcapng 1.0; directions are kept
)

// Options say what to write.
type Options struct {
	Format Format
	// SnapLen is told in the header of a pcap and for interfaces that are not
	// described; 0 is taken for the most that there may be.
	SnapLen uint32
	// From describes the interfaces of the packets, which may come to be
	// known only while they are read; nil where nothing is known of them.
	From interface{ Interfaces() []capture.Interface }
}

// What errors.Is finds in the error for a packet that cannot be written.
var (
	// ErrLink: a pcap holds one link type only; a pcapng none above 65535.
	ErrLink = errors.New("a link type that the capture file cannot hold")
	// ErrTooLong: no reader would take it.
	ErrTooLong = errors.New("a packet too long for a capture file")
)

// Writer writes a capture. It belongs to one goroutine. After an error of the
// writer below nothing more is written, and each call returns it.
type Writer struct {
	w       *bufio.Writer
	options Options
	format  Format
	link    wire.LinkType // of a pcap
	begun   bool
	places  map[source]uint32 // pcapng: numbers of the interfaces described
	head    [8]byte           // storage of what is put together, here and below
	block   []byte
	tagged  []byte
}

// source is what gets an interface description of its own.
type source struct {
	number uint32
	link   wire.LinkType
}

// NewWriter makes a writer. What it writes begins with the first packet, or
// with Flush.
func NewWriter(w io.Writer, o Options) *Writer {
	out := &Writer{w: bufio.NewWriterSize(w, 256<<10), options: o, format: o.Format, places: map[source]uint32{}}
	if out.format == Auto {
		out.format = PCAPNG
		if len(out.interfaces()) == 1 {
			out.format = Nanoseconds
		}
	}
	return out
}

func (w *Writer) interfaces() []capture.Interface {
	if w.options.From == nil {
		return nil
	}
	return w.options.From.Interfaces()
}

// Write adds a packet. A VLAN tag from metadata is put back into the frame of
// Ethernet and of both kinds of Linux cooked capture, as libpcap does. A time
// that the format cannot hold (before 1970; in pcap after 2106) is written as
// 0, not told.
func (w *Writer) Write(p *capture.Packet) error {
	if len(p.Data) > int(storedLimit(p.Link))-maxTag {
		return fmt.Errorf("%w: %d bytes", ErrTooLong, len(p.Data))
	}
	if err := w.begin(p.Link); err != nil {
		return err
	}
	data, length := w.tag(p)
	length = max(length, uint32(len(data)))
	if w.format == PCAPNG {
		return w.enhanced(p, data, length)
	}
	if p.Link != w.link {
		return fmt.Errorf("%w: %d in a pcap of %d (a pcapng holds several)", ErrLink, p.Link, w.link)
	}
	return w.record(p.Time, data, length)
}

// Flush writes out what is buffered; where there was no packet, the header and
// an interface, without which libpcap refuses a pcapng.
func (w *Writer) Flush() error {
	link := wire.LinkType(1)
	if known := w.interfaces(); len(known) > 0 {
		link = known[0].Link
	}
	if err := w.begin(link); err != nil {
		return err
	}
	if w.format == PCAPNG && len(w.places) == 0 {
		if _, err := w.describe(source{0, link}); err != nil {
			return err
		}
	}
	return w.w.Flush()
}

func (w *Writer) begin(link wire.LinkType) error {
	if w.begun {
		return nil
	}
	w.begun, w.link = true, link
	if w.format == PCAPNG {
		return w.section()
	}
	return w.fileHeader()
}

func (w *Writer) snapLen() uint32 {
	if w.options.SnapLen == 0 {
		return maxStored
	}
	return w.options.SnapLen
}

func (w *Writer) fileHeader() error {
	number := uint32(0xa1b2c3d4)
	if w.format == Nanoseconds {
		number = 0xa1b23c4d
	}
	h := binary.LittleEndian.AppendUint32(w.block[:0], number)
	h = append(h, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0)
	h = binary.LittleEndian.AppendUint32(h, w.snapLen())
	w.block = binary.LittleEndian.AppendUint32(h, uint32(w.link))
	return w.out(w.block)
}

func (w *Writer) record(t int64, data []byte, length uint32) error {
	if t < 0 || t/1e9 > math.MaxUint32 {
		t = 0
	}
	fraction := uint32(t % 1e9)
	if w.format == Microseconds {
		fraction /= 1000
	}
	h := binary.LittleEndian.AppendUint32(w.block[:0], uint32(t/1e9))
	h = binary.LittleEndian.AppendUint32(h, fraction)
	h = binary.LittleEndian.AppendUint32(h, uint32(len(data)))
	w.block = binary.LittleEndian.AppendUint32(h, length)
	if err := w.out(w.block); err != nil {
		return err
	}
	return w.out(data)
}

func (w *Writer) out(b []byte) error {
	_, err := w.w.Write(b)
	return err
}
