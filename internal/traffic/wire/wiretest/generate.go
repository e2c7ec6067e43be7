package wiretest

import (
	"net/netip"

	"pgregory.net/rapid"

	"github.com/portreeve/portreeve/internal/traffic/wire"
)

// Case is a frame and what a decoder must find in it.
type Case struct {
	Link   wire.LinkType
	Layers []Layer
	Frame  []byte
	// Want is the whole Packet; its Payload is a copy.
	Want wire.Packet
	// Headers is how many bytes of the frame a decoder needs: TCP's and DCCP's
	// options are none of them.
	Headers int

	carries  carries
	typed    bool // the link has an EtherType
	before   int  // layers before the innermost IP header
	l4       int  // layers before the transport
	l4Header int  // its length in bytes
}

// carries is what the layers so far can carry.
type carries int

const (
	anyType carries = iota // they have an EtherType
	pppType                // IP or MPLS, by a PPP protocol number
	ipOnly
	onlyIPv6
	onlyIPv4
)

// Any draws a whole frame: a link type, tags, up to four tunnels, an IP packet
// with or without extension headers, a transport, a payload.
func Any(t *rapid.T) Case {
	var c Case
	c.link(t)
	links := len(c.Layers)
	for range rapid.IntRange(0, 4).Draw(t, "tunnels") {
		c.tunnel(t)
	}
	c.before = len(c.Layers)
	c.ip(t)
	c.transport(t)
	if c.typed {
		c.Want.EtherType = EtherTypeOf(c.Layers[links])
	}
	c.Link, c.Frame = LinkOf(c.Layers...), Frame(c.Layers...)
	c.places()
	return c
}

// places fills in where the innermost headers begin and how long they are.
func (c *Case) places() {
	inner, l4 := Frame(c.Layers[c.before:]...), Frame(c.Layers[c.l4:]...)
	w := &c.Want
	at := c.offset()
	w.Kind, w.IPLen = wire.KindIP, uint32(len(inner))
	w.Hdr, w.L4 = uint16(at), uint16(at+len(inner)-len(l4))
	w.PayloadLen = uint32(len(l4) - c.l4Header)
	if w.PayloadLen > 0 {
		w.Payload = l4[c.l4Header:]
	}
	c.Headers = int(w.L4) + c.needs()
}

func (c *Case) needs() int {
	switch {
	case c.l4Header == 0:
		return 0
	case c.Want.HasTCP:
		return 20
	case c.Want.Proto == 33:
		return 12
	}
	return c.l4Header
}

// offset finds where in the frame the innermost packet begins: its TTL, which
// nothing before it depends on, is the first byte that another TTL changes.
func (c *Case) offset() int {
	other := append([]Layer(nil), c.Layers...)
	within := 8
	switch l := other[c.before].(type) {
	case IPv4:
		l.TTL ^= 0x80
		other[c.before] = l
	case IPv6:
		l.HopLimit ^= 0x80
		other[c.before], within = l, 7
	}
	changed := Frame(other...)
	for i := range c.Frame {
		if c.Frame[i] != changed[i] {
			return i - within
		}
	}
	return -1
}

func (c *Case) add(layers ...Layer) { c.Layers = append(c.Layers, layers...) }

func (c *Case) link(t *rapid.T) {
	chosen := rapid.IntRange(0, 21).Draw(t, "link")
	if chosen < 6 {
		c.ethernet(t, rapid.SampledFrom([]int{0, 60}).Draw(t, "least"))
		c.tags(t)
		return
	}
	if chosen < 11 {
		c.wifi(t)
		return
	}
	flag := rapid.Bool().Draw(t, "flag")
	layer := [...]Layer{
		Bytes(nil), Null{Big: flag}, Null{Six: 24}, SLL{}, SLL2{}, PPP{HDLC: flag, Short: true},
		CHDLC{}, NFLog{Big: flag}, ENC{}, PFLog{}, IPNet{},
	}[chosen-11]
	switch layer.(type) {
	case SLL, SLL2:
		c.add(layer)
		c.typed = true
		c.tags(t)
	case CHDLC:
		c.add(layer)
		c.typed = true
	case PPP:
		c.add(layer)
		c.carries = pppType
	case Bytes:
		c.carries = ipOnly
	default:
		c.add(layer)
		c.carries = ipOnly
	}
}

func mac(t *rapid.T) [6]byte {
	return [6]byte(rapid.SliceOfN(rapid.Byte(), 6, 6).Draw(t, "mac"))
}

// ethernet begins a frame with an Ethernet header, maybe behind a
// pseudo-header.
func (c *Case) ethernet(t *rapid.T, least int) {
	e := Ethernet{Dst: mac(t), Src: mac(t), Min: least}
	c.Want.HasMAC, c.Want.DstMAC, c.Want.SrcMAC = true, e.Dst, e.Src
	switch rapid.IntRange(0, 5).Draw(t, "pseudo") {
	case 0:
		c.add(PPI{})
	case 1:
		c.add(PKTAP{})
	}
	c.typed = true
	if rapid.IntRange(0, 5).Draw(t, "llc") == 0 {
		e.LLC, e.Min = true, 0
		c.add(e, SNAP{})
		c.carries = ipOnly
		return
	}
	c.add(e)
}

func (c *Case) tags(t *rapid.T) {
	if c.carries != anyType {
		return
	}
	for range rapid.IntRange(0, 3).Draw(t, "tags") {
		tag := VLAN{
			TPID:     rapid.SampledFrom([]uint16{0, 0x88a8, 0x9100}).Draw(t, "tpid"),
			ID:       rapid.Uint16Range(0, 4095).Draw(t, "vlan"),
			Priority: rapid.Uint8Range(0, 7).Draw(t, "priority"),
		}
		if int(c.Want.VLANCount) < len(c.Want.VLANs) {
			c.Want.VLANs[c.Want.VLANCount] = tag.ID
		}
		c.Want.VLANCount++
		c.add(tag)
	}
}

