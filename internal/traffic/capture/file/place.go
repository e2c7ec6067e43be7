package file

import (
	"bytes"
	"fmt"

	"github.com/portreeve/portreeve/internal/traffic/capture"
	"github.com/portreeve/portreeve/internal/traffic/wire"
)

// place is an interface of a section.
type place struct {
	clock
	link   wire.LinkType
	number uint32 // in the source
	snap   uint32
	limit  uint32
	broken bool // its description could not be read
	// What the file said last of it: totals of statistics blocks, and the sum
	// of what packets say was lost before them.
	received, ifDropped, dropped, before uint64
}

// Options of interface descriptions (draft-ietf-opsawg-pcapng, 4.2).
const (
	optionEnd        = 0
	optionName       = 2
	optionResolution = 9
	optionFilter     = 11
	optionOffset     = 14
)

// Options of interface statistics (4.6) and of packets (4.3).
const (
	optionReceived  = 4
	optionIfDropped = 5
	optionOSDropped = 7
	optionFlags     = 2
	optionDropCount = 4
)

// addInterface takes in an interface description. One that cannot be read
// still takes its place, so that the others keep their numbers.
func (f *pcapng) addInterface(body []byte) (wrong string) {
	if len(body) < 8 {
		f.step(fmt.Sprintf("an interface description of %d bytes", len(body)+blockFrame))
		return f.addPlace(place{broken: true}, capture.Interface{})
	}
	p := place{link: wire.LinkType(f.u16(body)), snap: f.u32(body[4:])}
	p.limit = storedLimit(p.link)
	i := capture.Interface{Link: p.link, SnapLen: p.snap}
	resolution, offset := byte(6), int64(0)
	for code, value, rest, ok := f.option(body[8:]); ok; code, value, rest, ok = f.option(rest) {
		switch {
		case code == optionName:
			i.Name = text(value)
		case code == optionResolution && len(value) > 0:
			resolution = value[0]
		case code == optionFilter && len(value) > 0 && value[0] == 0: // else compiled
			i.Filter = text(value[1:])
		case code == optionOffset && len(value) >= 8:
			offset = int64(f.u64(value))
		}
	}
	p.clock = newClock(resolution, offset)
	return f.addPlace(p, i)
}

func (f *pcapng) addPlace(p place, i capture.Interface) (wrong string) {
	number, ok := f.known.publish(i, len(f.places))
	if !ok || len(f.places) == maxInterfaces {
		return fmt.Sprintf("more than %d interfaces", maxInterfaces)
	}
	p.number = number
	f.places = append(f.places, p)
	return ""
}

// text is an option's string; some writers end it with zeros.
func text(value []byte) string { return string(bytes.TrimRight(value, "\x00")) }

// option takes the first option off b; ok is false at their end. One that
// reaches beyond the block is damage that concerns nothing else.
func (f *pcapng) option(b []byte) (code uint16, value, rest []byte, ok bool) {
	if len(b) < 4 {
		return 0, nil, nil, false
	}
	code, size := f.u16(b), int(f.u16(b[2:]))
	if code == optionEnd {
		if size != 0 {
			f.step(fmt.Sprintf("an end of options that is %d bytes long", size))
		}
		return 0, nil, nil, false
	}
	if size > len(b)-4 {
		f.step(fmt.Sprintf("an option of %d bytes where %d are left", size, len(b)-4))
		return 0, nil, nil, false
	}
	return code, b[4 : 4+size], b[min(4+(size+3)&^3, len(b)):], true
}

// addStatistics takes in a statistics block. Its numbers are totals: the last
// block of an interface counts.
func (f *pcapng) addStatistics(body []byte) {
	if len(body) < 12 {
		f.step(fmt.Sprintf("interface statistics of %d bytes", len(body)+blockFrame))
		return
	}
	p := f.place(f.u32(body), "statistics")
	if p == nil {
		return
	}
	received, ifDropped, dropped := p.received, p.ifDropped, p.dropped
	for code, value, rest, ok := f.option(body[12:]); ok; code, value, rest, ok = f.option(rest) {
		switch {
		case len(value) < 8:
		case code == optionReceived:
			received = f.u64(value)
		case code == optionIfDropped:
			ifDropped = f.u64(value)
		case code == optionOSDropped:
			dropped = f.u64(value)
		}
	}
	// Differences, as other sections' interfaces are in the sum; unsigned
	// arithmetic gives the right sum also where a total became smaller.
	f.known.lost(received-p.received, max(dropped, p.before)-max(p.dropped, p.before), ifDropped-p.ifDropped)
	p.received, p.ifDropped, p.dropped = received, ifDropped, dropped
}

// lostBefore takes in what a packet says was lost between it and the one
// before. Statistics tell the same losses: the larger of both counts.
func (f *pcapng) lostBefore(p *place, n uint64) {
	if n == 0 {
		return
	}
	was := max(p.dropped, p.before)
	p.before += n
	if p.before < n { // no such number of packets exists
		p.before = n
	}
	f.known.lost(0, max(p.dropped, p.before)-was, 0)
}

// place finds an interface of the section; nil and a note when there is none
// that is known.
func (f *pcapng) place(number uint32, of string) *place {
	if uint64(number) >= uint64(len(f.places)) {
		f.step(fmt.Sprintf("%s of interface %d, of which the section has %d", of, number, len(f.places)))
		return nil
	}
	p := &f.places[number]
	if p.broken {
		f.step(fmt.Sprintf("%s of interface %d, whose description cannot be read", of, number))
		return nil
	}
	return p
}
