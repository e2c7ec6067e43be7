package flow

import "github.com/portreeve/portreeve/internal/traffic/wire"

// Tally is a conversation that somebody else counted (the kernel): its ends
// are the first packet's sender and receiver. There is no history of it.
type Tally struct {
	Proto            uint8
	IPv6             bool
	Src, Dst         [16]byte
	SrcPort, DstPort uint16 // of ICMP as in Flow
	// Packets and Bytes from Src and from Dst; SYN and SYNACK which of them
	// sent such a segment.
	Packets, Bytes [2]uint64
	SYN, SYNACK    [2]bool
	First, Last    int64
	HasVLAN        bool
	VLAN           uint16
}

// AddTally counts a conversation, in the flow that is there already or in one
// of its own. Its packets count in Quality, too.
func (t *Table) AddTally(c *Tally) {
	p := wire.Packet{Proto: c.Proto, Src: c.Src, Dst: c.Dst, SrcPort: c.SrcPort, DstPort: c.DstPort, HasPorts: true}
	if c.HasVLAN {
		p.VLANCount, p.VLANs[0] = 1, c.VLAN
	}
	k := key{src: c.Src, dst: c.Dst, proto: c.Proto, srcPort: c.SrcPort, dstPort: c.DstPort}
	if c.IPv6 {
		k.bits = bitIPv6
	}
	if c.Proto == protoICMP || c.Proto == protoICMP6 {
		if _, answered := icmpCounterpart(c.Proto, uint8(c.SrcPort), 0); !answered {
			k.bits |= bitOneWay
		}
	}
	hash := hashOf(k.mix(t.seed))
	number, side := t.lookUp(&k, hash)
	if number == none {
		number, side = t.create(&k, hash, &p, c.First), 0
	}
	r := t.record(number)
	for i := range 2 {
		if c.Packets[i] == 0 {
			continue
		}
		t.count(r, side^i, c.First, c.Packets[i], c.Bytes[i])
		t.quality.Packets += c.Packets[i]
		t.quality.Bytes += c.Bytes[i]
	}
	r.last = max(r.last, c.Last)
	r.noteHandshake(side, c)
}

func (r *record) noteHandshake(side int, c *Tally) {
	syn := [2]traits{bitSYN0, bitSYN1}
	ack := [2]traits{bitSYNACK0, bitSYNACK1}
	for i := range 2 {
		if c.SYN[i] {
			r.bits |= syn[side^i]
		}
		if c.SYNACK[i] {
			r.bits |= ack[side^i]
		}
	}
}

// AddQuality adds what somebody else counted of packets that are in no flow:
// Packets and Bytes are those of them alone.
func (t *Table) AddQuality(q Quality) {
	t.quality.Packets += q.Packets
	t.quality.Bytes += q.Bytes
	t.quality.Undecoded += q.Undecoded
	t.quality.Other += q.Other
	t.quality.Fragments += q.Fragments
	t.quality.Orphans += q.Orphans
	t.quality.Giants += q.Giants
}
