package wire

import (
	"math"
	"net/netip"
	"strconv"
	"strings"
)

// LinkType is a link-layer header type, LINKTYPE_ of pcap-linktype(7).
type LinkType uint32

// Packet is what one frame's headers say: the innermost IP packet's addresses
// and ports, and how it was wrapped. It is a value without pointers but for
// Payload, made to be reused: Decode overwrites all of it.
type Packet struct {
	// Kind tells what the frame held; Problem why decoding ended early.
	Kind    Kind
	Problem Problem

	// Version is the innermost IP version, 4 or 6; 0 where there is none.
	Version uint8
	// Proto is the transport protocol number (IANA), the last one behind
	// IPv6 extension headers.
	Proto uint8
	TTL   uint8 // hop limit
	TOS   uint8 // traffic class
	// Src and Dst are addresses as 16 bytes, IPv4 as ::ffff:a.b.c.d.
	Src, Dst [16]byte
	// SrcPort and DstPort are ports of TCP, UDP, UDP-Lite, SCTP and DCCP;
	// otherwise 0, also where a fragment or a cut hides them (HasPorts).
	SrcPort, DstPort uint16
	HasPorts         bool
	// ICMPType and ICMPCode hold for ICMP and ICMPv6 with HasICMP; ICMPID is
	// the identifier of echo and the like.
	HasICMP            bool
	ICMPType, ICMPCode uint8
	ICMPID             uint16

	// TCP header fields, with HasTCP (the 20 fixed bytes were there). DCCP
	// and SCTP put their packet type or first chunk type in Flags' low byte.
	HasTCP   bool
	Flags    uint16 // TCP: CWR…FIN as in the header, AE as bit 8
	Window   uint16
	Seq, Ack uint32

	// IPLen is the innermost IP packet's length as its header says, header
	// included; where it says 0 (TSO) or a jumbogram, what was on the wire.
	IPLen uint32
	// PayloadLen is the length of what follows the transport header by the
	// IP length, not by what was captured. Payload is the captured part.
	PayloadLen uint32
	Payload    []byte
	// Hdr is where the innermost IP header begins in the frame, L4 where its
	// transport header (or, in a later fragment, its data) begins.
	Hdr, L4 uint16

	// ID, FragOffset (bytes) and MoreFragments are the fragment's of the
	// innermost IP packet; ID of IPv4 is set always.
	ID            uint32
	FragOffset    uint16
	MoreFragments bool
	IsFragment    bool

	// EtherType is the first that is no VLAN's; SrcMAC and DstMAC hold with
	// HasMAC and are the outermost.
	EtherType      uint16
	HasMAC         bool
	SrcMAC, DstMAC [6]byte
	// VLANs are the VLAN identifiers (12 bits) of the outermost frame's tags,
	// outermost first (metadata tags included); VLANCount may exceed what is
	// kept.
	VLANs     [2]uint16
	VLANCount uint8

	// Tunnels are the wrappings, outermost first; Depth may exceed what is
	// kept. OuterSrc and OuterDst are the outermost IP packet's addresses when
	// an IP packet carries this one; zero otherwise, also where only MPLS or
	// PPPoE wrap it.
	Tunnels            [6]Tunnel
	Depth              uint8
	OuterSrc, OuterDst [16]byte
	// CarrierID, with CarrierProto and CarrierVersion (4, 6; 0: none), name the
	// packet from OuterSrc to OuterDst when this one is inside the first of its
	// fragments: the others hold the rest of this packet.
	CarrierID                    uint32
	CarrierProto, CarrierVersion uint8

	// Quote is the flow that an ICMP error quotes, with HasQuote.
	HasQuote bool
	Quote    Quote
}

// Quote is the packet whose fate an ICMP error tells: as sent by its sender.
type Quote struct {
	Proto            uint8
	HasPorts         bool
	SrcPort, DstPort uint16
	Src, Dst         [16]byte
}

// AddVLAN puts a tag that was taken out of the frame (tpacket metadata) before
// those that Decode found. tci is the whole tag control information.
func (p *Packet) AddVLAN(tci uint16) {
	p.VLANs[1], p.VLANs[0] = p.VLANs[0], tci&vlanIDMask
	if p.VLANCount < math.MaxUint8 {
		p.VLANCount++
	}
}

// vlanIDMask leaves the identifier of a tag control information (802.1Q 9.6).
const vlanIDMask = 0x0fff

// Addr gives an address of a Packet, IPv4 as such.
func Addr(a [16]byte) netip.Addr { return netip.AddrFrom16(a).Unmap() }

// Kind is what a frame held.
type Kind uint8

const (
	// KindUndecoded: nothing that can be counted for a flow; see Problem.
	KindUndecoded Kind = iota
	// KindIP: an IP packet, whose addresses and protocol are known. Problem
	// may still say what could not be read behind that.
	KindIP
	// KindOther: a well-formed frame of a link protocol that is no IP (ARP,
	// LLDP, spanning tree, 802.11 management, PPP control …).
	KindOther
)

// Tunnel is one way in which a packet is wrapped.
type Tunnel uint8

// The wrappings, in the order in which traffic.md lists them.
const (
	NoTunnel Tunnel = iota
	GRE
	ERSPAN1
	ERSPAN2
	ERSPAN3
	VXLAN
	Geneve
	GTPU
	MPLS
	PPPoE
	SixInFour // IPv6 in IPv4, protocol 41
	IPInIP    // IPv4 in IPv4 or IPv6, IPv6 in IPv6
	L2TP
	Teredo
	EtherIP
	NSH // RFC 8300
)

// String gives the tunnel's name in lower case.
func (t Tunnel) String() string {
	const names = "none    gre     erspan1 erspan2 erspan3 vxlan   geneve  gtpu    " +
		"mpls    pppoe   6in4    ipip    l2tp    teredo  etherip nsh     "
	i := int(t) * 8
	if i+8 > len(names) {
		return "tunnel " + strconv.Itoa(int(t))
	}
	return strings.TrimRight(names[i:i+8], " ")
}
