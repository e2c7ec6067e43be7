package file

import (
	"fmt"

	"github.com/portreeve/portreeve/internal/traffic/capture"
)

// Sizes of what stands before a packet's data in its block's body.
const (
	enhancedHeader = 20
	packetHeader   = 20
	simpleHeader   = 4
)

// enhanced takes in an enhanced packet block (draft-ietf-opsawg-pcapng, 4.3).
// Nearly every block of every file is one.
func (f *pcapng) enhanced(b *capture.Batch, body []byte) {
	if len(body) < enhancedHeader {
		f.short(body)
		return
	}
	number := f.u32(body)
	if uint64(number) >= uint64(len(f.places)) || f.places[number].broken {
		f.place(number, "a packet")
		return
	}
	f.timed(b, &f.places[number], body)
}

// packet takes in the obsolete packet block (11.1): a shorter interface
// number, and what was lost beside it. The rest stands where an enhanced
// packet block has it.
func (f *pcapng) packet(b *capture.Batch, body []byte) {
	if len(body) < packetHeader {
		f.short(body)
		return
	}
	p := f.place(uint32(f.u16(body)), "a packet")
	if p == nil {
		return
	}
	if drops := f.u16(body[2:]); drops != 0xffff { // which means not known
		f.lostBefore(p, uint64(drops))
	}
	f.timed(b, p, body)
}

// timed adds a packet with time, lengths, data and options.
func (f *pcapng) timed(b *capture.Batch, p *place, body []byte) {
	h, data, o := (*[enhancedHeader]byte)(body), body[enhancedHeader:], f.order
	stored, length := o.u32(h[12:16]), o.u32(h[16:20])
	if stored > p.limit || int(stored) > len(data) {
		f.tooLong(stored, len(data))
		return
	}
	out := f.add(b, p, data[:stored:stored], length)
	out.Time = p.nanoseconds(uint64(o.u32(h[4:8]))<<32 | uint64(o.u32(h[8:12])))
	if end := (int(stored) + 3) &^ 3; len(data) >= end+4 {
		f.packetOptions(out, p, data[end:])
	}
}

// simple takes in a simple packet block (4.4), which is of the first interface
// and has no time; how much of it is stored follows from that interface.
func (f *pcapng) simple(b *capture.Batch, body []byte) {
	if len(body) < simpleHeader {
		f.short(body)
		return
	}
	p := f.place(0, "a simple packet")
	if p == nil {
		return
	}
	length, data := f.u32(body), body[simpleHeader:]
	stored := length
	if p.snap != 0 {
		stored = min(length, p.snap)
	}
	if stored > p.limit || int(stored) > len(data) {
		f.tooLong(stored, len(data))
		return
	}
	if room := len(data) - int(stored); room > 3 {
		f.step(fmt.Sprintf("a simple packet of %d bytes in a block with room for %d", stored, len(data)))
	}
	f.add(b, p, data[:stored:stored], length)
}

func (f *pcapng) add(b *capture.Batch, p *place, data []byte, length uint32) *capture.Packet {
	n := len(b.Packets)
	b.Packets = b.Packets[:n+1]
	out := &b.Packets[n]
	*out = capture.Packet{}
	out.Data = data
	out.Wire = max(length, uint32(len(data)))
	out.Link, out.Interface = p.link, p.number
	f.packets++
	return out
}

// packetOptions reads direction and losses.
func (f *pcapng) packetOptions(out *capture.Packet, p *place, b []byte) {
	for code, value, rest, ok := f.option(b); ok; code, value, rest, ok = f.option(rest) {
		switch {
		case code == optionFlags && len(value) >= 4:
			out.Direction = direction(f.u32(value))
		case code == optionDropCount && len(value) >= 8:
			f.lostBefore(p, f.u64(value))
		}
	}
}

// direction is the low two bits of a packet's flags (4.3.1).
func direction(flags uint32) capture.Direction {
	switch flags & 3 {
	case 1:
		return capture.Inbound
	case 2:
		return capture.Outbound
	}
	return capture.DirUnknown
}

func (f *pcapng) short(body []byte) {
	f.step(fmt.Sprintf("a packet block of %d bytes", len(body)+blockFrame))
}

func (f *pcapng) tooLong(stored uint32, room int) {
	f.step(fmt.Sprintf("a stored length of %d in a block with room for %d", stored, room))
}
