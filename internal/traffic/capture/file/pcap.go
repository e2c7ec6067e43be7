package file

import (
	"encoding/binary"
	"fmt"
	"math/bits"

	"github.com/portreeve/portreeve/internal/traffic/capture"
	"github.com/portreeve/portreeve/internal/traffic/wire"
)

// Sizes of pcap's headers (pcap-savefile(5)).
const (
	fileHeader   = 24
	recordHeader = 16
)

// maxStored is the longest packet that is no damage, MAXIMUM_SNAPLEN of
// libpcap, and WTAP_MAX_PACKET_SIZE_STANDARD of Wireshark. Some link types
// carry longer messages.
const (
	maxStored     = 262144
	maxStoredLong = 16 << 20
)

// magic is one kind of pcap by its first four bytes.
type magic struct {
	number   uint32
	nano     bool
	modified bool // records with an interface index, see modified.go
	extra    int  // bytes behind the file header
}

// magics are those that libpcap and Wireshark read.
func magics() []magic {
	return []magic{
		{number: 0xa1b2c3d4},
		{number: 0xa1b23c4d, nano: true},
		{number: 0xa1b2cd34, modified: true},
		{number: 0x1c0001ab, extra: 4},             // Ixia lcap, software capture
		{number: 0x1c0001ac, extra: 4, nano: true}, // Ixia lcap, hardware capture
	}
}

// findMagic tells kind and byte order of a file.
func findMagic(first []byte) (m magic, big bool) {
	little, reversed := binary.LittleEndian.Uint32(first), binary.BigEndian.Uint32(first)
	for _, m = range magics() {
		if m.number == little || m.number == reversed {
			return m, m.number == reversed
		}
	}
	return magic{}, false
}

// lengthOrder is how a record's two lengths stand.
type lengthOrder uint8

const (
	storedFirst  lengthOrder = iota
	wireFirst                // before version 2.3
	smallerFirst             // 2.3: some writers changed the number only
)

// pcap frames records.
type pcap struct {
	big     bool
	header  int // bytes before a record's data
	unit    int64
	lengths lengthOrder
	limit   uint32
	patched bool
	link    wire.LinkType
}

func (s *Source) openPcap() error {
	first, err := s.peek(fileHeader)
	if err != nil {
		return err
	}
	if len(first) < fileHeader {
		s.cutHeader("pcap")
		return nil
	}
	m, big := findMagic(first)
	h := pcapHeader(first, big)
	if !h.known() {
		e := &capture.FormatError{First: append([]byte(nil), first[:16]...), Looks: fmt.Sprintf("pcap version %d.%d", h.major, h.minor), Reads: readable}
		return e
	}
	if first, err = s.peek(fileHeader + m.extra); err != nil {
		return err
	}
	if len(first) < fileHeader+m.extra {
		s.cutHeader("pcap")
		return nil
	}
	f := newPcap(m, h)
	s.start, s.offset, s.frames = len(first), int64(len(first)), f
	if m.modified {
		if err := s.judge(f); err != nil {
			return err
		}
	}
	s.known.publish(capture.Interface{Link: f.link, SnapLen: h.snap}, 0)
	return nil
}

// cutHeader makes the source one that ends inside its header.
func (s *Source) cutHeader(format string) {
	s.err = &capture.DamageError{
		Kind: capture.ErrCutOff, Format: format, Packet: 1, Cause: s.notEOF(),
		Detail: fmt.Sprintf("it ends inside its header, after %d bytes", s.end),
	}
}

// header is what of a pcap's file header counts.
type header struct {
	big           bool
	major, minor  uint16
	snap, network uint32
}

func pcapHeader(b []byte, big bool) header {
	o := order{big}
	return header{big: big, major: o.u16(b[4:]), minor: o.u16(b[6:]), snap: o.u32(b[16:]), network: o.u32(b[20:])}
}

// known reports the versions that libpcap reads; 543.0 is DG/UX's tcpdump.
func (h header) known() bool {
	return h.major == 2 && h.minor <= 4 || h.major == 543 && h.minor == 0
}

