package fwlog

import "net/netip"

// Action is what the firewall did.
type Action uint8

// Actions. NoAction: the line does not tell.
const (
	NoAction Action = iota
	Permit
	Deny
)

// String gives the contract's word, "" for NoAction.
func (a Action) String() string {
	switch a {
	case Permit:
		return "permit"
	case Deny:
		return "deny"
	}
	return ""
}

// Event is what one line says that a firewall did. Read clears it first.
// Text fields are parts of the line and valid until the next Read.
type Event struct {
	Format string // the dialect's name in the table
	Time   int64  // Unix nanoseconds, 0 where the line does not tell
	Action Action

	// Proto is the IANA protocol number; HasProto tells 0 from not told.
	Proto    uint8
	HasProto bool
	// Src is the connection's initiator where the dialect tells, else the
	// address named first. A valid Src and Dst make the line an event.
	Src, Dst         netip.Addr
	SrcPort, DstPort uint16
	// HasPorts tells port 0 from none. HasICMP says that ICMPType (and
	// ICMPCode) were told.
	HasPorts, HasICMP  bool
	ICMPType, ICMPCode uint8

	In, Out []byte // interfaces or zones
	Rule    []byte // rule's name, number, prefix or access list

	NATSrc, NATDst         netip.Addr
	NATSrcPort, NATDstPort uint16

	// Packets and Bytes are the connection's, both directions together, where
	// the line tells.
	Packets, Bytes uint64

	// Reversed: the dialect names the responder first and the reader has
	// turned it. Ends: the line tells of a connection's end, whose beginning
	// another line told (so that it is not counted twice). Limited: the line
	// says itself that others were left out; Suppressed is how many, where it
	// says that. Capped: its product logs only so many a minute by default
	// (ufw), so others may have been left out.
	Reversed   bool
	Ends       bool
	Limited    bool
	Capped     bool
	Suppressed uint64
}
