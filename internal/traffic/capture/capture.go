package capture

import "github.com/portreeve/portreeve/internal/traffic/wire"

// Packet is one captured frame.
type Packet struct {
	// Data is what was stored of the frame, link header first. It is valid
	// until its batch is released.
	Data []byte
	// Wire is the frame's length on the wire, bytes; with HasVLAN it counts
	// the 4 bytes of the tag that Data has not. See Truncated.
	Wire uint32
	// Time is when it was taken, Unix nanoseconds; 0 where the file does not
	// tell (simple packets).
	Time int64
	Link wire.LinkType
	// Interface indexes the source's interfaces.
	Interface uint32
	// VLANTCI is a VLAN tag that was taken out of the frame (tpacket
	// metadata), VLANProto its tag protocol identifier (0x8100, 0x88a8).
	HasVLAN            bool
	VLANTCI, VLANProto uint16
	Direction          Direction
}

// Truncated tells that less was stored of the frame than was on the wire.
func (p *Packet) Truncated() bool {
	stored := uint32(len(p.Data))
	if p.HasVLAN {
		stored += 4
	}
	return stored < p.Wire
}

// Direction is which way a frame went, where the source tells.
type Direction uint8

const (
	DirUnknown Direction = iota
	Inbound
	Outbound
)

// Batch is a number of packets taken at once. The owner hands it to
// Source.Next, works on Packets, and calls Release.
type Batch struct {
	Packets []Packet
	// Free gives the storage back to the source; nil when there is nothing
	// to give back.
	Free func()
}

// Release gives the packets' storage back. They must not be used after it.
func (b *Batch) Release() {
	if b.Free != nil {
		b.Free()
	}
	b.Packets, b.Free = b.Packets[:0], nil
}

// Source is where packets come from: a capture file or interfaces. Next,
// Release and Stats may be called from different goroutines; several batches
// may be out at once.
type Source interface {
	// Next puts the next packets in b. A live source gives an empty batch
	// when nothing came for a while. io.EOF: the end, all was read; any other
	// error is the end too (see Truncated), after what came before it.
	Next(b *Batch) error
	Interfaces() []Interface
	Stats() Stats
	Close() error
}

// Interface is one interface of a source.
type Interface struct {
	Name    string // may be empty in a file
	Link    wire.LinkType
	SnapLen uint32 // 0: not limited or not known
	Filter  string // the capture filter that the file names
}

// Stats are what the source itself knows was lost.
type Stats struct {
	// Received is what the source counted in all, Dropped what it had no room
	// for, IfDropped what the interface dropped before it. Known is false
	// where a file does not tell.
	Received, Dropped, IfDropped uint64
	Known                        bool
}
