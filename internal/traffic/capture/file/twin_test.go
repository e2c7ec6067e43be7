package file

import (
	"encoding/binary"
	"math/big"

	"github.com/portreeve/portreeve/internal/traffic/capture"
	"github.com/portreeve/portreeve/internal/traffic/wire"
)

// twin reads a whole capture the simple way: all of it in memory, one field
// after the other, big numbers for times. It shares nothing with the reader.
type twin struct {
	all     []byte
	order   binary.ByteOrder
	packets []capture.Packet
	cut     bool // ended inside a record
	damaged bool // a record or block made no sense
}

func twinRead(all []byte) *twin {
	t := &twin{all: all}
	if len(all) >= 4 && string(all[:4]) == "\n\r\r\n" {
		t.ng()
	} else {
		t.classic()
	}
	return t
}

func (t *twin) classic() {
	if len(t.all) < 24 {
		t.cut = true
		return
	}
	unit := int64(1000)
	for _, order := range []binary.ByteOrder{binary.BigEndian, binary.LittleEndian} {
		switch order.Uint32(t.all) {
		case 0xa1b2c3d4:
			t.order = order
		case 0xa1b23c4d:
			t.order, unit = order, 1
		}
	}
	minor := t.order.Uint16(t.all[6:])
	link := wire.LinkType(t.order.Uint32(t.all[20:]) & 0x3ffffff)
	for at := 24; at < len(t.all); {
		if at+16 > len(t.all) {
			t.cut = true
			return
		}
		n := make([]uint32, 4)
		for i := range n {
			n[i] = t.order.Uint32(t.all[at+4*i:])
		}
		if minor < 3 || minor == 3 && n[2] > n[3] {
			n[2], n[3] = n[3], n[2]
		}
		if n[2] > 262144 {
			t.damaged = true
			return
		}
		at += 16
		if at+int(n[2]) > len(t.all) {
			t.cut = true
			return
		}
		if n[3] < n[2] {
			n[3] = n[2]
		}
		t.packets = append(t.packets, capture.Packet{
			Data: t.all[at : at+int(n[2])], Wire: n[3], Link: link, Time: int64(n[0])*1e9 + int64(n[1])*unit,
		})
		at += int(n[2])
	}
}

type twinInterface struct {
	link   uint16
	snap   uint32
	res    byte
	offset int64
}

func (t *twin) ng() {
	var known []twinInterface
	left := false
	for at := 0; at < len(t.all); {
		if at+12 > len(t.all) {
			t.cut = true
			return
		}
		if string(t.all[at:at+4]) == "\n\r\r\n" {
			switch string(t.all[at+8 : at+12]) {
			case "\x1a\x2b\x3c\x4d":
				t.order = binary.BigEndian
			case "\x4d\x3c\x2b\x1a":
				t.order = binary.LittleEndian
			default:
				t.damaged = true
				return
			}
		}
		size := int(t.order.Uint32(t.all[at+4:]))
		if size < 12 || size%4 != 0 || size > 16<<20 {
			t.damaged = true
			return
		}
		if at+size > len(t.all) {
			t.cut = true
			return
		}
		if int(t.order.Uint32(t.all[at+size-4:])) != size {
			t.damaged = true
			return
		}
		body := t.all[at+8 : at+size-4]
		switch kind := t.order.Uint32(t.all[at:]); {
		case kind == 0x0a0d0d0a:
			if len(body) < 16 {
				t.damaged = true
				return
			}
			known, left = nil, t.order.Uint16(body[4:]) != 1
			minor := t.order.Uint16(body[6:])
			t.damaged = t.damaged || left || minor == 1 || minor > 2
			if !left {
				t.eachOption(body[16:], func(uint16, []byte) {})
			}
		case left:
		case kind == 1 && len(body) >= 8:
			known = append(known, t.describe(body))
		case kind == 1:
			t.damaged = true
			known = append(known, twinInterface{res: 0xff, link: 0xffff})
		case kind == 2 || kind == 6:
			t.packet(known, body, kind == 2)
		case kind == 3:
			t.simple(known, body)
		case kind == 5 && (len(body) < 12 || int(t.order.Uint32(body)) >= len(known)):
			t.damaged = true
		case kind == 5:
			t.eachOption(body[12:], func(uint16, []byte) {})
		case kind == 4:
			t.names(body)
		case kind == 10:
			t.secrets(body)
		}
		at += size
	}
}

func (t *twin) names(body []byte) {
	rest := body
	t.eachRecord(&rest, func(kind uint16, value []byte) {
		need := 0
		if kind == 1 {
			need = 4
		}
		if kind == 2 {
			need = 16
		}
		if len(value) < need || need > 0 && len(value) > need && value[len(value)-1] != 0 {
			t.damaged = true
		}
	})
	t.eachRecord(&rest, func(uint16, []byte) {})
}

