package synack

import (
	"encoding/binary"
	"net/netip"
)

// Decode reads an IPv4 or IPv6 packet that holds a TCP segment. ok is false
// for everything else, for a fragment that is not the first, a TCP header that
// is cut, and IPv6 extension headers.
func Decode(b []byte) (Answer, bool) {
	if len(b) == 0 {
		return Answer{}, false
	}
	switch b[0] >> 4 {
	case 4:
		return decode4(b)
	case 6:
		return decode6(b)
	}
	return Answer{}, false
}

func decode4(b []byte) (Answer, bool) {
	header, ok := header4(b)
	if !ok || b[9] != protoTCP {
		return Answer{}, false
	}
	fragment := binary.BigEndian.Uint16(b[6:])
	if fragment&0x1fff != 0 {
		return Answer{}, false
	}
	a := Answer{
		Src: netip.AddrFrom4([4]byte(b[12:16])), Dst: netip.AddrFrom4([4]byte(b[16:20])),
		TTL: b[8], DF: fragment&0x4000 != 0, MustBeZero: fragment&0x8000 != 0,
		ID: binary.BigEndian.Uint16(b[4:]), ECT: b[1] & 3, IPOptions: uint8(header - 20),
	}
	// Ethernet pads short frames; the length field says where the packet ends.
	if total := int(binary.BigEndian.Uint16(b[2:])); total >= header && total < len(b) {
		b = b[:total]
	}
	return a, a.decodeTCP(b[header:])
}

// header4 is the length of an IPv4 header that is all there.
func header4(b []byte) (int, bool) {
	if len(b) < 20 {
		return 0, false
	}
	header := int(b[0]&0xf) * 4
	return header, header >= 20 && header <= len(b)
}

func decode6(b []byte) (Answer, bool) {
	if len(b) < 40 || b[6] != protoTCP {
		return Answer{}, false
	}
	a := Answer{
		Src: netip.AddrFrom16([16]byte(b[8:24])), Dst: netip.AddrFrom16([16]byte(b[24:40])),
		TTL: b[7], ECT: b[1] >> 4 & 3, FlowLabel: binary.BigEndian.Uint32(b) & 0xfffff,
	}
	if total := 40 + int(binary.BigEndian.Uint16(b[4:])); total < len(b) {
		b = b[:total]
	}
	return a, a.decodeTCP(b[40:])
}

// decodeTCP reads a TCP header into a; false for one that is cut.
func (a *Answer) decodeTCP(b []byte) bool {
	a.Scale = NoScale
	if len(b) < headerLen {
		return false
	}
	header := int(b[12]>>4) * 4
	if header < headerLen || header > len(b) {
		return false
	}
	a.SPort, a.DPort = binary.BigEndian.Uint16(b[0:]), binary.BigEndian.Uint16(b[2:])
	a.Seq, a.Ack = binary.BigEndian.Uint32(b[4:]), binary.BigEndian.Uint32(b[8:])
	a.NS, a.Flags = b[12]&1 != 0, b[13]
	a.Window = binary.BigEndian.Uint16(b[14:])
	a.Urgent = binary.BigEndian.Uint16(b[18:]) != 0
	a.Payload = len(b) - header
	a.decodeOptions(b[headerLen:header])
	return true
}

// decodeOptions reads at most 40 bytes of options.
func (a *Answer) decodeOptions(b []byte) {
	var letters []byte
	defer func() { a.Layout = string(letters) }()
	for len(b) > 0 {
		switch b[0] {
		case 0:
			letters = append(letters, LetterEnd)
			a.decodePad(b[1:])
			return
		case 1:
			letters = append(letters, LetterNOP)
			b = b[1:]
			continue
		}
		if len(b) < 2 || b[1] < 2 || int(b[1]) > len(b) {
			a.BadOptions = true
			return
		}
		letters = append(letters, a.option(b[0], b[2:b[1]]))
		b = b[b[1]:]
	}
}

func (a *Answer) decodePad(b []byte) {
	a.Pad = len(b)
	for _, c := range b {
		a.PadNotZero = a.PadNotZero || c != 0
	}
}

// option notes one option's value and gives its letter.
func (a *Answer) option(kind byte, value []byte) byte {
	wanted := map[byte]int{2: 2, 3: 1, 4: 0, 8: 8}
	if length, known := wanted[kind]; known && length != len(value) {
		a.BadOptions = true
		return LetterOther
	}
	switch kind {
	case 2:
		a.MSS = binary.BigEndian.Uint16(value)
		return LetterMSS
	case 3:
		a.Scale = int(value[0])
		return LetterScale
	case 4:
		return LetterSACK
	case 8:
		a.TSVal, a.TSEcr = binary.BigEndian.Uint32(value), binary.BigEndian.Uint32(value[4:])
		return LetterTimestamp
	}
	return LetterOther
}
