package wiretest

import "github.com/portreeve/portreeve/internal/traffic/wire"

// Again gives the layers of an Ethernet frame that decodes to what p tells of
// its innermost packet: all but options, extension headers and tunnels. Of p,
// the payload must be whole.
func Again(p *wire.Packet) []Layer {
	layers := []Layer{Ethernet{Src: p.SrcMAC, Dst: p.DstMAC}}
	for _, id := range p.VLANs[:min(int(p.VLANCount), len(p.VLANs))] {
		layers = append(layers, VLAN{ID: id})
	}
	src, dst := wire.Addr(p.Src), wire.Addr(p.Dst)
	if p.Version == 4 {
		layers = append(layers, IPv4{
			Src: src, Dst: dst, Proto: p.Proto, TTL: p.TTL, TOS: p.TOS, ID: uint16(p.ID),
			FragOffset: p.FragOffset, More: p.MoreFragments,
		})
	} else {
		layers = append(layers, IPv6{Src: src, Dst: dst, Next: p.Proto, HopLimit: p.TTL, Class: p.TOS})
		if p.IsFragment {
			layers[len(layers)-1] = IPv6{Src: src, Dst: dst, Next: 44, HopLimit: p.TTL, Class: p.TOS}
			layers = append(layers, Fragment{Next: p.Proto, Offset: p.FragOffset, More: p.MoreFragments, ID: p.ID})
		}
	}
	return append(layers, transportAgain(p)...)
}

func transportAgain(p *wire.Packet) []Layer {
	payload := Bytes(p.Payload)
	switch {
	case p.HasTCP:
		return []Layer{TCP{p.SrcPort, p.DstPort, p.Seq, p.Ack, p.Flags, p.Window, nil}, payload}
	case p.HasICMP:
		return []Layer{ICMP{Type: p.ICMPType, Code: p.ICMPCode, ID: p.ICMPID}, payload}
	case !p.HasPorts:
		return []Layer{payload}
	}
	switch p.Proto {
	case 17:
		return []Layer{UDP{SrcPort: p.SrcPort, DstPort: p.DstPort}, payload}
	case 136:
		return []Layer{UDPLite{SrcPort: p.SrcPort, DstPort: p.DstPort}, payload}
	case 33:
		return []Layer{DCCP{SrcPort: p.SrcPort, DstPort: p.DstPort, Type: uint8(p.Flags)}, payload}
	}
	// SCTP's first chunk is in the payload.
	return []Layer{Bytes(join(put16(p.SrcPort, p.DstPort), put32(7, 0))), payload}
}
