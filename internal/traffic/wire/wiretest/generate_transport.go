package wiretest

import (
	"net/netip"

	"pgregory.net/rapid"

	"github.com/portreeve/portreeve/internal/traffic/wire"
)

// port draws a port that is no tunnel's.
func port(t *rapid.T) uint16 {
	return rapid.OneOf(rapid.SampledFrom([]uint16{53, 80, 443}), rapid.Uint16Range(10000, 65535)).Draw(t, "port")
}

// transport puts a transport header and a payload, and tells what a decoder
// finds of them: in a later fragment only the number.
func (c *Case) transport(t *rapid.T) {
	c.l4 = len(c.Layers)
	w := &c.Want
	src, dst := port(t), port(t)
	payload := Bytes(rapid.SliceOfN(rapid.Byte(), 0, 40).Draw(t, "payload"))
	w.HasPorts, w.SrcPort, w.DstPort = true, src, dst
	switch rapid.IntRange(0, 7).Draw(t, "transport") {
	case 0, 1:
		c.tcp(t, src, dst)
	case 2:
		c.add(UDP{SrcPort: src, DstPort: dst})
		c.l4Header = 8
	case 3:
		c.add(UDPLite{SrcPort: src, DstPort: dst})
		c.l4Header = 8
	case 4:
		w.Flags = rapid.Uint16Range(0, 14).Draw(t, "chunk")
		c.add(SCTP{SrcPort: src, DstPort: dst, Chunk: uint8(w.Flags)})
		c.l4Header = 12
	case 5:
		w.Flags = rapid.Uint16Range(0, 9).Draw(t, "type")
		c.add(DCCP{SrcPort: src, DstPort: dst, Type: uint8(w.Flags)})
		c.l4Header = 16
	case 6:
		payload = c.icmp(t, payload)
	case 7:
		w.HasPorts, w.SrcPort, w.DstPort = false, 0, 0
		c.add(Other{rapid.SampledFrom([]uint8{2, 46, 50, 89}).Draw(t, "number")})
	}
	w.Proto = ProtoOf(c.Layers[c.l4])
	c.add(payload)
	if w.FragOffset > 0 {
		c.hide()
	}
}

// hide takes back what a later fragment does not tell.
func (c *Case) hide() {
	w := &c.Want
	c.l4Header = 0
	w.HasPorts, w.SrcPort, w.DstPort = false, 0, 0
	w.HasICMP, w.ICMPType, w.ICMPCode, w.ICMPID = false, 0, 0, 0
	w.HasTCP, w.Flags, w.Window, w.Seq, w.Ack = false, 0, 0, 0, 0
	w.HasQuote = false
	w.Quote = wire.Quote{}
}

func (c *Case) tcp(t *rapid.T, src, dst uint16) {
	w := &c.Want
	w.HasTCP, w.Flags, w.Window = true, rapid.Uint16Range(0, 0x1ff).Draw(t, "flags"), rapid.Uint16().Draw(t, "window")
	w.Seq, w.Ack = rapid.Uint32().Draw(t, "seq"), rapid.Uint32().Draw(t, "ack")
	options := rapid.SliceOfN(rapid.Byte(), 0, 40).Draw(t, "TCP options")
	c.add(TCP{src, dst, w.Seq, w.Ack, w.Flags, w.Window, options})
	c.l4Header = 20 + (len(options)+3)/4*4
}

// icmp puts an echo request, or an error that quotes a datagram, which is the
// payload that it gives back.
func (c *Case) icmp(t *rapid.T, payload Bytes) Bytes {
	w := &c.Want
	w.HasPorts, w.SrcPort, w.DstPort = false, 0, 0
	w.HasICMP = true
	c.l4Header = 8
	six := w.Version == 6
	if rapid.Bool().Draw(t, "echo") {
		w.ICMPType, w.ICMPID = 8, rapid.Uint16().Draw(t, "id")
		if six {
			w.ICMPType = 128
		}
	} else {
		w.ICMPType, w.ICMPCode = 3, rapid.Uint8Range(0, 4).Draw(t, "code")
		payload = c.quote(t, six)
	}
	if six {
		c.add(ICMPv6{Type: w.ICMPType, Code: w.ICMPCode, ID: w.ICMPID})
	} else {
		c.add(ICMP{Type: w.ICMPType, Code: w.ICMPCode, ID: w.ICMPID})
	}
	return payload
}

func (c *Case) quote(t *rapid.T, six bool) Bytes {
	q := &c.Want.Quote
	src, dst := address(t, six), address(t, six)
	c.Want.HasQuote = true
	q.Proto, q.HasPorts, q.SrcPort, q.DstPort = 17, true, port(t), port(t)
	q.Src, q.Dst = src.As16(), dst.As16()
	udp := UDP{SrcPort: q.SrcPort, DstPort: q.DstPort}
	if !six {
		return Frame(IPv4{Src: src, Dst: dst, Options: make([]byte, 4)}, udp)
	}
	return Frame(quoted6(src, dst, rapid.Bool().Draw(t, "quoted extension"), udp)...)
}

func quoted6(src, dst netip.Addr, extended bool, udp UDP) []Layer {
	if extended {
		return []Layer{IPv6{Src: src, Dst: dst}, Extension{Proto: 60, Body: []byte{1, 4}}, udp}
	}
	return []Layer{IPv6{Src: src, Dst: dst}, udp}
}
