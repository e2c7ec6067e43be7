package flow

import "github.com/portreeve/portreeve/internal/traffic/wire"

// Flow is one conversation between two endpoints. Addresses are 16 bytes,
// IPv4 as ::ffff:a.b.c.d; times are Unix nanoseconds; bytes are frame lengths
// on the wire. ICMP and ICMPv6 have type and code for ports (client the
// request's, as Zeek has it); protocols without ports have 0.
type Flow struct {
	Proto                  uint8
	IPv6                   bool // the innermost IP version
	Client, Server         [16]byte
	ClientPort, ServerPort uint16

	PacketsToServer, PacketsToClient uint64
	BytesToServer, BytesToClient     uint64
	First, Last                      int64

	State      State  // Zeek's conn_state
	History    string // Zeek's history
	OrientedBy Orientation

	// VLAN is the outermost tag of the first packet, with HasVLAN.
	HasVLAN bool
	VLAN    uint16
	// Tunnels are how the first packet was wrapped, outermost first.
	Tunnels [6]wire.Tunnel
	Depth   uint8

	// Refused counts ICMP errors that quote a packet of this flow; the last
	// one's type and code.
	Refused                  uint32
	RefusedType, RefusedCode uint8

	// Label names what the flow is part of when its ports were agreed in
	// another one ("ftp-data"); see package negotiate.
	Label string
}

// State is Zeek's conn_state.
type State uint8

// The states in the order of Zeek's documentation.
const (
	OTH    State = iota // no SYN seen, mid-stream
	S0                  // attempt, no answer
	S1                  // established, not ended
	SF                  // established and ended normally
	REJ                 // attempt rejected
	S2                  // established, client's FIN seen, no answer to it
	S3                  // established, server's FIN seen, no answer to it
	RSTO                // established, client aborted
	RSTR                // server aborted
	RSTOS0              // client's SYN then its RST, no SYN-ACK seen
	RSTRH               // server's SYN-ACK then its RST, no SYN seen
	SH                  // client's SYN then its FIN, no SYN-ACK seen
	SHR                 // server's SYN-ACK then its FIN, no SYN seen
)

// Orientation is by what client and server were told apart.
type Orientation uint8

const (
	ByFirstPacket Orientation = iota
	BySYN
	BySYNACK
	ByListener
	ByRegistry
)
