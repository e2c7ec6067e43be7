package flow

// record is what most packets touch of a flow: no pointers, two cache lines. Its
// arrays have the sender of the flow's first packet at 0.
type record struct {
	addr                     [2][16]byte
	port                     [2]uint16
	proto                    uint8
	depth                    uint8
	bits                     traits
	vlan                     uint16
	refusedType, refusedCode uint8
	hash                     uint32
	packets                  [2]uint64

	bytes       [2]uint64
	first, last int64
	end         [2]endpoint
}

// rest is the rest of a flow, in a slab of its own so that the records lie
// close together.
type rest struct {
	// deadline ends an attempt, or with bitClosing a flow that was closed.
	deadline int64
	// next and prev are the neighbours by first packet: numbers of records.
	next, prev uint32
	refused    uint32
	tunnels    [6]uint8
	// letters are how many of the history's there are; those that do not fit
	// in history are in Table.long.
	letters uint8
	history [shortHistory]byte
	past    [2]past
}

const shortHistory = 21

// traits are what is known of a flow besides numbers.
type traits uint16

const (
	// keyBits are part of what tells flows apart: the IP version, and an ICMP
	// message to which no answer exists.
	bitIPv6 traits = 1 << iota
	bitOneWay

	bitVLAN
	// bitEnded: out of the index; a packet of the same endpoints begins
	// another flow.
	bitEnded
	// bitClosing: deadline is when the closed flow is forgotten.
	bitClosing
	// bitGroup: the first packet went to a multicast or broadcast address.
	bitGroup
	// bitTurned: while packets come, side 1 is taken for the originator.
	bitTurned
	// bitPartial: Zeek's is_partial.
	bitPartial
	bitSYN0
	bitSYN1
	bitSYNACK0
	bitSYNACK1
	bitUsed

	keyBits    = bitIPv6 | bitOneWay
	bothSYN    = bitSYN0 | bitSYN1
	bothSYNACK = bitSYNACK0 | bitSYNACK1
)

// endpoint is what Zeek keeps of one side of a TCP connection, as far as every
// packet needs it. Sequence numbers are absolute, compared modulo 2^32.
type endpoint struct {
	last, ack uint32
	// next is up to where the stream was seen without a hole.
	next        uint32
	state, prev endState
	marks       marks
}

// past is the rest of it.
type past struct {
	start uint32
	// lo and hi are what was seen behind the hole, with markHole.
	lo, hi uint32
	fin    uint32 // one past the FIN
	// Relative numbers of the last SYN, FIN and RST in the history.
	histSYN, histFIN, histRST uint32
	again, shut, gaps         uint32 // retransmissions, zero windows, content gaps
}

// marks are what happened to an endpoint.
type marks uint16

const (
	// What Zeek's history has once.
	markSYN marks = 1 << iota
	markFIN
	markRST
	markData
	markACK
	markFINRST
	markMulti

	markClosed  // Zeek's did_close
	markFINSeen // Zeek's FIN_cnt > 0
	markSeen    // Zeek's first_packet_seen
	markFar     // so far from start that numbers below it mean nothing
	markHole    // something was seen behind a hole
)

// endState is Zeek's state of a TCP endpoint.
type endState uint8

const (
	inactive endState = iota
	synSent
	synACKSent
	partial
	established
	closed
	reset
)

func (e *endpoint) become(s endState) {
	if e.state != s {
		e.prev, e.state = e.state, s
	}
}

// handshaking tells the states that Zeek gives the short time-out.
func (s endState) handshaking() bool { return s <= synACKSent }

// up tells the states in which data goes to and fro.
func (s endState) up() bool { return s == partial || s == established }

func (r *record) has(b traits) bool { return r.bits&b != 0 }

// originator is the side that is taken for the originator while packets come.
func (r *record) originator() int {
	if r.has(bitTurned) {
		return 1
	}
	return 0
}

// key is what tells flows apart: the packet's endpoints as it was sent.
type key struct {
	src, dst         [16]byte
	srcPort, dstPort uint16
	proto            uint8
	bits             traits
}

// side tells which side of r sent a packet with this key; -1 if it is not r's.
// The endpoints may be the same: then all comes from side 0.
func (r *record) side(k *key) int {
	if r.proto != k.proto || (r.bits^k.bits)&keyBits != 0 {
		return -1
	}
	if r.port[0] == k.srcPort && r.port[1] == k.dstPort && r.addr[0] == k.src && r.addr[1] == k.dst {
		return 0
	}
	if k.bits&bitOneWay == 0 && r.port[1] == k.srcPort && r.port[0] == k.dstPort &&
		r.addr[1] == k.src && r.addr[0] == k.dst {
		return 1
	}
	return -1
}