func (t *twin) secrets(body []byte) {
	if len(body) < 8 || int64(t.order.Uint32(body[4:])) > int64(len(body)-8) {
		t.damaged = true
		return
	}
	for at := 8 + int(t.order.Uint32(body[4:])); at <= len(body); at++ {
		if at%4 == 0 {
			t.eachOption(body[at:], func(uint16, []byte) {})
			return
		}
	}
}

func (t *twin) describe(body []byte) twinInterface {
	i := twinInterface{link: t.order.Uint16(body), snap: t.order.Uint32(body[4:]), res: 6}
	t.eachOption(body[8:], func(code uint16, value []byte) {
		if code == 9 && len(value) >= 1 {
			i.res = value[0]
		}
		if code == 14 && len(value) >= 8 {
			i.offset = int64(t.order.Uint64(value))
		}
	})
	return i
}

func (t *twin) eachOption(b []byte, see func(uint16, []byte)) { t.eachRecord(&b, see) }

// eachRecord leaves in rest what is behind the last one; nothing where there
// is no last one.
func (t *twin) eachRecord(rest *[]byte, see func(uint16, []byte)) {
	b := *rest
	*rest = nil
	for at := 0; at+4 <= len(b); {
		code, size := t.order.Uint16(b[at:]), int(t.order.Uint16(b[at+2:]))
		at += 4
		if code == 0 {
			t.damaged = t.damaged || size != 0
			*rest = b[at:]
			return
		}
		if at+size > len(b) {
			t.damaged = true
			return
		}
		see(code, b[at:at+size])
		for at += size; at%4 != 0; {
			at++
		}
	}
}

func (t *twin) packet(known []twinInterface, body []byte, old bool) {
	if len(body) < 20 {
		t.damaged = true
		return
	}
	number := int(t.order.Uint32(body))
	if old {
		number = int(t.order.Uint16(body))
	}
	stored, length := int(t.order.Uint32(body[12:])), t.order.Uint32(body[16:])
	if number >= len(known) || known[number] == (twinInterface{res: 0xff, link: 0xffff}) || stored > len(body)-20 || stored > 262144 {
		t.damaged = true
		return
	}
	i := known[number]
	ticks := new(big.Int).SetUint64(uint64(t.order.Uint32(body[4:]))<<32 | uint64(t.order.Uint32(body[8:])))
	p := capture.Packet{Data: body[20 : 20+stored], Wire: max(length, uint32(stored)), Link: wire.LinkType(i.link), Time: twinTime(ticks, i)}
	if at := (20 + stored + 3) / 4 * 4; at < len(body) {
		t.eachOption(body[at:], func(code uint16, value []byte) {
			if code == 2 && len(value) >= 4 {
				p.Direction = []capture.Direction{capture.DirUnknown, capture.Inbound, capture.Outbound, capture.DirUnknown}[t.order.Uint32(value)%4]
			}
		})
	}
	t.packets = append(t.packets, p)
}

// twinTime is floor(ticks * 10^9 / units) + offset * 10^9, at most what an
// int64 holds, give or take the last second of its range.
func twinTime(ticks *big.Int, i twinInterface) int64 {
	base := int64(10)
	if i.res&0x80 != 0 {
		base = 2
	}
	units := new(big.Int).Exp(big.NewInt(base), big.NewInt(int64(i.res&0x7f)), nil)
	ns := new(big.Int).Mul(ticks, big.NewInt(1e9))
	ns.Div(ns, units)
	ns.Add(ns, new(big.Int).Mul(big.NewInt(i.offset), big.NewInt(1e9)))
	first, last := big.NewInt(-1<<63), big.NewInt(1<<63-1)
	switch {
	case ns.Cmp(first) < 0:
		return -1 << 63
	case ns.Cmp(last) > 0:
		return 1<<63 - 1
	}
	return ns.Int64()
}

func (t *twin) simple(known []twinInterface, body []byte) {
	if len(body) < 4 || len(known) == 0 || known[0] == (twinInterface{res: 0xff, link: 0xffff}) {
		t.damaged = true
		return
	}
	length := t.order.Uint32(body)
	stored := length
	if known[0].snap > 0 && known[0].snap < stored {
		stored = known[0].snap
	}
	if stored > 262144 || int(stored) > len(body)-4 {
		t.damaged = true
		return
	}
	if len(body)-4 >= int(stored)+4 {
		t.damaged = true
	}
	t.packets = append(t.packets, capture.Packet{Data: body[4 : 4+stored], Wire: max(length, stored), Link: wire.LinkType(known[0].link)})
}