func (c *Case) wifi(t *rapid.T) {
	w := WiFi{
		ToDS: rapid.Bool().Draw(t, "to"), FromDS: rapid.Bool().Draw(t, "from"),
		QoS: rapid.Bool().Draw(t, "qos"), HT: rapid.Bool().Draw(t, "ht"),
		AMSDU: rapid.Bool().Draw(t, "amsdu"), Pad: rapid.Bool().Draw(t, "pad"),
	}
	switch rapid.IntRange(0, 3).Draw(t, "monitor") {
	case 0:
		w.Pad = false
	case 1:
		c.add(Radiotap{Pad: w.Pad, Extended: rapid.Bool().Draw(t, "extended")})
	case 2:
		w.Pad = false
		c.add(Prism{Big: rapid.Bool().Draw(t, "big")})
	case 3:
		w.Pad = false
		c.add(AVS{})
	}
	c.add(w, SNAP{OUI: rapid.SampledFrom([]uint32{0, 0xf8}).Draw(t, "oui")})
	c.Want.HasMAC = true
	c.typed, c.carries = true, ipOnly
}

func address(t *rapid.T, six bool) netip.Addr {
	n := 4
	if six {
		n = 16
	}
	b := rapid.SliceOfN(rapid.Byte(), n, n).Draw(t, "address")
	b[0] |= 1 // not unspecified, and no IPv4 in IPv6
	a, _ := netip.AddrFromSlice(b)
	return a
}

// version draws an IP version that the layers so far can carry.
func (c *Case) version(t *rapid.T) bool {
	switch c.carries {
	case onlyIPv6:
		return true
	case onlyIPv4:
		return false
	}
	return rapid.Bool().Draw(t, "IPv6")
}

// outer puts an IP header that carries a tunnel.
func (c *Case) outer(t *rapid.T) (six bool) {
	six = c.version(t)
	src, dst := address(t, six), address(t, six)
	if c.Want.OuterSrc == [16]byte{} {
		c.Want.OuterSrc, c.Want.OuterDst = src.As16(), dst.As16()
	}
	if !six {
		c.add(IPv4{Src: src, Dst: dst})
		return false
	}
	c.add(IPv6{Src: src, Dst: dst})
	if rapid.IntRange(0, 4).Draw(t, "outer options") == 0 {
		c.add(Extension{Proto: 60, Body: []byte{4, 1, 3}}) // tunnel encapsulation limit
	}
	return true
}

func (c *Case) wrapped(in wire.Tunnel, now carries) {
	if int(c.Want.Depth) < len(c.Want.Tunnels) {
		c.Want.Tunnels[c.Want.Depth] = in
	}
	c.Want.Depth++
	c.carries = now
}

// ip puts the innermost IP header with its extension headers.
func (c *Case) ip(t *rapid.T) {
	w := &c.Want
	six := c.version(t)
	src, dst := address(t, six), address(t, six)
	w.Src, w.Dst = src.As16(), dst.As16()
	w.TOS, w.TTL = rapid.Byte().Draw(t, "tos"), rapid.Uint8Range(1, 127).Draw(t, "ttl")
	if six {
		w.Version = 6
		c.add(IPv6{Src: src, Dst: dst, Class: w.TOS, HopLimit: w.TTL})
		c.extensions(t)
		return
	}
	w.Version, w.ID = 4, uint32(rapid.Uint16().Draw(t, "id"))
	h := IPv4{
		Src: src, Dst: dst, TOS: w.TOS, TTL: w.TTL, ID: uint16(w.ID),
		DontFrag: rapid.Bool().Draw(t, "df"),
		Options:  rapid.SliceOfN(rapid.Byte(), 0, 12).Draw(t, "options"),
	}
	h.FragOffset, h.More = c.fragment(t)
	w.IsFragment = h.More || h.FragOffset > 0
	c.add(h)
	if rapid.IntRange(0, 4).Draw(t, "ah") == 0 && h.FragOffset == 0 {
		c.add(AH{ICV: make([]byte, 12)})
	}
}

func (c *Case) fragment(t *rapid.T) (offset uint16, more bool) {
	if rapid.IntRange(0, 3).Draw(t, "fragment") == 0 {
		offset = rapid.Uint16Range(0, 3).Draw(t, "offset") * 1480
		more = rapid.Bool().Draw(t, "more")
	}
	c.Want.FragOffset, c.Want.MoreFragments = offset, more
	return offset, more
}

func (c *Case) extensions(t *rapid.T) {
	w := &c.Want
	body := func(most int) []byte { return rapid.SliceOfN(rapid.Byte(), 0, most).Draw(t, "body") }
	for range rapid.IntRange(0, 3).Draw(t, "extensions") {
		switch rapid.IntRange(0, 3).Draw(t, "extension") {
		case 0:
			c.add(Extension{Proto: 43, Body: body(30)})
		case 1:
			c.add(Extension{Proto: 60, Body: body(300)})
		case 2:
			c.add(AH{ICV: body(20)})
		case 3:
			c.add(Extension{Proto: rapid.SampledFrom([]uint8{0, 135, 139, 140}).Draw(t, "kind"), Body: body(20)})
		}
	}
	if rapid.Bool().Draw(t, "fragment header") {
		f := Fragment{ID: rapid.Uint32().Draw(t, "id")}
		f.Offset, f.More = c.fragment(t)
		if f.Offset > 0 || f.More {
			w.IsFragment, w.ID = true, f.ID
		}
		c.add(f)
	}
}
