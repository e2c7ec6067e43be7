package wiretest

import (
	"encoding/binary"

	"github.com/portreeve/portreeve/internal/traffic/wire"
)

// Layer is one header of a frame.
type Layer interface {
	// put gives the header and, behind it, what it carries. next is the
	// carried layer, nil at the end.
	put(inner []byte, next Layer) []byte
}

// Frame encodes layers, outermost first.
func Frame(layers ...Layer) []byte {
	var out []byte
	var next Layer
	for i := len(layers) - 1; i >= 0; i-- {
		out = layers[i].put(out, next)
		next = layers[i]
	}
	return out
}

// Bytes is a layer that is just bytes: a payload, or a header made by hand.
type Bytes []byte

func (b Bytes) put(inner []byte, _ Layer) []byte { return join(b, inner) }

func join(parts ...[]byte) []byte {
	var out []byte
	for _, p := range parts {
		out = append(out, p...)
	}
	return out
}

func put16(values ...uint16) []byte {
	var out []byte
	for _, v := range values {
		out = binary.BigEndian.AppendUint16(out, v)
	}
	return out
}

func put32(values ...uint32) []byte {
	var out []byte
	for _, v := range values {
		out = binary.BigEndian.AppendUint32(out, v)
	}
	return out
}

func little32(values ...uint32) []byte {
	var out []byte
	for _, v := range values {
		out = binary.LittleEndian.AppendUint32(out, v)
	}
	return out
}

// zeros pads b with zeros to a multiple of n.
func zeros(b []byte, n int) []byte {
	return append(b[:len(b):len(b)], make([]byte, (n-len(b)%n)%n)...)
}

// EtherTypeOf gives the EtherType that announces a layer, 0 for none.
func EtherTypeOf(l Layer) uint16 {
	switch l := l.(type) {
	case IPv4:
		return 0x0800
	case IPv6:
		return 0x86dd
	case ARP:
		return 0x0806
	case VLAN:
		return orElse(l.TPID, 0x8100)
	case Tag:
		return l.Type
	case MPLS:
		return 0x8847
	case PPPoE:
		return 0x8864
	case PPP:
		return 0x880b
	case Ethernet:
		return 0x6558
	case NSH:
		return 0x894f
	}
	return 0
}

// ProtoOf gives the IP protocol number that announces a layer, 59 for none.
func ProtoOf(l Layer) uint8 {
	switch l := l.(type) {
	case TCP:
		return 6
	case UDP:
		return 17
	case UDPLite:
		return 136
	case SCTP:
		return 132
	case DCCP:
		return 33
	case ICMP:
		return 1
	case ICMPv6:
		return 58
	case IPv4:
		return 4
	case IPv6:
		return 41
	case GRE, PPTP, ERSPAN:
		return 47
	case EtherIP:
		return 97
	case L2TPv3:
		return 115
	case MPLS:
		return 137
	case Extension:
		return l.Proto
	case Other:
		return l.Proto
	case Fragment:
		return 44
	case AH:
		return 51
	}
	return 59
}

// pppOf gives the PPP protocol number that announces a layer.
func pppOf(l Layer) uint16 {
	switch l.(type) {
	case IPv4:
		return 0x0021
	case IPv6:
		return 0x0057
	case MPLS:
		return 0x0281
	}
	return 0xc021 // link control
}

func familyOf(l Layer, six uint32) uint32 {
	switch l.(type) {
	case IPv4:
		return 2
	case IPv6:
		return six
	}
	return 7 // OSI
}

func orElse[T comparable](v, otherwise T) T {
	var zero T
	if v == zero {
		return otherwise
	}
	return v
}

// LinkOf gives the link type of a capture that holds frames of this stack, by
// the outermost layer; Ethernet where that is none's beginning.
func LinkOf(layers ...Layer) wire.LinkType {
	if len(layers) == 0 {
		return wire.LinkEthernet
	}
	switch l := layers[0].(type) {
	case IPv4, IPv6:
		return wire.LinkRaw
	case Null:
		return wire.LinkNull
	case SLL:
		return wire.LinkLinuxSLL
	case SLL2:
		return wire.LinkLinuxSLL2
	case PPP:
		return wire.LinkPPP
	case PPPoE:
		return wire.LinkPPPEther
	case CHDLC:
		return wire.LinkCHDLC
	case MPLS:
		return wire.LinkMPLS
	case Header:
		return l.Link
	}
	return pseudoLink(layers[0])
}

func pseudoLink(l Layer) wire.LinkType {
	switch l.(type) {
	case WiFi:
		return wire.Link80211
	case Radiotap:
		return wire.Link80211Radiotap
	case Prism:
		return wire.Link80211Prism
	case AVS:
		return wire.Link80211AVS
	case PPI:
		return wire.LinkPPI
	case NFLog:
		return wire.LinkNFLog
	case PKTAP:
		return wire.LinkPKTAP
	case ENC:
		return wire.LinkENC
	case PFLog:
		return wire.LinkPFLog
	case IPNet:
		return wire.LinkIPNet
	case IPoIB:
		return wire.LinkIPoIB
	case FrameRelay:
		return wire.LinkFrameRelay
	}
	return wire.LinkEthernet
}
