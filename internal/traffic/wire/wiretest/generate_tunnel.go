package wiretest

import (
	"pgregory.net/rapid"

	"github.com/portreeve/portreeve/internal/traffic/wire"
)

// tunnel puts one tunnel that the layers so far can carry.
func (c *Case) tunnel(t *rapid.T) {
	switch n := rapid.IntRange(0, 15).Draw(t, "tunnel"); {
	case n == 0 && c.carries <= pppType:
		c.labels(t)
	case n == 1 && c.carries == anyType:
		c.add(PPPoE{Session: 7}, PPP{HDLC: false})
		c.wrapped(wire.PPPoE, pppType)
	case n < 8:
		c.inIP(t, n)
	default:
		c.inUDP(t, n)
	}
}

// labels puts MPLS labels, before an IP packet or a pseudowire.
func (c *Case) labels(t *rapid.T) {
	for range rapid.IntRange(1, 3).Draw(t, "labels") {
		c.add(MPLS{Label: 16})
	}
	if rapid.Bool().Draw(t, "pseudowire") {
		// The first byte of an address tells a frame from a packet.
		c.add(ControlWord{Sequence: 1}, Ethernet{Dst: [6]byte{0x0a}})
		c.wrapped(wire.MPLS, ipOnly)
		return
	}
	c.wrapped(wire.MPLS, ipOnly)
}

func (c *Case) inIP(t *rapid.T, n int) {
	flag, other := rapid.Bool().Draw(t, "flag"), rapid.Bool().Draw(t, "other")
	six := c.outer(t)
	switch n {
	case 0:
		c.labels(t)
	case 1:
		c.ipInIP(six, flag)
	case 2:
		c.add(ERSPAN{Type: 1}, Ethernet{})
		c.wrapped(wire.ERSPAN1, anyType)
	case 3:
		c.add(ERSPAN{Type: 2}, Ethernet{})
		c.wrapped(wire.ERSPAN2, anyType)
	case 4:
		c.add(ERSPAN{Type: 3, Subheader: flag})
		c.wrapped(wire.ERSPAN3, ipOnly)
		if other {
			c.add(Ethernet{})
			c.carries = anyType
		}
	case 5:
		c.add(PPTP{Ack: flag}, PPP{HDLC: other})
		c.wrapped(wire.GRE, pppType)
	case 6:
		c.add(EtherIP{}, Ethernet{})
		c.wrapped(wire.EtherIP, anyType)
	case 7:
		c.add(GRE{Checksum: flag, Key: other, Sequence: rapid.Bool().Draw(t, "sequence")})
		c.wrapped(wire.GRE, anyType)
	}
}

func (c *Case) ipInIP(six, next6 bool) {
	switch {
	case !next6:
		c.wrapped(wire.IPInIP, onlyIPv4)
	case six:
		c.wrapped(wire.IPInIP, onlyIPv6)
	default:
		c.wrapped(wire.SixInFour, onlyIPv6)
	}
}

func (c *Case) inUDP(t *rapid.T, n int) {
	flag, other := rapid.Bool().Draw(t, "flag"), rapid.Bool().Draw(t, "other")
	c.outer(t)
	udp := func(to uint16) { c.add(UDP{SrcPort: rapid.Uint16Min(49152).Draw(t, "source port"), DstPort: to}) }
	switch n {
	case 8:
		udp(rapid.SampledFrom([]uint16{4789, 8472}).Draw(t, "VXLAN port"))
		c.add(VXLAN{VNI: 5, Policy: flag}, Ethernet{})
		c.wrapped(wire.VXLAN, anyType)
	case 9:
		udp(4790)
		c.add(VXLAN{VNI: 5, GPE: true})
		c.wrapped(wire.VXLAN, ipOnly)
		if flag {
			c.add(NSH{})
			c.wrapped(wire.NSH, ipOnly)
		}
	case 10:
		udp(6081)
		c.add(Geneve{VNI: 5, Options: make([]byte, rapid.IntRange(0, 12).Draw(t, "options"))})
		c.wrapped(wire.Geneve, anyType)
	case 11:
		udp(2152)
		c.add(GTPU{Sequence: flag, Extensions: rapid.IntRange(0, 2).Draw(t, "extensions")})
		c.wrapped(wire.GTPU, ipOnly)
	case 12:
		udp(1701)
		c.add(L2TP{Length: flag, Sequence: other, Offset: rapid.Bool().Draw(t, "offset")}, PPP{HDLC: true})
		c.wrapped(wire.L2TP, pppType)
	case 13:
		udp(3544)
		c.add(Teredo{Authentication: flag, Origin: other})
		c.wrapped(wire.Teredo, onlyIPv6)
	case 14:
		udp(6635)
		c.labels(t)
	case 15:
		udp(4754)
		c.add(GRE{Key: flag})
		c.wrapped(wire.GRE, anyType)
	}
}
