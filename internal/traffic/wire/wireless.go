package wire

// wireless decodes IEEE 802.11 behind its pseudo-headers.
func (d *Decoder) wireless(link LinkType, p *Packet, f []byte, off, wire int) {
	size, padded := 0, false
	switch link {
	case Link80211Radiotap:
		size, padded = radiotap(f, off)
	case Link80211Prism:
		size = prism(f, off)
	case Link80211AVS:
		size = avs(f, off)
	}
	switch {
	case size == needMore || size > len(f)-off:
		p.fail(missing(f, wire))
	case size == malformed:
		p.fail(BadLink)
	default:
		d.wifi(p, f, off+size, wire, padded)
	}
}

// What a pseudo-header's length may be instead.
const (
	needMore  = -1
	malformed = -2
)

// radiotap gives the length of a radiotap header (radiotap.org), and whether
// its flags say that the 802.11 header is padded to four bytes.
func radiotap(f []byte, off int) (size int, padded bool) {
	const tsft, flags, more, dataPad = 1 << 0, 1 << 1, 1 << 31, 0x20
	if !has(f, off, 8) {
		return needMore, false
	}
	size = int(le16(f[off+2:]))
	if f[off] != 0 || size < 8 {
		return malformed, false
	}
	if !has(f, off, size) {
		return needMore, false
	}
	present, at := le32(f[off+4:]), 8
	for word := present; word&more != 0; at += 4 {
		if at+4 > size {
			return malformed, false
		}
		word = le32(f[off+at:])
	}
	if present&tsft != 0 {
		at = (at+7)&^7 + 8
	}
	if present&flags == 0 || at >= size {
		return size, false
	}
	return size, f[off+at]&dataPad != 0
}

// prism gives the length of a Prism monitor header, in the byte order of the
// host that captured; an AVS header may stand in its place.
func prism(f []byte, off int) int {
	if !has(f, off, 8) {
		return needMore
	}
	if be32(f[off:])>>12 == avsMagic>>12 {
		return avs(f, off)
	}
	size := le32(f[off+4:])
	if size > 0xffff {
		size = be32(f[off+4:])
	}
	if size < 8 || size > 0xffff {
		return malformed
	}
	return int(size)
}

// avsMagic is the version of an AVS header, big endian, in its lowest digits
// the revision.
const avsMagic = 0x80211000

func avs(f []byte, off int) int {
	if !has(f, off, 8) {
		return needMore
	}
	size := be32(f[off+4:])
	if be32(f[off:])>>12 != avsMagic>>12 || size < 8 || size > 0xffff {
		return malformed
	}
	return int(size)
}

// wifi decodes an IEEE 802.11 frame (9.2.4). Only data that is not encrypted
// can lead to IP. padded: the header is filled up to a multiple of four.
func (d *Decoder) wifi(p *Packet, f []byte, off, wire int, padded bool) {
	const (
		typeMask, data     = 0x0c, 0x08
		noData, qos        = 0x40, 0x80 // subtype bits
		toDS, fromDS       = 0x01, 0x02
		protected, order   = 0x40, 0x80
		aMSDU              = 0x80
		base, addr4, qosHT = 24, 6, 4
	)
	if !has(f, off, 2) {
		p.fail(missing(f, wire))
		return
	}
	kind, flags := f[off], f[off+1]
	if kind&typeMask != data || kind&noData != 0 || flags&protected != 0 || kind&3 != 0 {
		p.Kind = KindOther
		return
	}
	size, aggregate := base, false
	if flags&(toDS|fromDS) == toDS|fromDS {
		size += addr4
	}
	if kind&qos != 0 {
		aggregate = has(f, off, size+1) && f[off+size]&aMSDU != 0
		size += 2
		if flags&order != 0 {
			size += qosHT
		}
	}
	if padded {
		size = (size + 3) &^ 3
	}
	if !has(f, off, size) {
		p.fail(missing(f, wire))
		return
	}
	p.wifiAddresses(f[off:off+size], flags&toDS != 0, flags&fromDS != 0)
	if aggregate {
		d.aMSDU(p, f, off+size, wire)
		return
	}
	d.llc(p, f, off+size, wire)
}

// wifiAddresses finds destination and source (802.11 table 9-60).
func (p *Packet) wifiAddresses(h []byte, toDS, fromDS bool) {
	dst, src := 4, 10
	switch {
	case toDS && fromDS:
		dst, src = 16, 24
	case toDS:
		dst = 16
	case fromDS:
		src = 16
	}
	p.HasMAC = true
	p.DstMAC, p.SrcMAC = [6]byte(h[dst:dst+6]), [6]byte(h[src:src+6])
}

// aMSDU decodes the first of the frames that one 802.11 frame aggregates:
// destination, source, length, LLC. The others are not looked at.
func (d *Decoder) aMSDU(p *Packet, f []byte, off, wire int) {
	const size = 14
	if !has(f, off, size) {
		p.fail(missing(f, wire))
		return
	}
	p.DstMAC, p.SrcMAC = [6]byte(f[off:off+6]), [6]byte(f[off+6:off+12])
	end := min(wire, off+size+int(be16(f[off+12:])))
	d.llc(p, trim(f, end), off+size, end)
}
