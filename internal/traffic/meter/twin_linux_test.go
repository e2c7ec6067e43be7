package meter

import (
	"bytes"

	"github.com/portreeve/portreeve/internal/traffic/wire"
)

// twin counts frames as the packet path's decoder reads them, in the plainest
// way. What the BPF program counts must be the same.
type twin struct {
	bare   bool // frames begin with the IP header
	stats  Stats
	flows  map[Record]*Record // by the fields that name a conversation
	pieces map[twinPiece]twinPorts
}

type twinPiece struct {
	src, dst [16]byte
	id       uint32
	proto    uint8
	ipv6     bool
}

type twinPorts struct {
	src, dst uint16
	proto    uint8
	oneWay   bool
}

func newTwin() *twin {
	return &twin{flows: map[Record]*Record{}, pieces: map[twinPiece]twinPorts{}}
}

// wrapped are the EtherTypes behind which the program does not look.
var wrapped = map[uint16]bool{0x8847: true, 0x8848: true, 0x8864: true, 0x880b: true, 0x894f: true}

func (w *twin) frame(f []byte) {
	var p wire.Packet
	d := wire.Decoder{Outer: true}
	link := wire.LinkEthernet
	if w.bare {
		link = wire.LinkRaw
	}
	d.Decode(link, f, uint32(len(f)), &p)
	w.stats.Packets++
	w.stats.Bytes += uint64(len(f))
	switch {
	case p.EtherType != 0 && wrapped[p.EtherType]:
		w.stats.Wrapped++
		w.stats.Other++
	case p.Kind == wire.KindUndecoded:
		w.stats.Undecoded++
	case p.Kind == wire.KindOther:
		w.stats.Other++
	default:
		w.packet(f, &p)
	}
}

func (w *twin) packet(f []byte, p *wire.Packet) {
	ports, ok := w.join(f, p)
	if tunnelled(ports) {
		w.stats.Tunnels++
	}
	if ok {
		w.add(p, ports, uint64(len(f)))
	}
}

// join finds the ports, of a later piece by its first.
func (w *twin) join(f []byte, p *wire.Packet) (twinPorts, bool) {
	id := twinPiece{src: p.Src, dst: p.Dst, id: p.ID, ipv6: p.Version == 6}
	if p.Version == 4 {
		id.proto = f[p.Hdr+9]
	}
	if p.FragOffset != 0 {
		w.stats.Fragments++
		first, ok := w.pieces[id]
		if !ok {
			w.stats.Orphans++
			first.proto = p.Proto
		}
		return first, ok
	}
	ports, ok := portsOf(p)
	if !ok {
		w.stats.Portless++
	} else if p.IsFragment {
		w.pieces[id] = ports
	}
	return ports, ok
}

func portsOf(p *wire.Packet) (twinPorts, bool) {
	out := twinPorts{proto: p.Proto}
	switch p.Proto {
	case 6, 17, 33, 132, 136:
		out.src, out.dst = p.SrcPort, p.DstPort
		return out, p.HasPorts
	case 1, 58:
		if !p.HasICMP {
			return out, false
		}
		out.src, out.dst, out.oneWay = uint16(p.ICMPType), uint16(p.ICMPCode), true
		for _, pair := range map[uint8][][2]uint8{
			1:  {{8, 0}, {10, 9}, {13, 14}, {15, 16}, {17, 18}},
			58: {{128, 129}, {130, 131}, {133, 134}, {135, 136}, {139, 140}, {144, 145}},
		}[p.Proto] {
			for i, each := range pair {
				if each == p.ICMPType {
					out.dst, out.oneWay = uint16(pair[1-i]), false
				}
			}
		}
	}
	return out, true
}

func tunnelled(p twinPorts) bool {
	switch p.proto {
	case 4, 41, 47, 97, 115, 137:
		return true
	case 17:
		known := map[uint16]bool{1701: true, 2152: true, 3544: true, 4754: true, 4789: true, 4790: true, 6081: true, 6635: true, 8472: true}
		return known[p.src] || known[p.dst]
	}
	return false
}

// add counts, with the ends as the frame has them or, where that conversation
// is known, the other way round.
func (w *twin) add(p *wire.Packet, ports twinPorts, size uint64) {
	name := Record{Proto: ports.proto, IPv6: p.Version == 6, A: p.Src, B: p.Dst, PortA: ports.src, PortB: ports.dst}
	r, fromA := w.flows[name], true
	if r == nil && !ports.oneWay {
		other := name
		other.A, other.B, other.PortA, other.PortB = name.B, name.A, name.PortB, name.PortA
		r, fromA = w.flows[other], false
	}
	var flags uint8
	if p.HasTCP {
		flags = uint8(p.Flags)
	}
	if r == nil {
		r, fromA = new(Record), true
		*r = name
		r.FirstFlags, r.FirstFromA = flags, true
		if r.HasVLAN = p.VLANCount > 0; r.HasVLAN {
			r.VLAN = p.VLANs[0]
		}
		w.flows[name] = r
	}
	if fromA {
		r.PacketsAB, r.BytesAB, r.FlagsAB = r.PacketsAB+1, r.BytesAB+size, r.FlagsAB|flags
		r.SYNFromA = r.SYNFromA || flags&0x17 == 2
		r.SYNACKFromA = r.SYNACKFromA || flags&0x17 == 0x12
	} else {
		r.PacketsBA, r.BytesBA, r.FlagsBA = r.PacketsBA+1, r.BytesBA+size, r.FlagsBA|flags
		r.SYNFromB = r.SYNFromB || flags&0x17 == 2
		r.SYNACKFromB = r.SYNACKFromB || flags&0x17 == 0x12
	}
}

// turned is a record with its ends exchanged.
func turned(r Record) Record {
	r.A, r.B, r.PortA, r.PortB = r.B, r.A, r.PortB, r.PortA
	r.PacketsAB, r.PacketsBA, r.BytesAB, r.BytesBA = r.PacketsBA, r.PacketsAB, r.BytesBA, r.BytesAB
	r.FlagsAB, r.FlagsBA, r.FirstFromA = r.FlagsBA, r.FlagsAB, !r.FirstFromA
	r.SYNFromA, r.SYNFromB, r.SYNACKFromA, r.SYNACKFromB = r.SYNFromB, r.SYNFromA, r.SYNACKFromB, r.SYNACKFromA
	return r
}

// byFirst has the sender of the first packet as A, and no times.
func byFirst(r Record) Record {
	r.First, r.Last = 0, 0
	same := bytes.Equal(r.A[:], r.B[:]) && r.PortA == r.PortB
	if !r.FirstFromA && !same {
		return turned(r)
	}
	return r
}
