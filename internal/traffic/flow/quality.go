package flow

import "github.com/portreeve/portreeve/internal/traffic/wire"

// Quality counts what the captured packets are worth as evidence.
type Quality struct {
	// Packets and Bytes (on the wire) are all that the filter selected.
	Packets, Bytes uint64
	// Truncated were stored shorter than they were on the wire.
	Truncated uint64
	// Undecoded are in no flow because their headers could not be read; Other
	// because they are no IP. Problems counts packets by what was wrong with
	// them, including those that could be counted in a flow nevertheless.
	Undecoded, Other uint64
	Problems         [256]uint64
	// Fragments are packets that are part of a fragmented one. Orphans are
	// those of them that are in no flow, for their first fragment did not
	// come in time; what is still waiting for it is not among them.
	Fragments, Orphans uint64
	// Duplicates are copies as a mirror port makes them; they are in the
	// flows all the same.
	Duplicates uint64
	// Giants are Ethernet frames with an IP packet of more than 1500 bytes:
	// segmentation offload or jumbo frames. Largest is the largest such
	// packet, bytes.
	Giants, Largest uint64

	// Flows are all flows there ever were, Evicted those that had to make
	// room. Conversations are those between single hosts by a protocol with
	// ports, OneSidedFlows those of them with packets in one direction only.
	Flows, Evicted               uint64
	Conversations, OneSidedFlows uint64
}

// Quality gives the counts so far.
func (t *Table) Quality() Quality { return t.quality }

// ethernetMTU is the largest IP packet in a standard Ethernet frame.
const ethernetMTU = 1500

// noteSize counts giants. The loopback interface has an MTU of its own.
func (q *Quality) noteSize(p *wire.Packet) {
	if p.IPLen <= ethernetMTU || !p.HasMAC || p.SrcMAC == [6]byte{} && p.DstMAC == [6]byte{} {
		return
	}
	q.Giants++
	q.Largest = max(q.Largest, uint64(p.IPLen))
}
