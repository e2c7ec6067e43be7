package filter

import "github.com/portreeve/portreeve/internal/traffic/wire"

// Link-layer header types, LINKTYPE_ of pcap-linktype(7).
const (
	linkNull      wire.LinkType = 0
	linkEthernet  wire.LinkType = 1
	linkTokenRing wire.LinkType = 6
	linkSLIP      wire.LinkType = 8
	linkPPP       wire.LinkType = 9
	linkFDDI      wire.LinkType = 10
	linkRawBSD    wire.LinkType = 12
	linkRawOpen   wire.LinkType = 14
	linkPPPHDLC   wire.LinkType = 50
	linkPPPEther  wire.LinkType = 51
	linkATM       wire.LinkType = 100
	linkRaw       wire.LinkType = 101
	linkCHDLC     wire.LinkType = 104
	link80211     wire.LinkType = 105
	linkFrelay    wire.LinkType = 107
	linkLoop      wire.LinkType = 108
	linkEnc       wire.LinkType = 109
	linkSLL       wire.LinkType = 113
	linkPFLOG     wire.LinkType = 117
	linkPrism     wire.LinkType = 119
	linkIPFC      wire.LinkType = 122
	linkRadiotap  wire.LinkType = 127
	link1394      wire.LinkType = 138
	linkAVS       wire.LinkType = 163
	linkPPPD      wire.LinkType = 166
	linkPPI       wire.LinkType = 192
	linkIPv4      wire.LinkType = 228
	linkIPv6      wire.LinkType = 229
	linkSLL2      wire.LinkType = 276
)

// place is a position in the packet: k, plus the content of reg when not 0.
type place struct {
	reg reg
	k   uint32
}

// layout is where the headers are that tests look at. The words vlan, mpls,
// pppoes and geneve change it for all that follows them.
type layout struct {
	link wire.LinkType
	// hdr begins the link header, typ is its field with the payload's type
	// (hasType), pl begins its payload.
	hdr, typ, pl place
	hasType      bool
	// nl is where the network header begins in the payload, behind a SNAP
	// header where the link has one; nlPlain without.
	nl, nlPlain uint32
	labels      int  // MPLS labels looked at
	vlans       int  // VLAN tags looked at
	geneve      bool // in the payload of Geneve
	inner       bool // in the payload of something
	// geneveHdr and genevePl tell whether Geneve carried a link header.
	geneveHdr, genevePl reg
}

// Registers that the prologue sets.
const (
	regLink    reg = 1 // length of the radio header
	regPayload reg = 2 // where the link's payload begins
	firstFree  reg = 3
)

func outermost(link wire.LinkType) layout {
	l := layout{link: link}
	fixed := func(typ, pl, nl, plain uint32) layout {
		l.typ.k, l.pl.k, l.nl, l.nlPlain, l.hasType = typ, pl, nl, plain, true
		return l
	}
	switch link {
	case linkEthernet:
		return fixed(12, 14, 0, 3)
	case linkNull, linkLoop:
		return fixed(0, 4, 0, 0)
	case linkEnc:
		return fixed(0, 12, 0, 0)
	case linkPPP, linkCHDLC, linkPPPHDLC, linkPPPD:
		return fixed(2, 4, 0, 0)
	case linkPPPEther:
		return fixed(6, 8, 0, 0)
	case linkSLL:
		return fixed(14, 16, 0, 0)
	case linkSLL2:
		return fixed(0, 20, 0, 0)
	case linkFDDI:
		return fixed(13, 13, 8, 3)
	case linkTokenRing:
		return fixed(14, 14, 8, 3)
	case linkIPFC:
		return fixed(16, 16, 8, 3)
	case linkATM:
		return fixed(0, 0, 8, 3)
	case link1394:
		return fixed(16, 18, 0, 0)
	case linkSLIP:
		l.pl.k = 16
	}
	return wireless(l)
}

// wireless is for the links whose header's length is in the packet.
func wireless(l layout) layout {
	if l.is80211() {
		l.typ.k, l.hasType, l.nl, l.nlPlain = 24, true, 8, 3
		l.pl.reg = regPayload
		if l.link != link80211 {
			l.hdr.reg = regLink
		}
	}
	if l.link == linkPFLOG {
		l.hasType, l.pl.reg = true, regPayload
	}
	return l
}

func (l *layout) is80211() bool {
	switch l.link {
	case link80211, linkPrism, linkAVS, linkRadiotap, linkPPI:
		return true
	}
	return false
}

func (l *layout) isRaw() bool {
	switch l.link {
	case linkRaw, linkRawBSD, linkRawOpen, linkSLIP:
		return true
	}
	return false
}

// base is what an offset counts from.
type base uint8

const (
	atPacket  base = iota
	atLink         // link header
	atType         // the link header's type field
	atLLC          // link payload
	atNet          // network header
	atNetBare      // network header without SNAP
	atTran4        // behind the IPv4 header
	atTran6        // behind the IPv6 header, without extensions
)

// load is size bytes at off from b.
func (l *layout) load(b base, off uint32, size uint8) *value {
	v := &value{op: vLoad, size: size}
	p, more := place{}, uint32(0)
	switch b {
	case atLink:
		p = l.hdr
	case atType:
		p = l.typ
	case atLLC:
		p = l.pl
	case atNet:
		p, more = l.pl, l.nl
	case atNetBare:
		p, more = l.pl, l.nlPlain
	case atTran6:
		p, more = l.pl, l.nl+40
	case atTran4:
		p, more = l.pl, l.nl
		v.hasHead, v.head = true, p.k+more
	}
	v.reg, v.k = p.reg, p.k+more+off
	return v
}

// shifted is a load moved by an index. Positions that no packet has stay out
// of the kernel's special ones (SKF_AD_OFF and the like, linux/filter.h).
func (v *value) shifted(idx *value) *value {
	out := *v
	out.name = ""
	if idx.op != vConst {
		out.idx = idx
		return &out
	}
	if k := uint64(v.k) + uint64(idx.k); k < nowhere {
		out.k = uint32(k)
	} else {
		out.k = nowhere
	}
	return &out
}

// nowhere is behind the end of every packet.
const nowhere = 0x7ffffff0

// What the kernel knows besides the bytes, SKF_AD_OFF + SKF_AD_… of
// linux/filter.h.
const (
	extBase        = 0xfffff000
	extPacketType  = extBase + 4
	extInterface   = extBase + 8
	extVLANTag     = extBase + 44
	extVLANPresent = extBase + 48
	packetOutgoing = 4 // PACKET_OUTGOING, linux/if_packet.h
)