func newPcap(m magic, h header) *pcap {
	f := &pcap{big: h.big, header: recordHeader, unit: 1000, link: h.link(), patched: m.modified}
	if m.nano {
		f.unit = 1
	}
	switch {
	case h.major == 543 || h.minor < 3:
		f.lengths = wireFirst
	case h.minor == 3:
		f.lengths = smallerFirst
	}
	if link, ok := h.aix(); ok && !m.modified && !m.nano && m.extra == 0 {
		f.link, f.unit = link, 1
	}
	f.limit = storedLimit(f.link)
	return f
}

// link takes the link type out of its field: the top four bits are the length
// of the frame check sequence where bit 26 is set (draft-ietf-opsawg-pcap,
// section 4). The ten bits between must be zero; where they are not, the type
// is one that nobody knows.
func (h header) link() wire.LinkType { return wire.LinkType(h.network & 0x03ffffff) }

// aix recognises the files of AIX's tcpdump: version 2.2 with interface types
// of RFC 1573 for link types, nanoseconds for microseconds.
func (h header) aix() (wire.LinkType, bool) {
	if h.major != 2 || h.minor != 2 {
		return 0, false
	}
	switch h.network {
	case 6: // ethernetCsmacd
		return 1, true
	case 9: // iso88025TokenRing
		return 6, true
	case 15: // fddi
		return 10, true
	case 24: // softwareLoopback
		return 0, true
	}
	return 0, false
}

// storedLimit is the longest stored packet of a link type: D-Bus and USB
// messages may be longer than packets.
func storedLimit(link wire.LinkType) uint32 {
	switch link {
	case 189, 220, 231, 249, 279: // USB_LINUX, USB_LINUX_MMAPPED, DBUS, USBPCAP, EBHSCR
		return maxStoredLong
	}
	return maxStored
}

func (f *pcap) name() string                 { return "pcap" }
func (f *pcap) damage() *capture.DamageError { return nil }

// frame is the loop that every packet of a pcap goes through: it keeps to
// local variables, fixed sizes that need no further bounds checks, and fills
// packets in place.
func (f *pcap) frame(b *capture.Batch, data []byte, _ int64) (done, need int, wrong string) {
	o, head, unit, link, limit := order{f.big}, f.header, f.unit, f.link, f.limit
	out := b.Packets[:min(cap(b.Packets), batchPackets)]
	n := len(b.Packets)
	for ; n < len(out); n++ {
		rest := data[done:]
		if len(rest) < head || len(rest) < recordHeader {
			need = head
			break
		}
		h := (*[recordHeader]byte)(rest)
		stored, length := o.u32(h[8:12]), o.u32(h[12:16])
		if f.lengths != storedFirst {
			stored, length = f.order(stored, length)
		}
		if stored > limit {
			wrong = fmt.Sprintf("a stored length of %d, more than the %d that any capture has", stored, limit)
			break
		}
		size := head + int(stored)
		if len(rest) < size {
			need = size
			break
		}
		p := &out[n]
		*p = capture.Packet{}
		p.Data = rest[head:size:size]
		p.Wire = max(length, stored) // a packet is no shorter than what there is of it
		p.Time = int64(o.u32(h[0:4]))*1e9 + int64(o.u32(h[4:8]))*unit
		p.Link = link
		if f.patched {
			p.Direction = patchedDirection(rest[22])
		}
		done += size
	}
	b.Packets = out[:n]
	return done, need, wrong
}

func (f *pcap) order(first, second uint32) (stored, length uint32) {
	if f.lengths == wireFirst || f.lengths == smallerFirst && first > second {
		return second, first
	}
	return first, second
}

// order reads numbers in a file's byte order.
type order struct{ big bool }

func (o order) u16(b []byte) uint16 {
	v := binary.LittleEndian.Uint16(b)
	if o.big {
		v = bits.ReverseBytes16(v)
	}
	return v
}

func (o order) u32(b []byte) uint32 {
	v := binary.LittleEndian.Uint32(b)
	if o.big {
		v = bits.ReverseBytes32(v)
	}
	return v
}

func (o order) u64(b []byte) uint64 {
	v := binary.LittleEndian.Uint64(b)
	if o.big {
		v = bits.ReverseBytes64(v)
	}
	return v
}
